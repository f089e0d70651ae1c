"""From rows to a narrow log table, and what every log table of a body gets besides its own columns."""

from collections.abc import Iterator, Sequence
from itertools import groupby
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
    runs = [_run(list(run)) for _, run in groupby(tables, key=_shape)]
    if len(runs) == 1:
        return runs[0]
    return pa.concat_tables([_plain(table) for table in runs], promote_options="default")


def _shape(table: pa.Table) -> list[Any]:
    """What tables must have in common to be put together as they are: columns, and the dictionaries of these."""
    return [table.schema, *(_dictionaries(table))]


def _dictionaries(table: pa.Table) -> Iterator[tuple[int, int, int]]:
    """What tells whether dictionaries are the very same."""
    for column in table.columns:
        if pa.types.is_dictionary(column.type):
            for words in (chunk.dictionary for chunk in column.chunks):
                offsets = words.buffers()[1]  # there are none where there are no words
                yield words.offset, len(words), 0 if offsets is None else offsets.address


def _run(tables: list[pa.Table]) -> pa.Table:
    """Slices of one table."""
    return tables[0] if len(tables) == 1 else pa.concat_tables(tables).combine_chunks()


def _plain(table: pa.Table) -> pa.Table:
    """Without dictionaries, which differ between tables."""
    fields = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))
