"""Every step forward and backward, again after a crash half way, and as the columns and the catalogue say."""

from dataclasses import replace

import pytest

from core.errors import HubError, SettingsError
from schemas.columns import EVENT_COLUMNS
from storage.warehouse.client import Warehouse
from storage.warehouse.migrations import MIGRATIONS, Migration, Migrator, State, check, migrate
from storage.warehouse.migrations.migration import render
from storage.warehouse.rollups import ACCURACY, LEVELS, ROLLUPS

NUMBERS = [step.number for step in MIGRATIONS]


def _columns(warehouse: Warehouse) -> set[tuple[str, str]]:
    """Every table's columns, and its settings."""
    text = """
        SELECT table, name FROM system.columns WHERE database = {d:String} AND table != 'schema_migrations'
        UNION ALL
        SELECT name, arrayJoin(splitByString(', ', splitByString('SETTINGS ', engine_full)[2])) FROM system.tables
        WHERE database = {d:String} AND name != 'schema_migrations' AND position(engine_full, 'SETTINGS ') > 0
    """
    return {(table, name) for table, name in warehouse.query(text, {"d": warehouse.database}).rows}


@pytest.fixture
def bare(empty: Warehouse) -> Warehouse:
    migrate(empty, 0)
    return empty


def test_numbers_are_unique_and_in_order() -> None:
    assert sorted(set(NUMBERS)) == NUMBERS


@pytest.mark.parametrize("number", NUMBERS)
def test_up_and_down_leaves_what_was_there(bare: Warehouse, number: int) -> None:
    migrate(bare, number - 1)
    before = _columns(bare)
    assert migrate(bare, number) == [number]
    assert _columns(bare) > before
    assert migrate(bare, number) == []
    assert migrate(bare, number - 1) == [number]
    assert _columns(bare) == before


@pytest.mark.parametrize("step", MIGRATIONS, ids=lambda step: step.name)
def test_a_run_that_broke_off_is_repeated(bare: Warehouse, step: Migration) -> None:
    migrate(bare, step.number - 1)
    before = [old for old in MIGRATIONS if old.number < step.number]
    for done in range(1, len(step.forward) + 1):
        broken = replace(step, forward=(*step.forward[:done], "SELECT broken FROM nowhere"))
        with pytest.raises(HubError):
            Migrator(bare, [*before, broken]).migrate()
        assert step.number in check(bare).pending
    assert migrate(bare, step.number) == [step.number]


def test_check_says_what_is_pending(bare: Warehouse) -> None:
    assert check(bare) == State((), tuple(NUMBERS))
    migrate(bare)
    assert check(bare) == State(tuple(NUMBERS), ())


def test_a_newer_warehouse_is_refused(bare: Warehouse) -> None:
    newer = Migration(9999, "future", (), ())
    Migrator(bare, [*MIGRATIONS, newer]).migrate()
    with pytest.raises(SettingsError, match="9999"):
        check(bare)
    Migrator(bare, [*MIGRATIONS, newer]).migrate(0)


@pytest.mark.parametrize("statement", [line for step in MIGRATIONS for line in (*step.forward, *step.backward)])
def test_cluster_form(statement: str) -> None:
    text = render(statement, cluster="main-1")
    assert "ON CLUSTER 'main-1'" in text
    assert "non_replicated" not in text
    assert " = MergeTree" not in text


def test_names_of_clusters_are_plain() -> None:
    with pytest.raises(ValueError, match="cluster"):
        render("DROP TABLE t $on_cluster", cluster="x' SYNC --")


def test_events_have_the_columns_of_the_models(migrated: Warehouse) -> None:
    migrate(migrated)
    text = "SELECT name, type FROM system.columns WHERE database = {d:String} AND table = 'events' ORDER BY position"
    rows = migrated.query(text, {"d": migrated.database}).rows
    assert rows == [*((column.name, column.clickhouse) for column in EVENT_COLUMNS), ("position", "UInt64")]


@pytest.mark.parametrize("rollup", ROLLUPS, ids=lambda rollup: rollup.name)
def test_rollups_have_what_the_catalogue_says(migrated: Warehouse, rollup: object) -> None:
    migrate(migrated)
    assert rollup in ROLLUPS
    entry = next(item for item in ROLLUPS if item is rollup)
    found = dict(
        migrated.query("SELECT name, type FROM system.columns WHERE table = {t:String}", {"t": entry.name}).rows
    )
    kept_columns = {kept.column for kept in entry.kept}
    assert set(found) - {"expires_at"} == {"tenant", "time", "through", *entry.dimensions, *kept_columns}
    assert ("expires_at" in found) == (entry.retention is None)
    levels = f"quantilesDD({ACCURACY}, {', '.join(str(level) for level in LEVELS)})"
    for kept in entry.kept:
        wanted = {"quantiles": levels, "unique": "uniq"}.get(kept.function, "SimpleAggregateFunction(sum")
        assert wanted in found[kept.column]


@pytest.mark.parametrize("table", ["events", "payloads", *(rollup.name for rollup in ROLLUPS)])
def test_what_is_inserted_is_on_the_disk(migrated: Warehouse, table: str) -> None:
    """The journal is flushed after every block; what it says must not be less durable than itself."""
    sql = "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = {table:String}"
    engine = migrated.query(sql, {"table": table}).scalar()
    assert "fsync_after_insert = 1" in engine
    assert "fsync_part_directory = 1" in engine
