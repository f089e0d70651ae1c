"""A block as the warehouse takes it: the ``events`` table and, for rows with contents, the ``payloads`` table."""

import re
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.columns import EVENT_COLUMNS
from streams.columnar import MONEY, flat, money
from streams.steps.derive import PAYLOAD_EXPIRY

_INNER: Final = re.compile(r"(?:Nullable|LowCardinality)\((.*)\)")
_PLAIN: Final = {
    "UInt8": pa.uint8(),
    "UInt16": pa.uint16(),
    "UInt32": pa.uint32(),
    "UInt64": pa.uint64(),
    "Int64": pa.int64(),
    "Float32": pa.float32(),
    "Float64": pa.float64(),
    "Bool": pa.bool_(),
    "UUID": pa.binary(16),
    "FixedString(16)": pa.binary(16),
    "FixedString(8)": pa.binary(8),
    "String": pa.string(),
    "DateTime": pa.timestamp("s", tz="UTC"),
    "DateTime64(6, 'UTC')": pa.timestamp("us", tz="UTC"),
    "Decimal(18, 10)": MONEY,
    "Map(LowCardinality(String), String)": pa.map_(pa.string(), pa.string()),
}

#: Columns of ``payloads`` → what they are in a block's table.
PAYLOAD_COLUMNS: Final = {
    **{name: name for name in ("tenant", "received_at", "id", "type", "time", "trace_id")},
    "expires_at": PAYLOAD_EXPIRY,
    "body": "body",
}


def warehouse_type(clickhouse: str) -> pa.DataType:
    """The Arrow type that a warehouse column takes.

    Examples
    --------
    >>> str(warehouse_type("Nullable(UInt32)"))
    'uint32'
    """
    while match := _INNER.fullmatch(clickhouse):
        clickhouse = match[1]
    return _PLAIN[clickhouse]


#: Columns of ``events`` in order, with the types that the warehouse takes.
EVENTS_SCHEMA: Final = pa.schema([pa.field(column.name, warehouse_type(column.clickhouse)) for column in EVENT_COLUMNS])


@dataclass(frozen=True, slots=True)
class Tables:
    """What is inserted of a block; ``payloads`` is None when no row has contents."""

    events: pa.Table
    payloads: pa.Table | None


def split(table: pa.Table) -> Tables:
    """The two tables of a block; columns that are null in all rows are left out of both."""
    return Tables(_events(table), _payloads(table))


def _events(table: pa.Table) -> pa.Table:
    columns: dict[str, Any] = {}
    for field in EVENTS_SCHEMA:
        position = table.schema.get_field_index(field.name)
        if position >= 0 and (column := table.column(position)).null_count < table.num_rows:
            columns[field.name] = _as(column, field.type)
    return pa.table(columns)


def _as(column: Any, wanted: pa.DataType) -> Any:
    """Dictionaries stay: the engine reads them into its own."""
    if wanted == MONEY and column.type == pa.float64():
        values = flat(column)
        return money(np.asarray(pc.fill_null(values, 0.0)), np.asarray(values.is_valid()))
    return column if column.type == wanted or pa.types.is_dictionary(column.type) else column.cast(wanted)


def _payloads(table: pa.Table) -> pa.Table | None:
    if "body" not in table.column_names or table.column("body").null_count == table.num_rows:
        return None
    there = {name: column for name, column in PAYLOAD_COLUMNS.items() if column in table.column_names}
    part = table.select(list(there.values())).rename_columns(list(there))
    return part.filter(part.column("body").is_valid()) if part.column("body").null_count else part
