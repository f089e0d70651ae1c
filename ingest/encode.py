"""Columns → log records: narrow Arrow IPC streams, one per partition."""

import threading
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import zstandard

from broker.log import NewRecord
from broker.partition import partitions_for
from broker.topics import EVENTS, REGION_HEADER
from ingest.decode.tables import together

#: A record larger than this many rows or bytes (before compression, which may save nothing) is cut: brokers have limits
#: too, and would refuse what the doors took from many senders at once.
_RECORD_ROWS: Final = 50_000
_RECORD_BYTES: Final = 11 << 20

_LOCAL: Final = threading.local()


def event_records(tables: Sequence[pa.Table], partitions: int, region: str = "") -> list[NewRecord]:
    """The records of some requests' events, in order; ``region`` is where they are taken in."""
    table = together(tables)
    where = ((REGION_HEADER, region.encode()),) if region else ()
    return [
        NewRecord(EVENTS, partition, None, ipc_bytes(piece), (("rows", str(piece.num_rows).encode()), *where))
        for partition, part in _split(table, partitions)
        for piece in _cut(part)
    ]


def ipc_bytes(table: pa.Table) -> bytes:
    """An Arrow IPC stream in one zstd frame.

    Compressed as a whole, not buffer by buffer: with a thousand rows a context for each of forty buffers costs a
    microsecond an event more here, and another one when the record is read.
    """
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    # A compressor must not be shared by threads.
    if not hasattr(_LOCAL, "zstd"):
        _LOCAL.zstd = zstandard.ZstdCompressor(level=1)
    frame: bytes = _LOCAL.zstd.compress(sink.getvalue())
    return frame


def _split(table: pa.Table, partitions: int) -> Iterator[tuple[int, pa.Table]]:
    """Rows by partition: those of one trace of one tenant stay together."""
    if partitions == 1 or not table.num_rows:
        if table.num_rows:
            yield 0, table
        return
    key = table.column("id")
    if "trace_id" in table.column_names:
        key = pc.coalesce(table.column("trace_id"), key)
    of_row = _partition_of_rows(table.column("tenant"), key, partitions)
    for partition in np.unique(of_row):
        yield int(partition), table.filter(pa.array(of_row == partition))


def _partition_of_rows(tenants: pa.ChunkedArray, key: pa.ChunkedArray, partitions: int) -> np.ndarray:
    found = np.zeros(len(key), dtype=np.int32)
    for tenant in tenants.unique().to_pylist():
        mine = pc.equal(tenants, tenant).to_numpy()
        found[mine] = partitions_for(key.filter(pa.array(mine)), partitions, prefix=tenant.encode())
    return found


def _cut(table: pa.Table) -> Iterator[pa.Table]:
    """In halves until each is small enough: one long row may lie among thousands of short ones."""
    if table.num_rows > 1 and (table.num_rows > _RECORD_ROWS or table.nbytes > _RECORD_BYTES):
        middle = table.num_rows // 2
        yield from _cut(table.slice(0, middle))
        yield from _cut(table.slice(middle))
    elif table.num_rows:
        yield table
