"""The Arrow schema of log records."""

from typing import Final

import pyarrow as pa

from schemas.columns import LOG_COLUMNS, ArrowType

ARROW_TYPES: Final[dict[ArrowType, pa.DataType]] = {
    "string": pa.string(),
    "json": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "id16": pa.binary(16),
    "id8": pa.binary(8),
    "time": pa.timestamp("us", tz="UTC"),
    "map": pa.map_(pa.string(), pa.string()),
}

#: Every column that a record may have, in order.
LOG_SCHEMA: Final[pa.Schema] = pa.schema([pa.field(column.name, ARROW_TYPES[column.arrow]) for column in LOG_COLUMNS])


def narrow(table: pa.Table) -> pa.Table:
    """Without the columns that are null in every row: most types use few of all columns."""
    keep = [name for name in table.column_names if table.column(name).null_count < table.num_rows]
    return table.select(keep)


def widen(table: pa.Table) -> pa.Table:
    """With every column of :data:`LOG_SCHEMA`, null where the record left it out."""
    rows = table.num_rows
    columns = [
        table.column(field.name).cast(field.type) if field.name in table.column_names else pa.nulls(rows, field.type)
        for field in LOG_SCHEMA
    ]
    return pa.table(columns, schema=LOG_SCHEMA)
