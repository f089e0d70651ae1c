"""OTLP requests as senders write them, and events as they come out."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from access.tenant_settings import Redaction, RedactionMode
from ingest.batch import Arrival, Decoded
from ingest.limits import Limits
from ingest.otlp.logs import decode_lines
from ingest.otlp.metrics import decode_points
from ingest.otlp.spans import decode_spans
from schemas.arrow import widen
from schemas.columns import DATA_COLUMNS, LABELS

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
ARRIVAL = Arrival("acme", NOW, NOW - timedelta(days=90), NOW + timedelta(days=1), "otlp_traces")
PLAIN = Arrival(
    "acme", NOW, NOW - timedelta(days=90), NOW + timedelta(days=1), redaction=Redaction(mode=RedactionMode.OFF)
)
LIMITS = Limits()
TRACE = "5b8efff798038103d269b633813fc60c"
#: A minute before the body comes in, in nanoseconds.
ENDED = int((NOW - timedelta(minutes=1)).timestamp()) * 10**9
MS = 10**6

_MESSAGES = {
    "resourceSpans": ExportTraceServiceRequest,
    "resourceLogs": ExportLogsServiceRequest,
    "resourceMetrics": ExportMetricsServiceRequest,
}


def any_value(value: Any) -> dict[str, Any]:
    """An ``AnyValue`` in JSON."""
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list():
            return {"arrayValue": {"values": [any_value(item) for item in value]}}
        case dict():
            return {"kvlistValue": {"values": pairs(value)}}
        case _:
            return {"stringValue": value}


def pairs(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Attributes in JSON."""
    return [{"key": key, "value": any_value(value)} for key, value in attributes.items()]


def span_id(number: int) -> str:
    """The id of the span with this number."""
    return f"{number:016x}"


def span(number: int = 1, attributes: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A span of one second; ``parent``, ``start_ms`` and ``end_ms`` (before :data:`ENDED`) are for short."""
    start, end = more.pop("start_ms", 1000), more.pop("end_ms", 0)
    parent = more.pop("parent", None)
    return {
        "traceId": TRACE,
        "spanId": span_id(number),
        "parentSpanId": span_id(parent) if parent else "",
        "name": f"span {number}",
        "kind": 3,
        "startTimeUnixNano": str(ENDED - int(start * MS)),
        "endTimeUnixNano": str(ENDED - int(end * MS)),
        "attributes": pairs(attributes or {}),
        **more,
    }


def traces(*spans: dict[str, Any], resource: Mapping[str, Any] | None = None, scope: str = "tests") -> dict[str, Any]:
    """A request with spans of one scope."""
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": pairs(resource or {})},
                "scopeSpans": [{"scope": {"name": scope}, "spans": [*spans]}],
            }
        ]
    }


def logs(*lines: dict[str, Any], resource: Mapping[str, Any] | None = None, scope: str = "tests") -> dict[str, Any]:
    """A request with lines of one scope."""
    return {
        "resourceLogs": [
            {
                "resource": {"attributes": pairs(resource or {})},
                "scopeLogs": [{"scope": {"name": scope}, "logRecords": [*lines]}],
            }
        ]
    }


def metrics(*given: dict[str, Any], resource: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A request with metrics of one scope."""
    return {
        "resourceMetrics": [
            {"resource": {"attributes": pairs(resource or {})}, "scopeMetrics": [{"scope": {}, "metrics": [*given]}]}
        ]
    }


def as_protobuf(request: dict[str, Any]) -> bytes:
    """A request of JSON in protobuf, by the official messages."""
    message = _MESSAGES[next(iter(request))]()
    return json_format.ParseDict(_base64_ids(request), message).SerializeToString()


def _base64_ids(value: Any) -> Any:
    """What ``ParseDict`` takes for ids."""
    if isinstance(value, list):
        return [_base64_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: base64.b64encode(bytes.fromhex(item)).decode()
        if name in ("traceId", "spanId", "parentSpanId")
        else _base64_ids(item)
        for name, item in value.items()
    }


def decode(request: dict[str, Any], *, plain: bool = True, arrival: Arrival = PLAIN, **more: Any) -> Decoded:
    """A request through its decoder, in JSON or in protobuf."""
    signal = next(iter(request))
    decoder = {"resourceSpans": decode_spans, "resourceLogs": decode_lines, "resourceMetrics": decode_points}[signal]
    body = orjson.dumps(request) if plain else as_protobuf(request)
    return decoder(body, arrival, LIMITS, plain=plain, **more)


def events(decoded: Decoded) -> list[dict[str, Any]]:
    """The events of a table in the shape of the contract, without what is null; contents under ``body``."""
    if not decoded.table.num_rows:
        return []
    return [_event(row) for row in widen(decoded.table).to_pylist()]


def _event(row: dict[str, Any]) -> dict[str, Any]:
    data = {column.name: row[column.name] for column in DATA_COLUMNS if row[column.name] is not None}
    data |= orjson.loads(row["data"]) if row["data"] else {}
    if row["name"] is not None:
        data[LABELS.get(row["type"], "name")] = row["name"]
    event = {
        name: row[name].hex() if isinstance(row[name], bytes) else row[name]
        for name in (
            *("id", "type", "source", "time", "project", "environment", "trace_id", "span_id", "parent_span_id"),
            *("session_id", "user_id"),
        )
        if row[name] is not None
    }
    return {
        **event,
        "data": data,
        "attributes": dict(row["attributes"] or ()),
        "body": orjson.loads(row["body"]) if row["body"] else {},
    }


def one(request: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The only event of a request, the same in both encodings; lines and points have ids of their bytes."""
    (first,), (second,) = (events(decode(request, plain=plain, **more)) for plain in (True, False))
    if "resourceSpans" not in request:
        first["id"] = second["id"]
    assert first == second
    return first
