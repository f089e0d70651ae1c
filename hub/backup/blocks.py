"""Tables of the warehouse and records of the log as members: Arrow IPC, each batch compressed with zstd."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from broker.log import Headers, Mark, NewRecord, Record
from schemas.columns import EVENT_COLUMNS
from storage.warehouse.rollups import ROLLUPS, Rollup

#: Columns of ``events`` as they are moved; the position keeps the rollups' marks true.
EVENTS: Final = (*(column.name for column in EVENT_COLUMNS), "position")
PAYLOADS: Final = ("tenant", "time", "received_at", "id", "trace_id", "type", "body", "expires_at")

#: Sums that a backup tells of every table, to be compared after a restore.
SUMS: Final = ("input_tokens", "output_tokens", "cost_usd")

_ROLLUPS: Final = {rollup.name: rollup for rollup in ROLLUPS}

#: Small batches: each is held in memory with what is made of it.
STREAM_SETTINGS: Final[dict[str, str | int | float]] = {
    "max_threads": 1,
    "max_block_size": 32_768,
    "preferred_block_size_bytes": 16 << 20,
}
#: Of rollups: states of aggregates are bytes, and no Unicode.
BYTES: Final[dict[str, str | int | float]] = {**STREAM_SETTINGS, "output_format_arrow_string_as_string": 0}

_HEADER: Final = pa.struct([("name", pa.string()), ("value", pa.binary())])
_RECORDS: Final = pa.schema(
    [
        ("offset", pa.int64()),
        ("timestamp_ms", pa.int64()),
        ("key", pa.binary()),
        ("value", pa.large_binary()),
        ("headers", pa.list_(_HEADER)),
        ("stored", pa.bool_()),
    ]
)
_MARKS: Final = pa.schema(
    [
        ("key", pa.binary()),
        ("body_hash", pa.binary()),
        ("rows", pa.int64()),
        ("answer", pa.binary()),
        ("expires_at", pa.timestamp("ms", tz="UTC")),
    ]
)


def rollup_sql(rollup: Rollup) -> str:
    """SQL of all rows of a rollup; states of sketches as the bytes that they are read back from.

    The engine's Arrow would have an address of memory in their place.
    """
    texts = {kept.column for kept in rollup.kept if kept.function in ("quantiles", "unique")}
    texts |= {"tenant", *rollup.dimensions}
    columns = [f"CAST({name} AS String) AS {name}" if name in texts else name for name in rollup.columns]
    return f"SELECT {', '.join(columns)} FROM {rollup.name}"  # noqa: S608 - the hub's own names


def packed(table: pa.Table) -> bytes:
    """A table as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def unpacked(content: bytes) -> pa.Table:
    """What :func:`packed` was given."""
    with pa.ipc.open_stream(content) as reader:
        return reader.read_all()


@dataclass(slots=True)
class Totals:
    """Rows and sums of a table, added up as its batches go by. Of a rollup a row counts as the events in it."""

    rows: int = 0
    sums: dict[str, Decimal] = field(default_factory=lambda: dict.fromkeys(SUMS, Decimal(0)))

    def add(self, table: pa.Table) -> None:
        """One batch more."""
        self.rows += _sum(table, "events") if "events" in table.column_names else table.num_rows
        for name in SUMS:
            if name in table.column_names:
                self.sums[name] += _sum(table, name)

    def told(self) -> dict[str, Any]:
        """As the manifest has it."""
        return {"rows": int(self.rows), **{name: format(value.normalize(), "f") for name, value in self.sums.items()}}


def _sum(table: pa.Table, name: str) -> Any:
    column = table.column(name)
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.decimal128(38, 10))
    return pc.sum(column).as_py() or 0


def totals_sql(table: str, lasting: str) -> str:
    """SQL of what :class:`Totals` adds up; parameter ``moment`` of the condition of :func:`lasting`."""
    rows = "sum(events)" if table in _ROLLUPS else "count()"
    names = () if table == "payloads" else SUMS
    sums = "".join(f", sum(ifNull(toDecimal128({name}, 10), 0))" for name in names)
    return f"SELECT {rows}{sums} FROM {table} WHERE {lasting}"  # noqa: S608 - the hub's own names


def lasting_sql(table: str) -> str:
    """Condition on rows that are still to be kept at ``moment``, in epoch seconds."""
    column, later = _end(table)
    return f"toUnixTimestamp({column}) + {later} > {{moment:Int64}}"


def lasting(table: str, rows: pa.Table, moment: int) -> pa.Table:
    """The rows that :func:`lasting_sql` is true of."""
    column, later = _end(table)
    return rows.filter(pc.greater(pc.add(rows.column(column).cast(pa.int64()), later), moment))


def _end(table: str) -> tuple[str, int]:
    """When a row of a table leaves: a column of seconds, and how much later than it says."""
    rollup = _ROLLUPS.get(table)
    if rollup is None or rollup.retention is None:
        return "expires_at", 0
    return "time", int(rollup.retention.total_seconds())


def record_table(records: Sequence[Record], stored: bool) -> pa.Table:
    """Records as rows; ``stored``: whether their events are in the warehouse."""
    rows = [
        {
            "offset": one.offset,
            "timestamp_ms": one.timestamp_ms,
            "key": one.key,
            "value": one.value,
            "headers": [{"name": name, "value": value} for name, value in one.headers],
            "stored": stored,
        }
        for one in records
    ]
    return pa.Table.from_pylist(rows, _RECORDS)


def new_records(table: pa.Table, topic: str, partition: int, *, dated: bool) -> Iterator[tuple[NewRecord, bool]]:
    """The records of a member, to be appended again, and whether their events are stored.

    ``dated`` False: as records of now. Those of events are: by their old stamps a log would drop them at once.
    """
    for row in table.to_pylist():
        headers: Headers = tuple((one["name"], one["value"]) for one in row["headers"])
        stamp = row["timestamp_ms"] if dated else None
        yield NewRecord(topic, partition, row["key"], row["value"], headers, stamp), row["stored"]


def mark_table(marks: Sequence[Mark]) -> pa.Table:
    """Marks of requests as rows."""
    rows = [{name: getattr(mark, name) for name in _MARKS.names} for mark in marks]
    return pa.Table.from_pylist(rows, _MARKS)


def marks_of(table: pa.Table) -> list[Mark]:
    """What :func:`mark_table` was given."""
    return [Mark(**row) for row in table.to_pylist()]
