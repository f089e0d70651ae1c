"""Lines of logs → ``log.record``; the result of an evaluation → ``evaluation.score``."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from core.errors import HubError
from ingest.batch import Arrival, Decoded
from ingest.decode.binary import fixed
from ingest.joint import alone
from ingest.limits import Limits
from ingest.otlp import json, protobuf
from ingest.otlp.bodies import Bodies, read_bodies
from ingest.otlp.events import Rows, decoded_of, receipt_nanoseconds, row_ids, short
from ingest.otlp.fields import Fields
from ingest.otlp.fit import fit
from ingest.otlp.records import Line

_SEVERITIES: Final = ("trace", "debug", "info", "warn", "error", "fatal")
_WORDS: Final = {"warning": "warn", "notice": "info", "information": "info", "critical": "fatal", "emergency": "fatal"}

#: The event by which OpenTelemetry reports a judgement, and its attributes.
_EVALUATION: Final = "gen_ai.evaluation.result"
_OF_EVALUATION: Final = {
    "gen_ai.evaluation.name": "evaluator",
    "gen_ai.evaluation.score.value": "score",
    "gen_ai.evaluation.score.label": "label",
}


def decode_lines(body: bytes, arrival: Arrival, limits: Limits, *, plain: bool, project: str | None = None) -> Decoded:
    """Decode one body; see :func:`decode_lines_of`."""
    return alone(decode_lines_of([body], arrival, limits, plain=plain, project=project))


def decode_lines_of(
    bodies: Sequence[bytes], arrival: Arrival, limits: Limits, *, plain: bool, project: str | None = None
) -> list[Decoded | HubError]:
    """Decode bodies that are an ``ExportLogsServiceRequest`` each; see :func:`ingest.otlp.spans.decode_spans_of`."""
    read = read_bodies(bodies, (json if plain else protobuf).read_lines, limits)
    return decoded_of(read, _rows(read, arrival, project), arrival, limits)


def _rows(bodies: Bodies, arrival: Arrival, project: str | None) -> Rows:
    lines: list[Line] = bodies.rows
    judged = _judgements(bodies)
    types = ["evaluation.score" if row in judged else "log.record" for row in range(len(lines))]
    fields = Fields(bodies.attributes, types)
    for row, line in enumerate(lines):
        if row in judged:
            for name, value in judged[row].items():
                fields.field(name).set(row, value)
        else:
            _line(fields, row, line)
        if line.event_name:
            fields.extra.append((row, "event.name", line.event_name))
    if project is not None:
        fields.fill("project", short(project))
    now = receipt_nanoseconds(arrival)
    trace_ids, span_ids = ([getattr(line, name) for line in lines] for name in ("trace_id", "span_id"))
    return Rows(
        index=[line.number for line in lines],
        types=types,
        fields=fields,
        time=np.array([min(line.time or now, 2**63 - 1) // 1000 for line in lines], np.int64),
        ready={
            "id": row_ids(arrival.tenant, [line.written for line in lines], bodies.of_row),
            "trace_id": _ids(trace_ids, 16),
            # A line is no span: it hangs below the one in which it was written.
            "parent_span_id": _ids(span_ids, 8),
        },
    )


def _line(fields: Fields, row: int, line: Line) -> None:
    body = line.body if line.body is not None else line.event_name
    fields.contents.keep(row, "body", body)
    severity = _severity(line)
    if severity is not None:
        fields.field("severity").set(row, severity)
    if line.scope:
        fields.field("logger").set(row, line.scope)


def _severity(line: Line) -> str | None:
    if 1 <= line.severity <= 24:
        return _SEVERITIES[(line.severity - 1) // 4]
    word = line.severity_text.strip().lower()
    word = _WORDS.get(word, word)
    return word if word in _SEVERITIES else None


def _judgements(bodies: Bodies) -> dict[int, dict[str, object]]:
    """Rows that report a whole judgement → its fields."""
    lines: list[Line] = bodies.rows
    rows = {row for row, line in enumerate(lines) if line.event_name == _EVALUATION}
    if not rows:
        return {}
    found: dict[int, dict[str, object]] = {row: {} for row in rows}
    for name, field in _OF_EVALUATION.items():
        column = bodies.attributes.column(name)
        for row, value in column.items() if column is not None else ():
            if row in rows and (fitting := fit(field, value)) is not None:
                found[row][field] = fitting
    return {row: one for row, one in found.items() if "evaluator" in one and ("score" in one or "label" in one)}


def _ids(values: list[bytes], width: int) -> object:
    joined = b"".join([value or bytes(width) for value in values])
    return fixed(np.frombuffer(joined, np.uint8).reshape(-1, width), np.array([bool(v) for v in values], np.bool_))
