"""Ids and times of the envelope as columns of bytes and microseconds."""

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.ids import derived_id, event_id
from ingest.batch import Arrival
from ingest.decode.column import Column
from ingest.decode.texts import Bytes, Mask, Micros, times, uuids

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
#: Epoch milliseconds that :mod:`schemas.times` takes.
_EARLIEST_MS, _LATEST_MS = 631_152_000_000, 7_258_118_400_000


def ids_of_texts(column: Column) -> tuple[Bytes, Mask]:
    """The event ids of a column, shape (n, 16), and which rows have none."""
    if column.kind == "text":
        values, good = uuids(column.texts)
    else:
        values, good = np.zeros((len(column), 16), np.uint8), np.zeros(len(column), np.bool_)
    missing = ~column.valid
    for row in np.flatnonzero(~good & column.valid):  # no UUIDs: each has to be hashed
        values[row] = np.frombuffer(event_id(str(column.series[int(row)])).bytes, np.uint8)
    return values, missing


def make_ids(
    values: Bytes, rows: npt.NDArray[np.int64], arrival: Arrival, indices: Callable[[], Sequence[int]]
) -> None:
    """Fill in the ids of rows without: those that a retry gets again, or new ones (UUID version 7)."""
    if arrival.key is not None:
        of_row = indices()
        for row in rows:
            made = derived_id(arrival.tenant, arrival.key, of_row[int(row)])
            values[row] = np.frombuffer(made.bytes, np.uint8)
        return
    milliseconds = int(arrival.received_at.timestamp() * 1000)
    values[rows, :6] = np.frombuffer(milliseconds.to_bytes(6, "big"), np.uint8)
    values[rows, 6:] = np.frombuffer(os.urandom(10 * len(rows)), np.uint8).reshape(len(rows), 10)
    values[rows, 6] = values[rows, 6] & 0x0F | 0x70
    values[rows, 8] = values[rows, 8] & 0x3F | 0x80


def moments(ready: pa.Array | None, column: Column | None, rows: int, arrival: Arrival) -> tuple[Micros, Mask]:
    """Times in microseconds since 1970, and which rows have none, or one that is not taken."""
    if ready is not None:
        good = ready.is_valid().to_numpy(zero_copy_only=False)
        micros = ready.fill_null(0).to_numpy()
    elif column is not None and column.kind == "text":
        micros, good = times(column.texts)
    elif column is not None and column.kind == "int":
        given = column.numbers
        good = (given >= _EARLIEST_MS) & (given <= _LATEST_MS)
        micros = np.where(good, given, 0) * 1000
    else:
        return np.zeros(rows, np.int64), np.ones(rows, np.bool_)
    oldest, newest = _micros(arrival.oldest), _micros(arrival.newest)
    return micros, ~good | (micros < oldest) | (micros > newest)


def fixed(values: Bytes, valid: Mask | None = None) -> pa.Array:
    """Bytes of shape (n, width) as a fixed-size binary column."""
    bitmap = None
    if valid is not None and not valid.all():
        bitmap = pa.py_buffer(np.packbits(valid, bitorder="little"))
    data = pa.py_buffer(np.ascontiguousarray(values))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(values.shape[1]), len(values), [bitmap, data])


def fixed_values(array: pa.Array) -> tuple[Bytes, Mask]:
    """A copy of the bytes of a fixed-size column, and where there are none."""
    width = array.type.byte_width
    data = np.frombuffer(array.buffers()[1], np.uint8)[array.offset * width : (array.offset + len(array)) * width]
    return data.reshape(len(array), width).copy(), array.is_null().to_numpy(zero_copy_only=False)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
