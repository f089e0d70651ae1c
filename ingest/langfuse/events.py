"""A joined trace, observation or score → an event of the hub."""

import re
from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from typing import Any, Final

from core.ids import derived_id
from ingest.decode.explain import RowInvalid
from ingest.langfuse.items import Subject
from ingest.langfuse.usage import tokens_of
from schemas.fields import NAME_LENGTH
from schemas.times import parse_time

_HEX32: Final = re.compile(r"[0-9a-f]{32}")
_HEX16: Final = re.compile(r"[0-9a-f]{16}")

#: Most attributes of an event, of those an envelope may have.
_MOST: Final = 60

#: Attribute of an observation that was written without its end.
UNENDED: Final = "llm_hub.unended"

#: Field of the event → field of the item, for errors.
NAMES: Final = {
    "time": "body.endTime",
    "trace_id": "body.traceId",
    "user_id": "body.userId",
    "session_id": "body.sessionId",
    "environment": "body.environment",
    "attributes": "body.metadata",
    "data.name": "body.name",
    "data.model": "body.model",
    "data.evaluator": "body.name",
    "data.score": "body.value",
    "data.label": "body.value",
    "data.duration_ms": "body.endTime",
    "data.time_to_first_token_ms": "body.completionStartTime",
    "data.input_tokens": "body.usage",
    "data.output_tokens": "body.usage",
    "data.cost_usd": "body.costDetails",
}


def event_of(subject: Subject, trace: Mapping[str, Any] | None, tenant: str) -> dict[str, Any]:
    """The event of a subject.

    Parameters
    ----------
    subject
        Joined.
    trace
        What is known of its trace: user, session and name go onto every event.
    tenant
        Whose it is.

    Raises
    ------
    RowInvalid
        A time that is no time.
    """
    body = subject.body
    trace_id = subject.id if subject.kind == "trace" else _text(body.get("traceId"))
    about = {**(trace or {}), **{name: value for name, value in body.items() if value is not None}}
    event: dict[str, Any] = {
        "id": event_id_of(subject.kind, subject.id),
        "source": "langfuse",
        "environment": about.get("environment"),
        "user_id": about.get("userId"),
        "session_id": about.get("sessionId"),
        "trace_id": trace_hex(trace_id) if trace_id else None,
        "attributes": _attributes(body, trace, subject),
        "data": {"more_attributes": {name: one for name, one in _metadata(body).items() if not _short(one)} or None},
    }
    match subject.kind:
        case "score":
            return _score(event, subject, tenant, has_trace=trace is not None)
        case "log":
            event |= {"type": "log.record", "time": _time(subject, "timestamp")}
            event["data"] |= {"body": body.get("log", body), "severity": "debug"}
            return event
    return _observation(event, subject, has_trace=trace is not None)


def _observation(event: dict[str, Any], subject: Subject, *, has_trace: bool) -> dict[str, Any]:
    body, data = subject.body, event["data"]
    event["span_id"] = span_hex(subject.name)
    parent = _text(body.get("parentObservationId"))
    if parent is None and has_trace:
        parent = f"trace:{body['traceId']}"
    event["parent_span_id"] = span_hex(parent) if parent else None
    start, end = _moment(body, "startTime"), _moment(body, "endTime")
    event["time"] = body.get("endTime") or body.get("startTime") or _time(subject, "timestamp")
    if start is not None and end is not None:
        data["duration_ms"] = (end - start).total_seconds() * 1000
    data |= {"input_messages": body.get("input"), "output_messages": body.get("output")}
    data |= {"prompt_id": body.get("promptName"), "prompt_version": _version(body.get("promptVersion"))}
    if body.get("level") == "ERROR":
        data |= {"status": "error"}
    if subject.kind == "generation":
        event["type"] = "llm.request"
        _generation(data, body, start)
    else:
        event["type"] = "span"
        data.setdefault("duration_ms", 0.0)
        data |= {"name": _text(body.get("name")) or subject.kind, "status_message": body.get("statusMessage")}
        data["kind"] = "chain" if subject.kind == "trace" else str(body.get("type") or "internal").lower()[:256]
    return event


