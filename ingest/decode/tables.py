"""From rows to a narrow log table, and what every log table of a body gets besides its own columns."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ingest.batch import Arrival
from schemas.arrow import LOG_SCHEMA, narrow


def table_of(rows: Sequence[dict[str, Any]], arrival: Arrival) -> pa.Table:
    """Columns of rows that are dictionaries of column values."""
    names = {name for row in rows for name in row}
    schema = [field for field in LOG_SCHEMA if field.name in names]
    columns = [pa.array([row.get(field.name) for row in rows], field.type) for field in schema]
    return stamped(narrow(pa.table(columns, schema=pa.schema(schema))), arrival)


def stamped(table: pa.Table, arrival: Arrival) -> pa.Table:
    """With the columns that the hub adds: whose events these are and when they came in."""
    tenant = constant(arrival.tenant, table.num_rows)
    received = pa.array([arrival.received_at], LOG_SCHEMA.field("received_at").type)
    table = table.append_column("tenant", tenant)
    return table.append_column("received_at", received.take(tenant.indices))


def constant(value: str, rows: int) -> pa.Array:
    """A column of one text."""
    indices = pa.array(np.zeros(rows, np.int8))
    return pa.DictionaryArray.from_arrays(indices, pa.array([value]))


def together(tables: Sequence[pa.Table]) -> pa.Table:
    """The rows of some tables, with all the columns that any of them has."""
    if len(tables) == 1:
        return tables[0]
    return pa.concat_tables([_plain(table) for table in tables], promote_options="default")


def _plain(table: pa.Table) -> pa.Table:
    """Without dictionaries, which differ between tables."""
    fields = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))
