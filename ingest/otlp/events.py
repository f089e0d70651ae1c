"""The last part of the way that all three signals share: columns → checked events."""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from core.ids import NAMESPACE
from ingest.batch import Arrival, Decoded
from ingest.decode.binary import fixed
from ingest.decode.column import Column
from ingest.decode.finish import finish
from ingest.decode.normalise import normalise
from ingest.decode.parse import Parsed
from ingest.decode.rows import Row, decode_rows
from ingest.decode.tables import together
from ingest.decode.texts import Mask
from ingest.limits import Limits
from ingest.otlp.fields import Fields
from ingest.otlp.records import Records
from schemas.envelope import VERSION
from schemas.fields import NAME_LENGTH
from schemas.times import parse_time

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
#: The source of what names no service.
_NOBODY: Final = "otlp"


@dataclass(slots=True)
class Rows:
    """The rows of a body, ready to be checked.

    Parameters
    ----------
    index
        Their numbers in the request.
    types
        Their event types.
    fields
        What their attributes mean.
    time
        In microseconds.
    ready
        Columns of the envelope in binary.
    duration_ms
        Where they have one.
    keep
        Rows that become events; None for all.
    """

    index: list[int]
    types: list[str]
    fields: Fields
    time: npt.NDArray[np.int64]
    ready: dict[str, pa.Array]
    duration_ms: npt.NDArray[np.float64] | None = None
    keep: Mask | None = None


def decoded_of(records: Records, rows: Rows, arrival: Arrival, limits: Limits) -> Decoded:
    """Check the rows, redact them, and put the rejected ones beside them."""
    rejected = records.rejected
    if not rows.types:
        return finish(Decoded(pa.table({}), tuple(rejected), "fast", all_ids=bool(rejected)), arrival)
    columns = _columns(rows)
    ready = {**rows.ready, "time": pa.array(rows.time)}
    made = {
        "attributes": rows.fields.attribute_maps(),
        "data": rows.fields.rest_texts(),
        "body": rows.fields.contents.texts(len(rows.types)),  # the last one: what is no attribute is found here
    }
    ready |= {name: array for name, array in made.items() if array is not None}
    parsed = Parsed(columns, len(rows.types), ready)
    normalised = normalise(parsed, arrival, lambda: rows.index)
    left = np.zeros(parsed.rows, np.bool_) if rows.keep is None else ~rows.keep
    doubtful = normalised.doubtful & ~left
    tables, path, dropped = [normalised.good(doubtful | left)], "fast", normalised.dropped_bodies
    if doubtful.any():
        slow = decode_rows(_events(parsed, rows, np.flatnonzero(doubtful).tolist()), arrival, limits.row_bytes)
        tables.append(slow.table)
        rejected = sorted([*rejected, *slow.rejected], key=lambda row: row.index)
        path, dropped = "mixed", dropped + slow.dropped_bodies
    good = [table for table in tables if table.num_rows]
    table = together(good) if good else pa.table({})
    return finish(Decoded(table, tuple(rejected), path, all_ids=True, dropped_bodies=dropped), arrival)


def _columns(rows: Rows) -> Mapping[str, Column]:
    columns = rows.fields.data_columns()
    service = columns.get("d.service")
    if service is None:
        source = pa.array([_NOBODY] * len(rows.types), pa.large_string())
    else:
        source = service.array.fill_null(_NOBODY)
    columns["type"] = Column(pa.array(rows.types, pa.large_string()), "text")
    columns["source"] = Column(source, "text")
    if rows.duration_ms is not None:
        columns["d.duration_ms"] = Column(pa.array(rows.duration_ms), "float")
    return columns


def _events(parsed: Parsed, rows: Rows, places: Sequence[int]) -> list[Row]:
    """Rows as events, for the path that says what is wrong with them."""
    found: list[Row] = []
    for place in places:
        event: dict[str, Any] = {"schema_version": VERSION, "data": {}}
        for name, column in parsed.columns.items():
            value = column.array[place].as_py()
            if value is not None:
                (event["data"] if name.startswith("d.") else event)[name.removeprefix("d.")] = value
        for name, array in parsed.ready.items():
            value = array[place].as_py()
            if value is None:
                continue
            if name in ("data", "body"):
                event["data"].update(orjson.loads(value))
            elif name == "attributes":
                event[name] = dict(value)
            elif name != "time":
                event[name] = str(uuid.UUID(bytes=value)) if name == "id" else value.hex()
        event["time"] = written(int(rows.time[place]))
        found.append((rows.index[place], event, orjson.dumps(event)))
    return found


def written(micros: int) -> str | int:
    """A moment in microseconds as the row path takes it."""
    try:
        return (_EPOCH + micros * _MICROSECOND).isoformat()
    except OverflowError:
        return micros // 1000  # no time of the calendar: the row path says so


def row_ids(tenant: str, parts: Sequence[bytes]) -> pa.Array:
    """An id for each row: uuid5 of the tenant and what identifies the row, the same whenever it comes again.

    Parts that are equal are told apart by their order.
    """
    base = hashlib.sha1(NAMESPACE.bytes + tenant.encode() + b"\x1f", usedforsecurity=False)
    digests = []
    seen: dict[bytes, int] = {}
    for part in parts:
        again = seen[part] = seen.get(part, -1) + 1
        one = base.copy()
        one.update(part if not again else part + b"\x1f" + str(again).encode())
        digests.append(one.digest()[:16])
    values = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 16).copy()
    values[:, 6] = values[:, 6] & 0x0F | 0x50
    values[:, 8] = values[:, 8] & 0x3F | 0x80
    return fixed(values)


def receipt_nanoseconds(arrival: Arrival) -> int:
    """When the body came in."""
    return (arrival.received_at - _EPOCH) // _MICROSECOND * 1000


def nanoseconds(text: Any) -> int | None:
    """A written moment, or None."""
    try:
        return (parse_time(text) - _EPOCH) // _MICROSECOND * 1000
    except ValueError:
        return None


def short(text: str) -> str:
    """As much of a text as a name may have."""
    return text if len(text) <= NAME_LENGTH else text[: NAME_LENGTH - 1] + "…"
