"""CloudEvents 1.0: binary, structured and batched mode.

==================  ==========================================================================================
attribute           becomes
==================  ==========================================================================================
``id``              ``id`` when it is a UUID, else the uuid5 of ``source`` and ``id``
``type``            ``type``; what stands before a known type is a prefix: ``com.example.llm.request``
``source``          ``source``: the last segment of its path (``/platform/gateway`` → ``gateway``)
``time``            ``time``; the time of receipt where it is missing
``traceparent``     ``trace_id`` and ``span_id``
others              names of the envelope without ``_`` (``sessionid``, ``userid``, ``project`` …) become those;
                    ``subject``, ``dataschema`` and every other extension become ``attributes``
``tenant``          nothing: the tenant comes from the credential
==================  ==========================================================================================

``data`` (``data_base64`` once decoded) is the event's ``data``; JSON that is no object becomes ``{"value": …}``.
"""

import base64
import re
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import unquote

import orjson

from core.errors import BadRequest, TooLarge
from core.ids import derived_id
from ingest import forms
from ingest.batch import Arrival, Decoded
from ingest.decode.explain import RowInvalid, unknown_type
from ingest.decode.rows import Row, written
from ingest.decode.translated import Translated, decode_translated, read_rows
from ingest.limits import Limits
from schemas.catalogue import EVENT_TYPES

STRUCTURED: Final = forms.CLOUDEVENT
BATCH: Final = "application/cloudevents-batch+json"

_HEADER: Final = "ce-"
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}")
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")

#: Extensions are named in lower case without separators; these are names of the hub's envelope.
_ENVELOPE: Final[Mapping[str, str]] = {
    name.replace("_", ""): name
    for name in (
        "schema_version",
        "project",
        "environment",
        "trace_id",
        "span_id",
        "parent_span_id",
        "session_id",
        "user_id",
    )
}
#: What is read by name, or must not be read at all.
_OWN: Final = frozenset(
    ("specversion", "id", "type", "source", "time", "datacontenttype", "data", "data_base64", "traceparent", "tenant")
)
_NAMES: Final = {"attributes": "extensions", **{to: name for name, to in _ENVELOPE.items()}}


def is_binary(headers: Mapping[str, str]) -> bool:
    """Whether the headers of a request carry an event's attributes."""
    return f"{_HEADER}specversion" in headers or f"{_HEADER}type" in headers


def attributes_of(headers: Mapping[str, str]) -> dict[str, str]:
    """The event's attributes among the headers of a request; values are percent-encoded there."""
    return {name[len(_HEADER) :]: unquote(value) for name, value in headers.items() if name.startswith(_HEADER)}


def decode_binary(body: bytes, arrival: Arrival, limits: Limits, attributes: Mapping[str, str]) -> Decoded:
    """Decode one event whose attributes came in headers; the body is its data.

    Raises
    ------
    BadRequest
        The body is not JSON.
    """
    event: dict[str, Any] = dict(attributes)
    if body.strip():
        event["data"] = _loads(body)
    return decode_events([(0, event, written(event))], arrival, limits)


def decode_structured(body: bytes, arrival: Arrival, limits: Limits) -> Decoded:
    """Decode one event as a JSON object.

    Raises
    ------
    BadRequest
        It is no JSON object.
    """
    value = _loads(body)
    if not isinstance(value, dict):
        raise BadRequest(f"the body is no CloudEvent: send one JSON object, or an array of them as {BATCH}")
    return decode_events([(0, value, body)], arrival, limits)


def decode_batch(body: bytes, arrival: Arrival, limits: Limits) -> Decoded:
    """Decode an array of events.

    Raises
    ------
    BadRequest
        It is no array of at least one.
    TooLarge
        It has more events than one body may have.
    """
    value = _loads(body)
    if not isinstance(value, list) or not value:
        raise BadRequest("the body holds no events: send a JSON array of at least one CloudEvent")
    if len(value) > limits.rows:
        raise TooLarge(f"the body has more than {limits.rows} events; send it in parts", limit=limits.rows)
    return decode_events([(index, event, written(event)) for index, event in enumerate(value)], arrival, limits)


