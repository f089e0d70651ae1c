"""Lines of logs → ``log.record``; the result of an evaluation → ``evaluation.score``."""

from typing import Final

import numpy as np

from ingest.batch import Arrival, Decoded
from ingest.decode.binary import fixed
from ingest.limits import Limits
from ingest.otlp import json, protobuf
from ingest.otlp.events import Rows, decoded_of, receipt_nanoseconds, row_ids, short
from ingest.otlp.fields import Fields
from ingest.otlp.fit import fit
from ingest.otlp.records import Line, Records

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
    """Decode an ``ExportLogsServiceRequest``; see :func:`ingest.otlp.spans.decode_spans`."""
    records = (json if plain else protobuf).read_lines(body, limits)
    return decoded_of(records, _rows(records, arrival, project), arrival, limits)


def _rows(records: Records, arrival: Arrival, project: str | None) -> Rows:
    lines: list[Line] = records.rows
    judged = _judgements(records)
    types = ["evaluation.score" if row in judged else "log.record" for row in range(len(lines))]
    fields = Fields(records.attributes, types)
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
            "id": row_ids(arrival.tenant, [line.written for line in lines]),
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


def _judgements(records: Records) -> dict[int, dict[str, object]]:
    """Rows that report a whole judgement → its fields."""
    lines: list[Line] = records.rows
    rows = {row for row, line in enumerate(lines) if line.event_name == _EVALUATION}
    if not rows:
        return {}
    found: dict[int, dict[str, object]] = {row: {} for row in rows}
    for name, field in _OF_EVALUATION.items():
        column = records.attributes.column(name)
        for row, value in column.items() if column is not None else ():
            if row in rows and (fitting := fit(field, value)) is not None:
                found[row][field] = fitting
    return {row: one for row, one in found.items() if "evaluator" in one and ("score" in one or "label" in one)}


def _ids(values: list[bytes], width: int) -> object:
    joined = b"".join([value or bytes(width) for value in values])
    return fixed(np.frombuffer(joined, np.uint8).reshape(-1, width), np.array([bool(v) for v in values], np.bool_))
