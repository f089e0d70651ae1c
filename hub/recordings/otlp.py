"""Recordings of OTLP in JSON: one request body a file, or one a line as the collector's file exporter writes."""

import io
from collections.abc import Iterator
from typing import Any

import orjson

from core.errors import BadRequest
from hub.recordings.piece import Cut, Piece

_DOORS = {"resourceSpans": "/v1/traces", "resourceLogs": "/v1/logs", "resourceMetrics": "/v1/metrics"}
_ITEM_FIELDS = frozenset({"spans", "logRecords", "dataPoints"})
_TIME_FIELDS = frozenset({"timeUnixNano", "startTimeUnixNano", "endTimeUnixNano", "observedTimeUnixNano"})


def pieces(reader: io.BufferedReader, cut: Cut) -> Iterator[Piece]:
    """One piece a body; a body stays whole whatever the cut."""
    last: int | None = None
    for row, document in enumerate(_documents(reader)):
        if cut.timed:
            last = max(_times_us(document), default=last)
        if cut.shift_us:
            _shift(document, cut.shift_us * 1000)
        yield Piece(_door(document), "application/json", orjson.dumps(document), 1, row, last, _items(document))


def last_time(reader: io.BufferedReader) -> int | None:
    """The latest time in the file, in microseconds of the epoch."""
    return max((at for document in _documents(reader) for at in _times_us(document)), default=None)


def _documents(reader: io.BufferedReader) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(reader, 1):
        if not line.strip():
            continue
        try:
            document = orjson.loads(line)
        except orjson.JSONDecodeError:
            # Written over several lines: then it is one body, and the whole file.
            document = _whole(line + reader.read(), number)
        if not isinstance(document, dict):
            raise BadRequest(f"line {number} is no OTLP body")
        yield document


def _whole(text: bytes, number: int) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"line {number}: not JSON ({error})") from error


def _door(document: dict[str, Any]) -> str:
    for field, door in _DOORS.items():
        if field in document:
            return door
    raise BadRequest(f"an OTLP body has one of {', '.join(_DOORS)}")


def _items(node: Any, name: str = "") -> int:
    """How many spans, log records and data points there are."""
    if isinstance(node, list):
        return len(node) if name in _ITEM_FIELDS else sum(_items(item) for item in node)
    if isinstance(node, dict):
        return sum(_items(value, name) for name, value in node.items() if isinstance(value, dict | list))
    return 0


def _fields(node: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Every object of the tree that has a time, with the name of its field."""
    if isinstance(node, list):
        for item in node:
            yield from _fields(item)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name in _TIME_FIELDS:
                yield node, name
            else:
                yield from _fields(value)


def _nanoseconds(value: Any) -> int:
    return int(value) if isinstance(value, int) or (isinstance(value, str) and value.isdigit()) else 0


def _times_us(document: dict[str, Any]) -> Iterator[int]:
    for node, name in _fields(document):
        # A time of 0 means unknown.
        if at := _nanoseconds(node[name]):
            yield at // 1000


def _shift(document: dict[str, Any], shift_ns: int) -> None:
    for node, name in list(_fields(document)):
        if at := _nanoseconds(node[name]):
            node[name] = str(at + shift_ns)