def _generation(data: dict[str, Any], body: Mapping[str, Any], start: datetime | None) -> None:
    first = _moment(body, "completionStartTime")
    if start is not None and first is not None:
        data["time_to_first_token_ms"] = (first - start).total_seconds() * 1000
    parameters = body.get("modelParameters")
    parameters = parameters if isinstance(parameters, dict) else {}
    data |= {
        "model": body.get("model") or "unknown",
        "operation": "chat",
        "temperature": _number(parameters.get("temperature")),
    }
    data["max_tokens"] = _whole(parameters.get("max_tokens", parameters.get("maxTokens")))
    if data.get("status") == "error":
        data["error_type"] = str(body.get("statusMessage") or "error")[:256]
    _usage(data, body)


def _usage(data: dict[str, Any], body: Mapping[str, Any]) -> None:
    details, plain, costs = (
        value if isinstance(value := body.get(name), dict) else {} for name in ("usageDetails", "usage", "costDetails")
    )
    data |= tokens_of(details or plain)
    data["cost_usd"] = costs.get("total", plain.get("totalCost"))


def _score(event: dict[str, Any], subject: Subject, tenant: str, *, has_trace: bool) -> dict[str, Any]:
    body = subject.body
    value, observation = body.get("value"), _text(body.get("observationId"))
    data = {**event["data"], "evaluator": body.get("name"), "explanation": body.get("comment")}
    if isinstance(value, bool):
        data |= {"score": float(value), "passed": value}
    elif isinstance(value, str):
        data["label"] = value
    else:
        data["score"] = value
    if observation:
        event["parent_span_id"] = span_hex(observation)
        trace = str(body.get("traceId"))
        came_by_otlp = _HEX16.fullmatch(observation) and _HEX32.fullmatch(trace)
        data["target_event_id"] = (
            str(derived_id(tenant, trace, observation)) if came_by_otlp else event_id_of("span", observation)
        )
    elif event["trace_id"]:
        data["target_event_id"] = event_id_of("trace", str(body.get("traceId")))
        event["parent_span_id"] = span_hex(f"trace:{body.get('traceId')}") if has_trace else None
    return {**event, "type": "evaluation.score", "time": _time(subject, "timestamp"), "data": data}


def _attributes(body: Mapping[str, Any], trace: Mapping[str, Any] | None, subject: Subject) -> dict[str, Any]:
    found = {"trace_name": (body if subject.kind == "trace" else trace or {}).get("name")}
    if not subject.ended:
        found[UNENDED] = "true"
    found |= {name: body.get(name) for name in ("release", "version", "tags", "level")}
    found |= {name: value for name, value in _metadata(body).items() if _short(value)}
    return {name: value for name, value in list(found.items())[:_MOST] if value is not None}


def _metadata(body: Mapping[str, Any]) -> dict[str, Any]:
    metadata = body.get("metadata")
    return metadata if isinstance(metadata, dict) else {} if metadata is None else {"metadata": metadata}


def _short(value: object) -> bool:
    """Whether it is a name or a figure to filter by; anything else is kept with the contents."""
    return isinstance(value, int | float) or (isinstance(value, str) and len(value) <= NAME_LENGTH)


def event_id_of(kind: str, id_: str) -> str:
    """The event's id: the same whichever item of the subject comes first."""
    return str(derived_id("langfuse", "observation" if kind in ("span", "generation", "event") else kind, id_))


def trace_hex(id_: str) -> str:
    """Langfuse's trace ids are UUIDs, W3C's, or anything."""
    plain = id_.replace("-", "").lower()
    return plain if _HEX32.fullmatch(plain) else derived_id("langfuse", "trace", id_).hex


def span_hex(id_: str) -> str:
    """Eight bytes for an observation, the same wherever it is named."""
    return id_ if _HEX16.fullmatch(id_) else derived_id("langfuse", "span", id_).hex[:16]


def _moment(body: Mapping[str, Any], name: str) -> datetime | None:
    if body.get(name) is None:
        return None
    try:
        return parse_time(body[name])
    except ValueError as error:
        raise RowInvalid(f"body.{name}", str(error), "time") from None


def _time(subject: Subject, name: str) -> Any:
    """When it happened: as its body says, else when its item was made."""
    return subject.body.get(name) or subject.said


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _version(value: object) -> Any:
    return str(value) if isinstance(value, int | float) else value


def _number(value: object) -> float | None:
    """A figure; Langfuse's client writes those of parameters as text where they are no whole numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if isfinite(number) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
