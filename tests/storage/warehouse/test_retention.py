"""Retention by tenant and table, deletion of tenants, the disk."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from core.clock import ManualClock
from core.errors import Retryable
from storage.warehouse.client import Warehouse
from storage.warehouse.retention import EXPIRING, FOLLOWS, TENANT_TABLES, Retention
from storage.warehouse.rollups import ROLLUPS, STAGINGS
from tests.storage.warehouse.rows import NOW, events, insert_and_roll, payloads

TENANT = "o'brien\\"
DAY = timedelta(days=1)
ROLLED = [rollup.name for rollup in ROLLUPS if rollup.retention is not None]


@pytest.fixture
def retention(warehouse: Warehouse) -> Retention:
    """At :data:`NOW`."""
    warehouse.clock = ManualClock(NOW)
    return Retention(warehouse)


@pytest.fixture
def mutations(warehouse: Warehouse) -> Callable[[], int]:
    """How many mutations there have been since."""

    def count() -> int:
        return int(warehouse.query("SELECT count() FROM system.mutations").scalar())

    before = count()
    return lambda: count() - before


def _count(warehouse: Warehouse, table: str, tenant: str) -> int:
    text = f"SELECT count() FROM {table} WHERE tenant = {{tenant:String}}"
    return int(warehouse.query(text, {"tenant": tenant}).scalar())


def _kept(warehouse: Warehouse, table: str = "events") -> list[Any]:
    """For how long rows are kept, by tenant."""
    text = (
        f"SELECT DISTINCT tenant, toUnixTimestamp(expires_at) - toUnixTimestamp(time) FROM {table} WHERE tenant != ''"
    )
    return sorted(warehouse.query(text).rows)


def test_a_new_retention_restamps_and_deletes(warehouse: Warehouse, retention: Retention) -> None:
    for number, (tenant, age) in enumerate([(TENANT, 20), (TENANT, 1), ("acme", 20)]):
        rows = events(number * 10, 10, tenant=tenant, time=NOW - age * DAY)
        warehouse.insert("events", rows)
        warehouse.insert("payloads", payloads(rows))
    for table in ("events", "payloads"):
        assert retention.enforce(table, {TENANT: 7 * DAY}) == 1
        assert _count(warehouse, table, TENANT) == 10
        assert _count(warehouse, table, "acme") == 10
        assert (TENANT, 7 * 86_400) in _kept(warehouse, table)


def test_a_longer_retention_keeps_what_is_still_there(warehouse: Warehouse, retention: Retention) -> None:
    warehouse.insert("events", events(0, 10, time=NOW - 5 * DAY, expires_at=NOW + 2 * DAY))
    warehouse.insert("events", events(10, 10, tenant=TENANT, time=NOW - 5 * DAY, expires_at=NOW + 85 * DAY))
    assert retention.enforce("events", {"acme": 30 * DAY, TENANT: 6 * DAY, "nobody": DAY}) == 2
    assert _kept(warehouse) == [("acme", 30 * 86_400), (TENANT, 6 * 86_400)]
    assert _count(warehouse, "events", "acme") == 10


def test_what_is_right_is_left_alone(warehouse: Warehouse, retention: Retention, mutations: Callable[[], int]) -> None:
    rows = events(0, 500, time=NOW - timedelta(hours=30), expires_at=NOW - timedelta(hours=30) + 90 * DAY)
    insert_and_roll(warehouse, rows)
    warehouse.insert("payloads", payloads(rows))
    keep = {"acme": 90 * DAY}
    assert {table: retention.enforce(table, keep) for table in TENANT_TABLES} == dict.fromkeys(TENANT_TABLES, 0)
    assert retention.enforce("events", {}) == 0
    assert retention.erase(["nobody"]) == retention.erase([]) == {}
    assert mutations() == 0
    found = {table: retention.enforce(table, {"acme": 80 * DAY}) for table in EXPIRING}
    assert found == dict.fromkeys(EXPIRING, 1)
    assert {table: retention.enforce(table, {"acme": 80 * DAY}) for table in EXPIRING} == dict.fromkeys(EXPIRING, 0)


def test_rollups_by_user_leave_with_the_events(warehouse: Warehouse, retention: Retention) -> None:
    insert_and_roll(warehouse, events(0, 50, time=NOW - 20 * DAY), events(50, 50))
    marks = _count(warehouse, "rollup_users_1h", "")
    for table, seconds in (("rollup_users_1h", 3600), ("rollup_users_1d", 86_400)):
        assert FOLLOWS[table] == "events"
        assert retention.enforce(table, {"acme": 7 * DAY}) == 1
        assert {kept for _, kept in _kept(warehouse, table)} == {7 * 86_400 + seconds - 1}
    assert _count(warehouse, "rollup_users_1h", "") == marks > 0


@pytest.mark.parametrize("table", ROLLED)
def test_the_other_rollups_leave_by_whole_days(
    warehouse: Warehouse, retention: Retention, mutations: Callable[[], int], table: str
) -> None:
    assert FOLLOWS[table] == "rollups"
    midnight = NOW.replace(hour=0, minute=0, second=0)
    for number, time in enumerate([midnight - timedelta(seconds=1), midnight]):
        insert_and_roll(warehouse, events(number * 10, 10, time=time), events(number * 10, 10, time=time, tenant="b"))
    marks = _count(warehouse, table, "")
    keep: Mapping[str, timedelta] = {"acme": timedelta(0)}
    assert retention.enforce(table, keep) == 1
    text = (
        f"SELECT tenant, sum(events), min(time) >= {{day:DateTime('UTC')}} FROM {table} WHERE tenant != '' GROUP BY 1"
    )
    assert sorted(warehouse.query(text, {"day": midnight}).rows) == [("acme", 10, 1), ("b", 20, 0)]
    assert retention.enforce(table, keep) == 0
    assert mutations() == 1
    assert _count(warehouse, table, "") == marks > 0


def test_many_tenants_are_asked_for_in_parts(warehouse: Warehouse, retention: Retention) -> None:
    names = [f"tenant-{number:03}" for number in range(450)]
    for name in (names[0], names[449]):
        warehouse.insert("events", events(0, 1, tenant=name))
    assert retention.enforce("events", dict.fromkeys(names, 7 * DAY)) == 2
    assert retention.erase(names) == {names[0]: 1, names[449]: 1}


def test_expired_rows_go(warehouse: Warehouse) -> None:
    warehouse.insert("events", events(0, 5, expires_at=NOW - timedelta(days=1)))
    warehouse.insert("events", events(5, 5))
    warehouse.command("OPTIMIZE TABLE events FINAL")
    assert _count(warehouse, "events", "acme") == 5


def test_a_tenant_is_deleted_everywhere(warehouse: Warehouse, retention: Retention) -> None:
    insert_and_roll(warehouse, events(0, 10, tenant=TENANT), events(0, 10))
    warehouse.insert("payloads", payloads(events(0, 10, tenant=TENANT)))
    before = {table: (_count(warehouse, table, "acme"), _count(warehouse, table, "")) for table in TENANT_TABLES}
    assert retention.erase([TENANT, "nobody"])[TENANT] > 20
    assert retention.erase([TENANT]) == {}
    assert {_count(warehouse, table, TENANT) for table in TENANT_TABLES} == {0}
    after = {table: (_count(warehouse, table, "acme"), _count(warehouse, table, "")) for table in TENANT_TABLES}
    assert after == before
    assert all(marks for table, (_, marks) in after.items() if table.startswith("rollup"))


def test_one_mutation_of_a_table_at_a_time(
    warehouse: Warehouse, retention: Retention, mutations: Callable[[], int]
) -> None:
    warehouse.insert("events", events(0, 10))
    warehouse.command("SYSTEM STOP MERGES events")
    try:
        warehouse.command("ALTER TABLE events DELETE WHERE tenant = 'nobody'", settings={"mutations_sync": 0})
        with pytest.raises(Retryable, match="events has a mutation under way"):
            retention.erase(["acme"])
        assert mutations() == 1
    finally:
        warehouse.command("SYSTEM START MERGES events")
        warehouse.command("ALTER TABLE events DELETE WHERE tenant = 'nobody'", settings={"mutations_sync": 2})
    assert retention.erase(["acme"]) == {"acme": 10}


def test_only_tables_and_rows_of_tenants(retention: Retention) -> None:
    with pytest.raises(ValueError, match="schema_migrations"):
        retention.enforce("schema_migrations", {"acme": DAY})
    with pytest.raises(ValueError, match="marks of the rollups"):
        retention.enforce("rollup_1h", {"": DAY})
    with pytest.raises(ValueError, match="marks of the rollups"):
        retention.erase([""])


def test_every_table_of_tenants_is_known(warehouse: Warehouse) -> None:
    text = "SELECT DISTINCT table FROM system.columns WHERE database = {database:String} AND name = 'tenant'"
    found = {row[0] for row in warehouse.query(text, {"database": warehouse.database}).rows}
    # what is staged is folded or lost within seconds
    assert found - {staging.name for staging in STAGINGS} == set(TENANT_TABLES)
