"""Rows of the metadata as JSON, each value by the type of its column, and back."""

from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import orjson
import zstandard
from sqlalchemy import Column, Connection, LargeBinary, Table, select

from storage.metadata.models import Base, Job, JournalBlock
from storage.metadata.types import Money, UtcDateTime

#: What a backup tells in other ways: where the log stood, and work of this moment.
_LEFT_OUT: Final = {JournalBlock.__tablename__, Job.__tablename__}
_AT_ONCE: Final = 2000


def tables() -> list[Table]:
    """The tables of a backup, those that others refer to first."""
    return [table for table in Base.metadata.sorted_tables if table.name not in _LEFT_OUT]


def pages(connection: Connection, table: Table) -> Iterator[tuple[bytes, int]]:
    """All rows of a table, some at a time: the content of a member, and how many rows it has."""
    found = connection.execution_options(yield_per=_AT_ONCE).execute(select(table).order_by(*table.primary_key))
    for part in found.mappings().partitions():
        lines = [orjson.dumps({name: _told(value) for name, value in row.items()}) for row in part]
        yield zstandard.compress(b"\n".join(lines)), len(lines)


def insert(connection: Connection, table: Table, content: bytes) -> int:
    """Put the rows of a member back; how many they are. Numbers that the database gives out itself are given anew."""
    rows = [_row(table, orjson.loads(line)) for line in zstandard.decompress(content).splitlines()]
    if rows:
        connection.execute(table.insert(), rows)
    return len(rows)


def _row(table: Table, told: Mapping[str, Any]) -> dict[str, Any]:
    counter = table.autoincrement_column
    return {
        name: _read(table.c[name], value) for name, value in told.items() if counter is None or name != counter.name
    }


def _told(value: Any) -> Any:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return format(value, "f") if isinstance(value, Decimal) else value


def _read(column: Column[Any], value: Any) -> Any:
    if value is None:
        return None
    if isinstance(column.type, UtcDateTime):
        return datetime.fromisoformat(value)
    if isinstance(column.type, Money):
        return Decimal(value)
    return b64decode(value) if isinstance(column.type, LargeBinary) else value
