"""Blocks of events as the doors write them."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from schemas.arrow import LOG_SCHEMA, narrow

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def make_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """A table in the log's schema; what every event needs is filled in."""
    filled = [
        {
            "tenant": "acme",
            "received_at": START + timedelta(milliseconds=index),
            "id": uuid.uuid4().bytes,
            "type": "llm.request",
            "source": "gateway",
            "time": START + timedelta(milliseconds=index),
            "schema_version": "1.0",
            **row,
        }
        for index, row in enumerate(rows)
    ]
    return narrow(pa.Table.from_pylist(filled, schema=LOG_SCHEMA))


def make_record(table: pa.Table, *, dictionary: bool = False) -> bytes:
    """The table as a log record."""
    if dictionary:
        for index, field in enumerate(table.schema):
            if field.type == pa.string():
                table = table.set_column(index, field.name, table.column(index).dictionary_encode())
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()
