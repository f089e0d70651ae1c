"""Retention by tenant and table, deletion of tenants, the disk."""

from datetime import timedelta

import pytest

from storage.warehouse.client import Warehouse
from storage.warehouse.retention import TENANT_TABLES, Retention
from tests.storage.warehouse.rows import NOW, events, insert_and_roll

TENANT = "o'brien\\"


def _count(warehouse: Warehouse, table: str, tenant: str) -> int:
    text = f"SELECT count() FROM {table} WHERE tenant = {{tenant:String}}"
    return int(warehouse.query(text, {"tenant": tenant}).scalar())


def test_a_new_retention_restamps_and_deletes(warehouse: Warehouse) -> None:
    warehouse.insert("events", events(0, 10, tenant=TENANT, time=NOW - timedelta(days=20)))
    warehouse.insert("events", events(10, 10, tenant=TENANT, time=NOW - timedelta(days=1)))
    warehouse.insert("events", events(20, 10, tenant="acme", time=NOW - timedelta(days=20)))
    Retention(warehouse).restamp(TENANT, "events", timedelta(days=7))
    assert _count(warehouse, "events", TENANT) == 10
    assert _count(warehouse, "events", "acme") == 10
    text = "SELECT DISTINCT toUnixTimestamp(expires_at) - toUnixTimestamp(time) FROM events WHERE tenant = {t:String}"
    assert warehouse.query(text, {"t": TENANT}).rows == [(7 * 86_400,)]


def test_expired_rows_go(warehouse: Warehouse) -> None:
    warehouse.insert("events", events(0, 5, expires_at=NOW - timedelta(days=1)))
    warehouse.insert("events", events(5, 5))
    warehouse.command("OPTIMIZE TABLE events FINAL")
    assert _count(warehouse, "events", "acme") == 5


def test_a_tenant_is_deleted_everywhere(warehouse: Warehouse) -> None:
    insert_and_roll(warehouse, events(0, 10, tenant=TENANT), events(0, 10))
    for _ in range(2):
        Retention(warehouse).delete_tenant(TENANT)
    assert {_count(warehouse, table, TENANT) for table in TENANT_TABLES} == {0}
    assert _count(warehouse, "events", "acme") == 10
    assert _count(warehouse, "rollup_1h", "acme") > 0


def test_old_rows_of_any_table_can_be_deleted(warehouse: Warehouse) -> None:
    insert_and_roll(warehouse, events(0, 10, time=NOW - timedelta(hours=30)), events(10, 10))
    Retention(warehouse).delete_before("acme", "rollup_1m", NOW - timedelta(hours=5))
    assert warehouse.query("SELECT sum(events) FROM rollup_1m").scalar() == 10


def test_only_tables_of_tenants(warehouse: Warehouse) -> None:
    with pytest.raises(ValueError, match="rollup_1h"):
        Retention(warehouse).restamp("acme", "rollup_1h", timedelta(days=1))
    with pytest.raises(ValueError, match="schema_migrations"):
        Retention(warehouse).delete_before("acme", "schema_migrations", NOW)
