"""Recordings of events in Arrow IPC, as a file or as a stream."""

import io
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hub.recordings.piece import PIECE_BYTES, Cut, Piece

Ints = NDArray[np.int64]

_CONTENT_TYPE = "application/vnd.apache.arrow.stream"
_TIME = pa.timestamp("us", tz="UTC")
_FILE_MAGIC = b"ARROW1\0\0"


def pieces(reader: io.BufferedReader, cut: Cut) -> Iterator[Piece]:
    """Cut record batches into pieces, one IPC stream each."""
    row = 0
    for batch in _batches(reader):
        times = _times(batch) if cut.timed else None
        shifted = _shifted(batch, times, cut.shift_us)
        for start, stop in _cuts(batch, times, cut):
            last = None if times is None else int(times[stop - 1])
            body = _body(shifted.slice(start, stop - start))
            yield Piece("/v1/events", _CONTENT_TYPE, body, stop - start, row + start, last)
        row += batch.num_rows


def last_time(reader: io.BufferedReader) -> int | None:
    """The latest time in the file, in microseconds of the epoch."""
    latest = [int(times.max()) for times in map(_times, _batches(reader)) if times is not None]
    return max(latest, default=None)


def _batches(reader: io.BufferedReader) -> Iterator[pa.RecordBatch]:
    # An IPC file is a stream between two marks: read so, it needs no seeking and may be compressed.
    if reader.peek(8)[:8] == _FILE_MAGIC:
        reader.read(8)
    for batch in pa.ipc.open_stream(reader):
        if batch.num_rows:
            yield batch


def _times(batch: pa.RecordBatch) -> Ints | None:
    if "time" not in batch.schema.names:
        return None
    column = batch.column("time")
    if pa.types.is_integer(column.type):
        us = pc.multiply(column.cast(pa.int64()), 1000)
    else:
        us = column.cast(_TIME, safe=False).cast(pa.int64())
    # Rows without a time take the one before; the hub will name them.
    return np.asarray(pc.fill_null(pc.fill_null_forward(us), 0).to_numpy(zero_copy_only=False), dtype=np.int64)


def _shifted(batch: pa.RecordBatch, times: Ints | None, shift_us: int) -> pa.RecordBatch:
    if times is None or not shift_us:
        return batch
    place = batch.schema.get_field_index("time")
    missing = batch.column("time").is_null().to_numpy(zero_copy_only=False)
    return batch.set_column(place, pa.field("time", _TIME), pa.array(times + shift_us, mask=missing).cast(_TIME))


def _cuts(batch: pa.RecordBatch, times: Ints | None, cut: Cut) -> Iterator[tuple[int, int]]:
    most = max(1, min(cut.rows, batch.num_rows * PIECE_BYTES // max(1, batch.nbytes)))
    edges = {*range(0, batch.num_rows, most), batch.num_rows}
    if times is not None and cut.step_us is not None:
        edges.update((np.flatnonzero(np.diff(times // cut.step_us)) + 1).tolist())
    ordered = sorted(edges)
    yield from pairwise(ordered)


def _body(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())
