"""Row by row: slow, and exact about what is wrong with a row and what would be right."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import orjson
from pydantic import ValidationError

from core.ids import derived_id, event_id, uuid7
from ingest.batch import Arrival, Decoded, Rejected
from ingest.decode.explain import RowInvalid, invalid, native, unknown_type
from ingest.decode.shape import BODY_FIELDS, COLUMN_FIELDS, COMMON_FIELDS, FITS, STATUS_TYPES, TYPE_FIELDS
from ingest.decode.tables import table_of
from ingest.decode.upcast import up_to_date
from schemas.catalogue import EVENT_TYPES
from schemas.columns import LABELS, EventField
from schemas.custom import Misfit, TenantType
from schemas.data import EventData
from schemas.envelope import Envelope
from schemas.versions import as_is, readable

#: A row of a body: its index, its value (or the error of reading it) and its bytes.
Row = tuple[int, Any, bytes]


class Unreadable:
    """Stands for the value of a row whose JSON is broken."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason


def read_row(index: int, line: bytes) -> Row:
    """A row of NDJSON."""
    try:
        return index, orjson.loads(line), line
    except orjson.JSONDecodeError as error:
        return index, Unreadable(f"is not JSON: {error}"), line


def written(value: Any) -> bytes:
    """The bytes of an element of an array; what cannot be written again is kept as Python shows it."""
    try:
        return orjson.dumps(value)
    except (orjson.JSONEncodeError, ValueError):
        return repr(value).encode(errors="replace")


def decode_rows(rows: Iterable[Row], arrival: Arrival, row_bytes: int) -> Decoded:
    """Decode rows one by one.

    Parameters
    ----------
    rows
        Index, value and bytes of each.
    arrival
        Who sent them, and when.
    row_bytes
        Longest row that is kept.
    """
    good: list[dict[str, Any]] = []
    rejected: list[Rejected] = []
    all_ids = True
    dropped = 0
    current, origins = up_to_date(list(rows))
    for index, value, original in current:
        try:
            _check_size(original, row_bytes)
            columns = normalise(value, index, arrival)
            if not arrival.capture:
                dropped += columns.pop("body", None) is not None
            good.append(columns)
            all_ids = all_ids and value.get("id") is not None
        except RowInvalid as error:
            field = native(error.field, origins[index]) if index in origins else error.field
            rejected.append(Rejected(index, named(value), field, error.reason, error.kind, original))
            all_ids = all_ids and named(value) is not None
    return Decoded(table_of(good, arrival), tuple(rejected), "slow", all_ids and bool(good or rejected), dropped)


def _check_size(original: bytes, row_bytes: int) -> None:
    if len(original) > row_bytes:
        raise RowInvalid("", f"is larger than {row_bytes} bytes", "size")


def named(value: Any) -> str | None:
    """The id as the sender wrote it, for the answer."""
    found = value.get("id") if isinstance(value, dict) else None
    return str(found)[:256] if isinstance(found, str | int) and not isinstance(found, bool) else None


def normalise(value: Any, index: int, arrival: Arrival) -> dict[str, Any]:
    """The columns of one event.

    Raises
    ------
    RowInvalid
        Says which field is wrong and what would be right.
    """
    if isinstance(value, Unreadable):
        raise RowInvalid("", value.reason, "json")
    if not isinstance(value, dict):
        raise RowInvalid("", "must be a JSON object with type, source, time and data", "json")
    given = {name: item for name, item in value.items() if item is not None}
    model = EVENT_TYPES.get(given["type"]) if isinstance(given.get("type"), str) else None
    own = arrival.types.get(given["type"]) if model is None and isinstance(given.get("type"), str) else None
    if model is None and own is None:
        raise unknown_type(given.get("type"), arrival.types)
    envelope = _validated(given)
    _check_time(envelope.time, arrival)
    columns = _envelope_columns(envelope, index, arrival)
    if model is not None and not as_is(envelope.type, envelope.schema_version):
        reason = f"{envelope.schema_version} of {envelope.type} is not known; known are {readable(envelope.type)}"
        raise RowInvalid("schema_version", reason)
    if own is not None:
        columns["schema_version"] = _fits(own, given.get("schema_version"), envelope.data)
    data = _validated_data(model or EventData, envelope.data)
    _place(columns, TYPE_FIELDS.get(envelope.type, COMMON_FIELDS), data, envelope.data)
    return columns


def _fits(own: TenantType, version: Any, data: dict[str, Any]) -> str:
    """The version of an event of a tenant's own type, as its schema takes it."""
    try:
        return own.check(None if version is None else str(version), data)
    except Misfit as error:
        raise RowInvalid(error.field, error.reason) from None


def _validated(given: dict[str, Any]) -> Envelope:
    try:
        return Envelope.model_validate(given)
    except ValidationError as error:
        raise invalid(error) from None


def _validated_data(model: type[EventData], data: dict[str, Any]) -> EventData:
    try:
        return model.model_validate({name: item for name, item in data.items() if item is not None})
    except ValidationError as error:
        raise invalid(error, "data") from None


def _check_time(time: datetime, arrival: Arrival) -> None:
    if time < arrival.oldest:
        raise RowInvalid(
            "time", f"is older than the retention: events are kept from {arrival.oldest.isoformat()} on", "time"
        )
    if time > arrival.newest:
        raise RowInvalid(
            "time", f"is more than a day ahead of the hub's clock, {arrival.received_at.isoformat()}", "time"
        )


def make_id(given: str | None, index: int, arrival: Arrival) -> uuid.UUID:
    """The id of a row: the sender's, one that a retry of the request gets again, or a new one."""
    if given is not None:
        return event_id(given)
    return uuid7() if arrival.key is None else derived_id(arrival.tenant, arrival.key, index)


def _envelope_columns(envelope: Envelope, index: int, arrival: Arrival) -> dict[str, Any]:
    def raw(text: str | None) -> bytes | None:
        return None if text is None else bytes.fromhex(text)

    return {
        "id": make_id(envelope.id, index, arrival).bytes,
        "type": envelope.type,
        "source": envelope.source,
        "time": envelope.time,
        "schema_version": envelope.schema_version,
        "project": envelope.project,
        "environment": envelope.environment,
        "trace_id": raw(envelope.trace_id),
        "span_id": raw(envelope.span_id),
        "parent_span_id": raw(envelope.parent_span_id),
        "session_id": envelope.session_id,
        "user_id": envelope.user_id,
        "attributes": sorted(envelope.attributes.items()) or None,
    }


def _place(columns: dict[str, Any], fields: Mapping[str, EventField], data: EventData, given: dict[str, Any]) -> None:
    """Put every field of ``data`` where it is kept."""
    event_type = columns["type"]
    rest: dict[str, Any] = {}
    body: dict[str, Any] = {}
    for name in given:
        value = getattr(data, name) if name in fields else given[name]
        if value is None:
            continue
        if name in BODY_FIELDS:
            body[name] = value
        elif name in fields and fields[name].stored.place == "column":
            columns[name] = value
        elif LABELS.get(event_type) == name:
            columns["name"] = value
        elif name not in fields and name in COLUMN_FIELDS and FITS[name](value):
            columns[name] = value
        else:
            rest[name] = value
    if event_type in STATUS_TYPES:
        columns.setdefault("status", "ok")
    columns["data"], columns["body"] = _json(rest, "data"), _json(body, "data")


def _json(value: dict[str, Any], field: str) -> str | None:
    """JSON text with its names in order; null for nothing."""
    if not value:
        return None
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except (orjson.JSONEncodeError, ValueError):
        raise RowInvalid(field, "is nested too deeply, or holds text that is not Unicode") from None
