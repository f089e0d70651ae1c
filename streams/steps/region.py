"""Where events were taken in: a header of their records becomes a column."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from broker.log import Record
from broker.topics import REGION_HEADER
from streams.columnar import put

#: No name of a region is longer: what is, was not written by a hub.
_LONGEST: Final = 32


def regions(table: pa.Table, records: Sequence[Record], rows: Sequence[int]) -> pa.Table:
    """The table with ``region``, unless none of its records tells one.

    Parameters
    ----------
    table
        Events of all records, in their order.
    records, rows
        The records, and how many of the events are each one's.
    """
    names = [_region(record) for record in records]
    if not any(names):
        return table
    known = list(dict.fromkeys(names))
    codes = np.repeat(np.array([known.index(name) for name in names], np.int32), rows)
    return put(table, "region", pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(known, pa.string())))


def _region(record: Record) -> str:
    for name, value in record.headers:
        if name == REGION_HEADER:
            return value[:_LONGEST].decode(errors="replace")
    return ""