def decode_lines(body: bytes, arrival: Arrival, limits: Limits) -> Decoded:
    """Decode lines of which each is an event in structured form; a broken one is the error of its row.

    Raises
    ------
    TooLarge
        There are more lines than one body may have.
    """
    return decode_events(read_rows(body, "application/x-ndjson", limits), arrival, limits)


def _loads(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from None


def decode_events(rows: Iterable[Row], arrival: Arrival, limits: Limits) -> Decoded:
    """Decode events one by one."""
    plain = (_with_plain_data(row) for row in rows)
    return decode_translated(plain, partial(_translate, arrival=arrival), arrival, limits, forms.CLOUDEVENT)


def _with_plain_data(row: Row) -> Row:
    """Base64 undone where it hides JSON, and in what a dead letter keeps: redaction has to see it."""
    index, event, _ = row
    if not isinstance(event, dict) or not isinstance(event.get("data_base64"), str):
        return row
    try:
        raw = base64.b64decode(event["data_base64"], validate=True)
    except ValueError:
        return row
    rest = {name: item for name, item in event.items() if name != "data_base64"}
    try:
        plain = {**rest, "data": orjson.loads(raw)}
    except orjson.JSONDecodeError:
        return index, event, written({**rest, "data": raw.decode(errors="replace")})
    return index, plain, written(plain)


def _translate(event: dict[str, Any], arrival: Arrival) -> Iterable[Translated]:
    version = event.get("specversion")
    if not isinstance(version, str) or not version.startswith("1."):
        raise RowInvalid("specversion", "is required" if version is None else "must be 1.0")
    id_, source = _text(event, "id"), _text(event, "source")
    made: dict[str, Any] = {
        "id": id_ if _UUID.fullmatch(id_) else str(derived_id(source, id_)),
        "type": _type(_text(event, "type"), arrival.types),
        "source": _last_segment(source),
        "time": arrival.received_at.isoformat() if event.get("time") is None else event["time"],
        **_trace(event.get("traceparent")),
        "data": _data(event),
    }
    attributes = {}
    for name, value in event.items():
        if name in _ENVELOPE:
            made[_ENVELOPE[name]] = value
        elif name not in _OWN:
            attributes[name] = value
    made["attributes"] = attributes
    yield Translated(made, _NAMES)


def _text(event: Mapping[str, Any], name: str) -> str:
    value = event.get(name)
    if not isinstance(value, str) or not value:
        raise RowInvalid(name, "is required" if value is None else "must be text that is not empty")
    return value


def _type(name: str, own: Collection[str]) -> str:
    if name in EVENT_TYPES or name in own:
        return name
    known = [event_type for event_type in (*EVENT_TYPES, *own) if name.endswith("." + event_type)]
    if not known:
        raise unknown_type(name, own)
    return max(known, key=len)


def _last_segment(source: str) -> str:
    """
    Examples
    --------
    >>> [_last_segment(s) for s in ("gateway", "/platform/gateway", "https://a.example/gateway/?x#y", "urn:a:gateway")]
    ['gateway', 'gateway', 'gateway', 'gateway']
    """
    path = re.split(r"[?#]", source)[0]
    segments = [segment for segment in re.split(r"[/:]", path) if segment]
    return segments[-1] if segments else source


def _trace(traceparent: object) -> dict[str, str]:
    if traceparent is None:
        return {}
    match = _TRACEPARENT.fullmatch(traceparent) if isinstance(traceparent, str) else None
    if match is None:
        raise RowInvalid("traceparent", "must be like 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    return {"trace_id": match[1], "span_id": match[2]}


def _data(event: Mapping[str, Any]) -> dict[str, Any]:
    if event.get("data_base64") is not None:  # what could be read is in ``data`` by now
        raise RowInvalid("data_base64", "must be base64 of JSON")
    data = event.get("data")
    if data is None:
        return {}
    return data if isinstance(data, dict) else {"value": data}
