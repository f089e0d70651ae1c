"""Rows of events as the streams hand them over, and doubles of what the writer needs."""

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from core.clock import ManualClock
from storage.warehouse.client import Warehouse
from storage.warehouse.retention import TENANT_TABLES
from storage.warehouse.roller import Roller, RollerConfig
from storage.warehouse.rollups import ROLLUPS, STAGINGS
from storage.warehouse.writer import Block

#: A test that asks the embedded engine alone.
EMBEDDED = pytest.mark.parametrize("empty", ["chdb"], indirect=True, scope="module")
EVERY_TABLE = (*TENANT_TABLES, *(staging.name for staging in STAGINGS))
NOW = datetime.now(UTC).replace(microsecond=0)

TYPES = {
    "tenant": pa.string(),
    "id": pa.binary(16),
    "type": pa.string(),
    "time": pa.timestamp("us", tz="UTC"),
    "received_at": pa.timestamp("us", tz="UTC"),
    "trace_id": pa.binary(16),
    "user_id": pa.string(),
    "session_id": pa.string(),
    "model": pa.dictionary(pa.int32(), pa.string()),
    "status": pa.dictionary(pa.int32(), pa.string()),
    "cost_source": pa.string(),
    "input_tokens": pa.uint32(),
    "output_tokens": pa.uint32(),
    "duration_ms": pa.float32(),
    "cost_usd": pa.decimal128(18, 10),
    "attributes": pa.map_(pa.string(), pa.string()),
    "data": pa.string(),
    "expires_at": pa.timestamp("s", tz="UTC"),
}


def event(number: int, **values: Any) -> dict[str, Any]:
    """One row; everything follows from its number, ``values`` win."""
    time = values.pop("time", NOW - timedelta(seconds=number % 50))
    return {
        "tenant": "acme",
        "id": uuid.uuid5(uuid.NAMESPACE_OID, str(number)).bytes,
        "type": ("llm.request", "tool.call", "span")[number % 3],
        "time": time,
        "received_at": time + timedelta(milliseconds=3),
        "trace_id": uuid.uuid5(uuid.NAMESPACE_OID, f"t{number // 3}").bytes,
        "user_id": f"user-{number % 7}",
        "session_id": "",
        "model": ("gpt-4o", "o3", None)[number % 3],
        "status": "error" if number % 10 == 0 else "ok",
        "cost_source": "price" if number % 3 == 0 else "unpriced",
        "input_tokens": number % 100,
        "output_tokens": None if number % 2 else number % 50,
        "duration_ms": float(number % 400),
        "cost_usd": Decimal(number).scaleb(-10) if number % 3 == 0 else None,
        "attributes": [("region", "eu")] if number % 2 else [],
        "data": "{}",
        "expires_at": NOW + timedelta(days=90),
        **values,
    }


def table(rows: list[dict[str, Any]]) -> pa.Table:
    """Rows as the streams' Arrow table."""
    return pa.Table.from_pylist(rows, pa.schema([pa.field(name, kind) for name, kind in TYPES.items()]))


def events(first: int, count: int, **values: Any) -> pa.Table:
    """``count`` rows from number ``first`` on."""
    return table([event(number, **values) for number in range(first, first + count)])


def payloads(rows: pa.Table) -> pa.Table:
    """A body for each row."""
    body = pa.array([f'{{"input_messages":"{number}"}}' for number in range(rows.num_rows)])
    return rows.select(["tenant", "received_at", "id", "type", "time", "trace_id", "expires_at"]).append_column(
        "body", body
    )


def block(number: int, rows: int = 200, *, bodies: bool = True) -> Block:
    """The block of records ``number``: always the same."""
    part = events(number * rows, rows)
    return Block("hub.events", 0, number, number, part, payloads(part) if bodies else None)


def journal(folder: Path) -> Any:
    """The journal of the metadata database, in a file of its own."""
    from storage.metadata.engine import make_sync_engine
    from storage.metadata.journal import SqlBlockJournal
    from storage.metadata.models import JournalBlock

    url = f"sqlite:///{folder / 'journal.db'}"
    engine = make_sync_engine(url)
    JournalBlock.metadata.create_all(engine)
    engine.dispose()
    return SqlBlockJournal(url)


def roller(warehouse: Warehouse, config: RollerConfig | None = None) -> Roller:
    """A roller whose folds are due at once."""
    return Roller(warehouse, ManualClock(NOW), config or RollerConfig(seconds=0))


def insert_and_roll(warehouse: Warehouse, *tables: pa.Table) -> None:
    """Events stored and rolled up, one insert a table."""
    rolling = roller(warehouse)
    rolling.resume(0, complete=True)
    for rows in tables:
        position = rolling.take(0, 1)[0]
        warehouse.insert("events", numbered(rows, position))
        rolling.stored(0, position, rows.num_rows, NOW)
    rolling.roll()


def numbered(rows: pa.Table, position: int) -> pa.Table:
    """Rows with their position."""
    return rows.append_column("position", pa.repeat(pa.scalar(position, pa.uint64()), rows.num_rows))


def totals(warehouse: Warehouse) -> dict[str, tuple[Any, ...]]:
    """Counts and sums of every table, all events rolled up; all of them must agree."""
    last = roller(warehouse)
    last.resume(0, complete=True)
    last.roll()
    raw = "SELECT count(), sum(input_tokens), sum(cost_usd), countIf(cost_source = 'unpriced') FROM events"
    found = {"events": warehouse.query(raw).rows[0]}
    for rollup in ROLLUPS:
        # the rollups of users count model calls alone
        calls = "AND type IN ('llm.request', 'llm.embedding')" if "users" in rollup.name else ""
        text = f"SELECT sum(events), sum(input_tokens), sum(cost_usd), sum(unpriced) FROM {rollup.name}"
        row = warehouse.query(text).rows[0]
        if calls:
            of_calls = (
                f"SELECT ifNull(sum(input_tokens), 0), countIf(cost_source = 'unpriced') FROM events WHERE 1 {calls}"
            )
            assert (row[1], row[3]) == warehouse.query(of_calls).rows[0]
            row = (row[0], found["events"][1], row[2], found["events"][3])
        found[rollup.name] = row
    return found
