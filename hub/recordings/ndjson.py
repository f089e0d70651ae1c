"""Recordings of events in NDJSON."""

import io
from collections.abc import Iterator
from typing import Any

import orjson

from hub.recordings.piece import PIECE_BYTES, Cut, Piece
from hub.simulate.config import from_us, to_us
from schemas.times import parse_time

_CONTENT_TYPE = "application/x-ndjson"


def pieces(reader: io.BufferedReader, cut: Cut) -> Iterator[Piece]:
    """Cut lines into pieces; lines that need no new time go out byte for byte as they are.

    Empty and broken lines travel too: the hub counts lines as the file does, and names the bad ones.
    """
    lines: list[bytes] = []
    first = size = 0
    last: int | None = None
    for number, line in enumerate(reader):
        at = _time_us(line) if cut.timed else None
        at = last if at is None else at
        if lines and (len(lines) == cut.rows or size > PIECE_BYTES or _next_step(cut, last, at)):
            yield Piece("/v1/events", _CONTENT_TYPE, b"".join(lines), len(lines), first, last)
            lines, first, size = [], number, 0
        text = _shifted(line, cut.shift_us) if cut.shift_us else line
        lines.append(text if text.endswith(b"\n") else text + b"\n")
        size += len(text)
        last = at
    if lines:
        yield Piece("/v1/events", _CONTENT_TYPE, b"".join(lines), len(lines), first, last)


def last_time(reader: io.BufferedReader) -> int | None:
    """The latest time in the file, in microseconds of the epoch."""
    return max((at for at in map(_time_us, reader) if at is not None), default=None)


def _next_step(cut: Cut, last: int | None, at: int | None) -> bool:
    if cut.step_us is None or last is None or at is None:
        return False
    return at // cut.step_us != last // cut.step_us


def _load(line: bytes) -> dict[str, Any] | None:
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return event if isinstance(event, dict) else None


def _time_us(line: bytes) -> int | None:
    event = _load(line)
    return None if event is None else _moment(event.get("time"))


def _moment(value: Any) -> int | None:
    try:
        return to_us(parse_time(value))
    except ValueError:
        return None


def _shifted(line: bytes, shift_us: int) -> bytes:
    event = _load(line)
    at = None if event is None else _moment(event.get("time"))
    if event is None or at is None:
        return line
    event["time"] = from_us(at + shift_us)
    return orjson.dumps(event)
