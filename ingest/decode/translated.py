"""Rows of another form → events of the hub: what CloudEvents, the modules' adapters and Langfuse have in common."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

from core.errors import BadRequest, TooLarge
from ingest import forms
from ingest.batch import Arrival, Decoded, Rejected
from ingest.decode.explain import RowInvalid, native
from ingest.decode.finish import finish
from ingest.decode.rows import Row, Unreadable, decode_rows, named, read_row, written
from ingest.limits import Limits
from schemas.catalogue import EVENT_TYPES

#: Media types of which each line is a row.
LINES: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})


@dataclass(frozen=True, slots=True)
class Translated:
    """An event that a row has become.

    Parameters
    ----------
    event
        In the hub's form.
    names
        Field of the event → field of the row it was taken from: errors name the field that the sender knows.
    """

    event: dict[str, Any]
    names: Mapping[str, str] = field(default_factory=dict)


#: Turns one row into its events, or raises :class:`RowInvalid`; called in a thread.
Translate = Callable[[dict[str, Any]], Iterable[Translated]]


def read_rows(body: bytes, media_type: str, limits: Limits) -> list[Row]:
    """The rows of a JSON object, an array, or lines of JSON.

    Raises
    ------
    BadRequest
        The body cannot be read, or holds no rows.
    TooLarge
        There are more rows than one body may have.
    """
    if media_type in LINES:
        if body.count(b"\n") >= limits.rows:
            raise TooLarge(f"the body has more than {limits.rows} lines; send it in parts", limit=limits.rows)
        rows = [read_row(index, line) for index, line in enumerate(body.split(b"\n")) if line and not line.isspace()]
    else:
        rows = [(index, value, written(value)) for index, value in enumerate(_values(body))]
    if not rows:
        raise BadRequest("the body holds no events: send one JSON object, or an array of at least one")
    return rows


def _values(body: bytes) -> list[Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}; lines of JSON are sent as application/x-ndjson") from None
    if not isinstance(value, dict | list):
        raise BadRequest("the body holds no events: send one JSON object, or an array of at least one")
    return value if isinstance(value, list) else [value]


def decode_translated(
    rows: Iterable[Row], translate: Translate, arrival: Arrival, limits: Limits, form: str
) -> Decoded:
    """Translate rows and decode what they become; a wrong row is told by its own index, id and field.

    A row may become several events: each is kept or rejected for itself, and counts for itself in the answer. ``form``
    says what the rows are (:mod:`ingest.forms`).
    """
    events: list[Row] = []
    origins: list[tuple[int, str | None, Mapping[str, str]]] = []
    rejected: list[Rejected] = []
    for index, value, text in rows:
        try:
            made = list(translate(_object(value)))
        except RowInvalid as error:
            rejected.append(Rejected(index, named(value), error.field, error.reason, error.kind, text, form))
            continue
        for one in made:
            if form != forms.CLOUDEVENT and one.event.get("type") in EVENT_TYPES:  # made here, so of today's version
                one.event.setdefault("schema_version", EVENT_TYPES[one.event["type"]].VERSION)
            origins.append((index, named(value) or named(one.event), one.names))
            events.append((len(events), one.event, text))
    decoded = decode_rows(events, arrival, limits.row_bytes)
    for row in decoded.rejected:
        index, id_, names = origins[row.index]
        rejected.append(replace(row, index=index, id=id_, field=native(row.field, names), form=form))
    rejected.sort(key=lambda row: row.index)
    if not arrival.capture:  # which fields of a foreign row are contents is not known: none of it is kept
        rejected = [replace(row, original=b"") for row in rejected]
    all_ids = (decoded.all_ids or not events) and all(row.id is not None for row in rejected)
    return finish(replace(decoded, rejected=tuple(rejected), all_ids=all_ids), arrival)


def _object(value: Any) -> dict[str, Any]:
    if isinstance(value, Unreadable):
        raise RowInvalid("", value.reason, "json")
    if not isinstance(value, dict):
        raise RowInvalid("", "must be a JSON object", "json")
    return value
