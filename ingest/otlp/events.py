"""The last part of the way that all three signals share: columns → checked events."""

import hashlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from core.errors import HubError
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
from ingest.otlp.bodies import Bodies
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
    """The rows of some bodies, ready to be checked.

    Parameters
    ----------
    index
        Their numbers in their requests.
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


def decoded_of(bodies: Bodies, rows: Rows, arrival: Arrival, limits: Limits) -> list[Decoded | HubError]:
    """Check the rows, redact them, and give each body its own, with the rejected ones beside them."""
    if not rows.types:
        checked = _Checked(Decoded(pa.table({})), np.zeros(0, np.bool_), np.zeros(1, np.int64), lambda _: [])
    else:
        checked = _checked(rows, arrival)
    found: list[Decoded | HubError] = []
    for part, places in zip(bodies.parts, bodies.ranges(), strict=True):
        found.append(part if isinstance(part, HubError) else _of_body(part, places, checked, arrival, limits))
    return _with_counts(found, checked.good)


@dataclass(frozen=True, slots=True)
class _Checked:
    """What was checked of all bodies.

    Parameters
    ----------
    good
        The good rows, redacted.
    doubtful
        Rows that are to be looked at one by one.
    before
        How many good rows stand before each row; one more at the end.
    events
        Rows as the row path takes them.
    """

    good: Decoded
    doubtful: Mask
    before: npt.NDArray[np.int64]
    events: Callable[[Sequence[int]], list[Row]]


def _checked(rows: Rows, arrival: Arrival) -> _Checked:
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
    good = finish(Decoded(normalised.good(doubtful | left), dropped_bodies=normalised.dropped_bodies), arrival)
    before = np.concatenate([[0], np.cumsum(~(doubtful | left))])
    return _Checked(good, doubtful, before, lambda places: _events(parsed, rows, places))


def _of_body(part: Records, places: range, checked: _Checked, arrival: Arrival, limits: Limits) -> Decoded:
    """The good rows of a body, and its doubtful ones looked at one by one."""
    first, last = int(checked.before[places.start]), int(checked.before[places.stop])
    good = checked.good.table.slice(first, last - first)
    doubtful = np.flatnonzero(checked.doubtful[places.start : places.stop]) + places.start
    if not len(doubtful):
        decoded = Decoded(pa.table({}), tuple(part.rejected), "fast", all_ids=bool(part.rows or part.rejected))
        return finish(decoded, arrival).with_table(good)
    slow = decode_rows(checked.events(doubtful.tolist()), arrival, limits.row_bytes)
    rejected = sorted([*part.rejected, *slow.rejected], key=lambda row: row.index)
    decoded = finish(replace(slow, rejected=tuple(rejected), path="mixed", all_ids=True), arrival)
    tables = [table for table in (good, decoded.table) if table.num_rows]
    return decoded.with_table(together(tables) if tables else pa.table({}))


def _with_counts(found: list[Decoded | HubError], good: Decoded) -> list[Decoded | HubError]:
    """The counts of the block as those of its first body: they are added up anyway."""
    for place, one in enumerate(found):
        if isinstance(one, Decoded):
            found[place] = replace(
                one,
                redactions=one.redactions + good.redactions,
                dropped_bodies=one.dropped_bodies + good.dropped_bodies,
            )
            break
    return found


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


def row_ids(tenant: str, parts: Sequence[bytes], bodies: Sequence[int]) -> pa.Array:
    """An id for each row: uuid5 of the tenant and what identifies the row, the same whenever it comes again.

    Parts of one body that are equal are told apart by their order.
    """
    base = hashlib.sha1(NAMESPACE.bytes + tenant.encode() + b"\x1f", usedforsecurity=False)
    if len(set(parts)) < len(parts):
        parts = list(_told_apart(parts, bodies))
    digests = []
    for part in parts:
        one = base.copy()
        one.update(part)
        digests.append(one.digest()[:16])
    values = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 16).copy()
    values[:, 6] = values[:, 6] & 0x0F | 0x50
    values[:, 8] = values[:, 8] & 0x3F | 0x80
    return fixed(values)


def _told_apart(parts: Sequence[bytes], bodies: Sequence[int]) -> Iterator[bytes]:
    seen: dict[tuple[int, bytes], int] = {}
    for key in zip(bodies, parts, strict=True):
        again = seen[key] = seen.get(key, -1) + 1
        yield key[1] if not again else key[1] + b"\x1f" + str(again).encode()


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
