"""Events as OpenTelemetry says them: spans, lines of logs and points of metrics, in protobuf.

The attributes are those that :mod:`ingest.otlp.dialects` reads, the newest name of each field; fields that no
convention knows go as ``llm_hub.FIELD``. Types that are neither work with a duration in a trace, nor a line, a point or
a judgement have no form in OTLP: they go as the hub's own lines.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from types import MappingProxyType
from typing import Any, Final

import orjson

from hub.simulate.config import Event
from ingest.otlp.dialects import gen_ai, general
from ingest.otlp.dialects.own import DIALECT as OWN
from ingest.otlp.wire import MESSAGES

_SCOPE: Final = "llm-hub simulate"

#: Type of a span → its ``gen_ai.operation.name`` where ``data`` does not hold it.
_OPERATIONS: Final[Mapping[str, str]] = MappingProxyType(
    {"llm.request": "chat", "retrieval.query": "retrieval", "tool.call": "execute_tool", "agent.run": "invoke_agent"}
)
_SPANS: Final = frozenset({*_OPERATIONS, "span"})
_SPAN_KINDS: Final[Mapping[str, int]] = MappingProxyType({"server": 2, "client": 3})
_ERROR: Final = 2
_SEVERITIES: Final[Mapping[str, int]] = MappingProxyType(
    {"trace": 1, "debug": 5, "info": 9, "warn": 13, "error": 17, "fatal": 21}
)
_EVALUATION: Final = "gen_ai.evaluation.result"
_TEMPORALITIES: Final[Mapping[str, int]] = MappingProxyType({"delta": 1, "cumulative": 2})

#: Field → attribute; of several names the one that its dialect lists first.
_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        (field if isinstance(field, str) else field.name): attribute
        for dialect in (OWN, general.DIALECT, gen_ai.DIALECT)
        for attribute, field in reversed(list(dialect.fields.items()))
    }
    | {
        "top_k": "gen_ai.request.top_k",
        "evaluator": "gen_ai.evaluation.name",
        "score": "gen_ai.evaluation.score.value",
        "label": "gen_ai.evaluation.score.label",
    }
)
#: Fields whose attributes say them in another way.
_SAID: Final[Mapping[str, Callable[[Any], Any]]] = MappingProxyType(
    {"time_to_first_token_ms": lambda value: value / 1000, "finish_reason": lambda value: [value]}
)
#: Fields that a span has a place of its own for.
_OF_SPANS: Final = frozenset({"name", "kind", "service", "duration_ms", "status", "status_message"})


def traces(events: Iterable[Event]) -> bytes:
    """An ``ExportTraceServiceRequest``."""
    return _request(events, lambda _: _SCOPE, _span)


def logs(events: Iterable[Event]) -> bytes:
    """An ``ExportLogsServiceRequest``."""
    return _request(events, lambda event: event["data"].get("logger", _SCOPE), _line)


def metrics(events: Iterable[Event]) -> bytes:
    """An ``ExportMetricsServiceRequest``."""
    return _request(events, lambda _: _SCOPE, _metric)


#: Path → which events it takes, and how they are written.
SIGNALS: Final[Mapping[str, tuple[Callable[[Event], bool], Callable[[Iterable[Event]], bytes]]]] = MappingProxyType(
    {
        "/v1/traces": (lambda event: event["type"] in _SPANS and "span_id" in event, traces),
        "/v1/logs": (lambda event: event["type"] in ("log.record", "evaluation.score"), logs),
        "/v1/metrics": (lambda event: event["type"] == "metric.sample", metrics),
    }
)


def _request(events: Iterable[Event], scope: Callable[[Event], str], write: Callable[[Event], bytes]) -> bytes:
    """The items by who sends them (the resource) and by scope."""

    def origin(event: Event) -> tuple[str, str, str, str]:
        service = event["data"].get("service", event["source"])
        return service, event.get("project", ""), event.get("environment", ""), scope(event)

    resources = [
        _resource(*key, items=[write(event) for event in some])
        for key, some in groupby(sorted(events, key=origin), origin)
    ]
    return _bytes("Request", resources=resources)


def _resource(service: str, project: str, environment: str, scope: str, items: Sequence[bytes]) -> bytes:
    named = {"service.name": service, "service.namespace": project, "deployment.environment.name": environment}
    of_scope = _bytes("OfScope", scope=MESSAGES["Scope"](name=scope.encode()), items=items)
    resource = MESSAGES["Resource"](attributes=[_pair(name, value) for name, value in named.items() if value])
    return _bytes("OfResource", resource=resource, scopes=[of_scope])


def _span(event: Event) -> bytes:
    data = event["data"]
    end = _nanoseconds(event["time"])
    operation = data.get("operation") or _OPERATIONS.get(event["type"])
    kind = _SPAN_KINDS.get(data.get("kind", ""), 1)
    more = {"gen_ai.operation.name": operation} if operation else {}
    if "document_ids" in data:
        found = zip(data["document_ids"], data["scores"], strict=True)
        more["gen_ai.retrieval.documents"] = [{"id": one, "score": score} for one, score in found]
    failed = data.get("status") == "error"
    return _bytes(
        "Span",
        trace_id=bytes.fromhex(event["trace_id"]),
        span_id=bytes.fromhex(event["span_id"]),
        parent_span_id=bytes.fromhex(event.get("parent_span_id", "")),
        name=(data.get("name") or " ".join(filter(None, (operation, data.get("model"))))).encode(),
        kind=kind,
        start=end - round(data["duration_ms"] * 1e6),
        end=end,
        attributes=_attributes(event, more, without=_OF_SPANS | {"operation", "document_ids", "scores", "returned"}),
        status=MESSAGES["Status"](code=_ERROR if failed else 0, message=data.get("status_message", "").encode()),
    )


def _line(event: Event) -> bytes:
    data = event["data"]
    judged = event["type"] == "evaluation.score"
    return _bytes(
        "LogRecord",
        time=_nanoseconds(event["time"]),
        severity=_SEVERITIES.get(data.get("severity", ""), 0),
        body=None if judged else _any(data["body"]),
        trace_id=bytes.fromhex(event.get("trace_id", "")),
        event_name=_EVALUATION.encode() if judged else b"",
        attributes=_attributes(event, {}, without=frozenset({"body", "severity", "logger", "service"})),
    )


def _metric(event: Event) -> bytes:
    data = event["data"]
    known = {"name": data["name"].encode(), "unit": data.get("unit", "").encode()}
    point: dict[str, Any] = {
        "time": _nanoseconds(event["time"]),
        "attributes": _attributes(event, {}, without=frozenset(data)),
    }
    temporality = _TEMPORALITIES.get(data.get("temporality", ""), 0)
    if data["kind"] == "histogram":
        point |= {"count": data["count"], "sum": data["sum"], "bounds": data["bounds"]}
        point["bucket_counts"] = [int(count) for count in data["bucket_counts"]]
        points = MESSAGES["Histograms"](points=[MESSAGES["Histogram"](**point)], temporality=temporality)
        return _bytes("Metric", histogram=points, **known)
    one = MESSAGES["Point"](real=data["value"], **point)
    if data["kind"] == "counter":
        summed = MESSAGES["Points"](points=[one], temporality=temporality, monotonic=True)
        return _bytes("Metric", sum=summed, **known)
    return _bytes("Metric", gauge=MESSAGES["Points"](points=[one]), **known)


def _attributes(event: Event, more: Mapping[str, Any], without: frozenset[str]) -> list[bytes]:
    said = {
        _NAMES.get(name, name): _SAID[name](value) if name in _SAID else value
        for name, value in event["data"].items()
        if name not in without
    }
    who = {_NAMES[name]: event[name] for name in ("session_id", "user_id") if name in event}
    return [_pair(name, _flat(value)) for name, value in {**event.get("attributes", {}), **who, **said, **more}.items()]


def _flat(value: Any) -> Any:
    """Objects, and lists of them, as JSON text, which is how instrumentations write messages."""
    if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict | list) for item in value)):
        return orjson.dumps(value).decode()
    return tuple(value) if isinstance(value, list) else value


@lru_cache(maxsize=65_536, typed=True)
def _pair(name: str, value: Any) -> bytes:
    return _bytes("KeyValue", key=name.encode(), value=_any(value))


def _any(value: Any) -> Any:
    """An ``AnyValue``."""
    make = MESSAGES["AnyValue"]
    match value:
        case bool():
            return make(flag=value)
        case int():
            return make(whole=value)
        case float():
            return make(real=value)
        case tuple():
            return make(array=MESSAGES["Array"](values=[_any(item) for item in value]))
        case _:
            return make(text=str(value).encode())


def _bytes(message: str, **fields: Any) -> bytes:
    written: bytes = MESSAGES[message](**fields).SerializeToString()
    return written


def _nanoseconds(time: str) -> int:
    moment = datetime.fromisoformat(time)
    return (int(moment.replace(microsecond=0).timestamp()) * 1_000_000 + moment.microsecond) * 1000
