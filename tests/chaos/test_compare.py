"""The comparison itself: it finds nothing where all is well, and every kind of damage."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from core.clock import SystemClock
from storage.warehouse.client import Warehouse
from storage.warehouse.migrations import migrate
from storage.warehouse.roller import Roller
from tests.chaos.compare import report
from tests.chaos.ledger import Ledger, Row
from tests.servers.clickhouse import RunningServer

SENT = 60
#: One after the other, each with the line of the report that comes with it.
DAMAGE = (
    ("INSERT INTO payloads (tenant, id, time) SELECT tenant, id, time FROM payloads LIMIT 1", "contents of "),
    ("INSERT INTO rollup_1h SELECT * FROM rollup_1h WHERE tenant = 'default'", "rollup_1h (behind): "),
    ("ALTER TABLE rollup_users_1d DELETE WHERE tenant = 'default'", "rollup_users_1d (folded): "),
    ("ALTER TABLE events UPDATE input_tokens = 7 WHERE type = 'llm.embedding'", "wrong: "),
    ("ALTER TABLE events DELETE WHERE tenant = 'acme' AND type = 'llm.request'", "lost: "),
    ("INSERT INTO events SELECT * FROM events WHERE tenant = 'acme' LIMIT 1", "counted twice: 1:"),
    ("ALTER TABLE events UPDATE span_id = 'abcdefgh' WHERE type = 'guardrail.check'", "never sent: "),
)


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger(7)
    for tenant in ("default", "acme"):
        batch = ledger.batch(tenant, SENT)
        ledger.sent(batch)
        ledger.took(batch)
    return ledger


@pytest.fixture
def warehouse(ledger: Ledger, clickhouse_front: RunningServer) -> Iterator[Warehouse]:
    """The ledger's rows, half of them folded."""
    with Warehouse(clickhouse_front.url("compare")) as warehouse:
        migrate(warehouse)
        roller = Roller(warehouse, SystemClock())
        for number, (tenant, rows) in enumerate(ledger.acknowledged.items()):
            table = _table(tenant, rows)
            (position,) = roller.take(0, 1)
            numbered = table.append_column("position", pa.repeat(pa.scalar(position, pa.uint64()), len(rows)))
            warehouse.insert("events", numbered)
            contents = [row.contents for row in rows.values()]
            warehouse.insert("payloads", table.select(["tenant", "id", "time"]).filter(pa.array(contents)))
            roller.stored(0, position, len(rows), datetime.now(UTC))
            if number == 0:
                roller.roll()
        yield warehouse


def _table(tenant: str, rows: dict[str, Row]) -> pa.Table:
    values = list(rows.values())
    return pa.table(
        {
            "tenant": [tenant] * len(rows),
            "id": pa.array([bytes.fromhex(span_id) * 2 for span_id in rows], pa.binary(16)),
            "span_id": pa.array([bytes.fromhex(span_id) for span_id in rows], pa.binary(8)),
            "type": [row.type for row in values],
            "model": [row.model for row in values],
            "status": [row.status for row in values],
            "time": pa.array([row.time for row in values], pa.timestamp("us", "UTC")),
            "input_tokens": pa.array([row.input_tokens for row in values], pa.uint32()),
            "output_tokens": pa.array([row.output_tokens for row in values], pa.uint32()),
            "cost_usd": pa.array([row.cost_usd for row in values]).cast(pa.decimal128(18, 10)),
        }
    )


def test_nothing_is_found_where_all_is_well_and_then_every_damage(warehouse: Warehouse, ledger: Ledger) -> None:
    assert report(warehouse, ledger.acknowledged, {}, fold=False)["trouble"] == []
    unanswered = {"acme": ledger.acknowledged["acme"]}
    acknowledged = {"default": ledger.acknowledged["default"]}
    assert report(warehouse, acknowledged, unanswered, fold=False)["trouble"] == []
    assert report(warehouse, acknowledged, {}, fold=False)["trouble"][0].startswith(f"never sent: {SENT}")
    told = report(warehouse, ledger.acknowledged, {})
    assert (told["trouble"], told["events"]) == ([], 2 * SENT)
    for statement, wanted in DAMAGE:
        before = report(warehouse, ledger.acknowledged, {})["trouble"]
        assert not any(one.startswith(wanted) for one in before), before
        warehouse.command(statement, settings={"mutations_sync": 1, "insert_deduplicate": 0})
        trouble = report(warehouse, ledger.acknowledged, {})["trouble"]
        assert any(one.startswith(wanted) for one in trouble), trouble
