"""A cluster: its statements, and what is true of partitions that are on several shards.

There is no Keeper here: the front plays a cluster whose shards are databases of one engine, with Merge tables in place
of Distributed ones and without replication. Replicated and Distributed tables themselves are made, not filled
(``test_the_engine_makes_replicated_tables``).
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest

from core.clock import ManualClock
from core.errors import SettingsError
from semantic.layer import SemanticLayer, Surroundings
from semantic.question import Question
from semantic.sources import warehouse_sources
from storage.warehouse.address import Server
from storage.warehouse.client import Warehouse
from storage.warehouse.cluster import IN_STEP, Shards, layout, local_database
from storage.warehouse.config import WarehouseConfig
from storage.warehouse.marks import Marks
from storage.warehouse.migrations import MIGRATIONS, check, migrate
from storage.warehouse.migrations.migration import above, render
from storage.warehouse.migrations.runner import VERSIONS
from storage.warehouse.retention import TENANT_TABLES, Retention
from storage.warehouse.roller import UNKNOWN, Roller, RollerConfig
from storage.warehouse.rollups import LANE_BITS, ROLLUPS, STAGINGS
from storage.warehouse.writer import Block, BlockWriter, Resume
from tests.semantic.naive import NAIVE
from tests.semantic.rows import NOW as SEMANTIC_NOW
from tests.semantic.rows import as_table, make_events
from tests.servers.clickhouse import ClickHouseFront, RunningServer
from tests.storage.warehouse.rows import NOW, events, journal, numbered, payloads

ROOT = Path(__file__).resolve().parents[3]
STATEMENTS = [VERSIONS, *(line for step in MIGRATIONS for line in (*step.forward, *step.backward))]
CONFIG = WarehouseConfig(cluster="main", connections=4)
DAY = timedelta(days=1)

_MAKES = """
import os, sys
import chdb
folder, statements = sys.argv[1], sys.argv[2:]
connection = chdb.connect(f"{folder}/data?config-file={folder}/config.xml")
for database in ("hub_local", "hub"):
    connection.query(f"CREATE DATABASE {database}")
for statement in statements:
    connection.query("USE hub" if "Distributed" in statement else "USE hub_local")
    connection.query(statement)
print(connection.query("SELECT name, engine_full FROM system.tables WHERE database = 'hub_local'", "TSVRaw"))
print(connection.query("SELECT 'above', groupArray(name) FROM system.tables WHERE database = 'hub'", "TSVRaw"))
print(connection.query("SELECT 'rows', count() FROM hub.events WHERE _shard_num = 1", "TSVRaw"))
sys.stdout.flush()
os._exit(0)  # the engine does not end well with a Keeper in it
"""
_KEEPER = """<clickhouse><logger><level>none</level></logger>
<zookeeper><implementation>testkeeper</implementation></zookeeper>
<macros><shard>1</shard><replica>a</replica></macros><tcp_port>9000</tcp_port><remote_servers><main><shard>
<internal_replication>true</internal_replication><replica><host>localhost</host><port>9000</port></replica>
</shard></main></remote_servers></clickhouse>"""


@pytest.mark.parametrize("cluster", ["", "main-1"])
def test_the_engine_parses_every_statement(clickhouse_front: RunningServer, cluster: str) -> None:
    with Warehouse(clickhouse_front.url()) as warehouse:
        for statement in STATEMENTS:
            warehouse.command(f"EXPLAIN AST {render(statement, cluster)}")
            text = above(statement, cluster, "hub_local", "hub_local") if cluster else None
            if text:
                assert f"ON CLUSTER '{cluster}'" in text
                warehouse.command(f"EXPLAIN AST {text}")


def test_the_engine_makes_replicated_tables(tmp_path: Path) -> None:
    """Paths, macros and settings are right: with a Keeper in memory the engine takes them."""
    (tmp_path / "config.xml").write_text(_KEEPER)
    made = [line for line in STATEMENTS if "CREATE TABLE" in line]
    texts = [render(line, "main") for line in made] + [
        above(line, "main", "hub_local", "hub_local") or "" for line in made
    ]
    texts = [text.replace("ON CLUSTER 'main'", "") for text in texts if text]
    done = subprocess.run(
        [sys.executable, "-c", _MAKES, str(tmp_path), *texts], capture_output=True, text=True, check=False, timeout=300
    )
    engines = dict(line.split("\t", 1) for line in done.stdout.splitlines() if "\t" in line)
    assert engines.pop("rows", "") == "0"
    assert sorted(json.loads(engines.pop("above").replace("'", '"'))) == sorted(TENANT_TABLES)
    assert set(engines) == {"schema_migrations", *TENANT_TABLES, *(staging.name for staging in STAGINGS)}, done.stderr
    path = "('/clickhouse/tables/{shard}/hub_local/{table}', '{replica}')"
    assert engines["events"].startswith(f"ReplicatedMergeTree{path.replace('{table}', 'events')}")
    for rollup in ROLLUPS:
        assert engines[rollup.name].startswith("ReplicatedAggregatingMergeTree('/clickhouse/tables/{shard}/")
        assert " replicated_deduplication_window = 10000" in engines[rollup.name]
    assert "'/clickhouse/tables/all/hub_local/schema_migrations', '{shard}-{replica}'" in engines["schema_migrations"]
    assert {engines[staging.name] for staging in STAGINGS} == {"Memory"}


def test_what_stands_above_a_table() -> None:
    create = "CREATE TABLE IF NOT EXISTS {} $on_cluster (x UInt8) ENGINE = {}"
    assert above("INSERT INTO t VALUES (1)", "main", "h", "h") is None
    assert above(create.format("staging", "Memory"), "main", "h", "h") is None
    changed = above("ALTER TABLE payloads $on_cluster ADD COLUMN IF NOT EXISTS y UInt8", "main", "h", "")
    assert changed is not None
    assert changed.startswith("CREATE OR REPLACE TABLE payloads ON CLUSTER 'main' AS h.payloads ")
    assert changed.endswith("ENGINE = Distributed('main', '', 'payloads')")
    assert "bitShiftRight(position, 48)" in (above(create.format("events", "$merge_tree"), "main", "h", "h") or "")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with (
        ClickHouseFront(tmp_path_factory.mktemp("cluster"), shards=2) as front,
        Warehouse(front.url("hub"), CONFIG) as warehouse,
    ):
        migrate(warehouse)
        yield warehouse


@pytest.fixture
def shards(house: Warehouse) -> Iterator[Shards]:
    made = Shards(house)
    yield made
    for partition in (0, 1):
        shard = made.of(partition)
        for table in (*TENANT_TABLES, *(staging.name for staging in STAGINGS)):
            shard.command(f"TRUNCATE TABLE {table}")
    made.close()


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[Any]:
    kept = journal(tmp_path)
    yield kept
    kept.close()


def _block(partition: int, number: int, rows: int = 60) -> Block:
    part = events((partition * 1000 + number) * rows, rows, tenant=f"t{partition}")
    return Block("hub.events", partition, number, number, part, payloads(part))


def _rolling(house: Warehouse, shards: Shards) -> Roller:
    return Roller(house, ManualClock(NOW), RollerConfig(seconds=0), shard_of=shards.of)


def _count(warehouse: Warehouse, table: str, value: str = "count()") -> int:
    return int(warehouse.query(f"SELECT {value} FROM {table}").scalar())


def test_it_is_migrated(house: Warehouse) -> None:
    assert check(house).pending == ()
    assert [(shard.number, shard.database) for shard in layout(house)] == [(1, "shard_1"), (2, "shard_2")]
    text = "SELECT name, engine FROM system.tables WHERE database = 'hub'"
    found = dict(house.query(text).rows)
    assert found == dict.fromkeys(TENANT_TABLES, "Merge"), "the front's way to show all shards"
    assert migrate(house) == []


def test_a_partition_is_on_one_shard_with_all_that_is_its(house: Warehouse, shards: Shards, notes: Any) -> None:
    rolling = _rolling(house, shards)
    writer = BlockWriter(house, notes, "hub", rolling, shard_of=shards.of)
    for number in (0, 1, 0):  # one comes again
        for partition in range(4):
            writer.write(_block(partition, number))
    rolling.roll()
    for table, value in (("events", "count()"), ("payloads", "count()"), ("rollup_1h", "sum(events)")):
        assert _count(house, table, value) == 4 * 2 * 60
        assert [_count(shards.of(partition), table, value) for partition in (0, 1)] == [240, 240]
    assert house.query("SELECT DISTINCT tenant FROM events WHERE _shard_num = 1 ORDER BY 1").rows == [("t0",), ("t2",)]
    for rollup in ROLLUPS:
        assert _count(house, rollup.name, "sum(events)") == 480
        marks = f"SELECT count() FROM {rollup.name} WHERE tenant = '' GROUP BY _shard_num"
        assert house.query(marks).rows == [(2,), (2,)]


def test_a_block_that_comes_again_is_dropped_by_its_shard(house: Warehouse, shards: Shards) -> None:
    other = Shards(house)
    for turn in (shards, other, shards):
        turn.of(1).insert("events", numbered(events(0, 60), 1 + (1 << 48)), "token")
        turn.of(0).insert("events", numbered(events(60, 60), 1), "token")  # a token is the shard's own
    other.close()
    assert [_count(shards.of(partition), "events") for partition in (0, 1)] == [60, 60]
    rolling = _rolling(house, shards)
    for partition in (0, 1):
        rolling.resume(partition, complete=True)
    rolling.roll()
    assert _count(house, "rollup_10s", "sum(events)") == 120


def test_a_new_worker_goes_on_where_the_shard_has_it(house: Warehouse, shards: Shards, notes: Any) -> None:
    rolling = _rolling(house, shards)
    writer = BlockWriter(house, notes, "hub", rolling, shard_of=shards.of)
    for partition in (0, 1):
        writer.write(_block(partition, 0))
    rolling.roll()
    after = _rolling(house, shards)
    writer = BlockWriter(house, notes, "hub", after, shard_of=shards.of)
    assert writer.resume("hub.events", 1) == Resume(0, None)
    assert after.take(1, 1)[0] == rolling.take(1, 1)[0]


def test_retention_and_erasure_reach_every_shard(house: Warehouse, shards: Shards, notes: Any) -> None:
    rolling = _rolling(house, shards)
    writer = BlockWriter(house, notes, "hub", rolling, shard_of=shards.of)
    for partition in (0, 1):
        writer.write(_block(partition, 0))
    rolling.roll()
    house.clock = ManualClock(NOW)
    retention = Retention(house)
    assert retention.enforce("events", {"t0": 7 * DAY, "t1": 9 * DAY}) == 2
    kept = "toInt32(max(toUnixTimestamp(expires_at) - toUnixTimestamp(time)) / 86400)"
    assert [_count(shards.of(partition), "events", kept) for partition in (0, 1)] == [7, 9]
    assert set(retention.erase(["t0", "t1"])) == {"t0", "t1"}
    assert {_count(house, table, "countIf(tenant != '')") for table in TENANT_TABLES} == {0}


def test_another_number_of_shards_is_refused(house: Warehouse, shards: Shards, notes: Any) -> None:
    BlockWriter(house, notes, "hub", _rolling(house, shards), shard_of=shards.of).write(_block(2, 0))
    fewer = Shards(house)
    fewer._shards = tuple(reversed(layout(house)))  # as after a change, partition 2 belongs to the other
    with pytest.raises(SettingsError, match="lane 2 are on shard 1"):
        fewer.of(2)


def test_a_cluster_must_be_there(house: Warehouse) -> None:
    with pytest.raises(SettingsError, match="knows no cluster 'other'"):
        layout(Warehouse(house.address, replace(CONFIG, cluster="other")))
    with pytest.raises(SettingsError, match="clickhouse://"):
        Warehouse("chdb://here", CONFIG)


def test_one_server_is_its_own_shard() -> None:
    alone = Warehouse("clickhouse://h/db")
    assert Shards(alone).of(7) is alone
    assert local_database(alone) == "db"
    Shards(alone).close()


def test_a_replica_is_waited_for_before_it_is_used(house: Warehouse, shards: Shards) -> None:
    """Where the cluster's tables are replicated: here the command is refused, as they are not."""
    of = shards.of(0)
    assert isinstance(of.address, Server)
    assert "rollup_1h" in IN_STEP
    with pytest.raises(Exception, match="code 36"):
        Warehouse(of.address, replace(of.config, in_step=IN_STEP)).open()


def test_how_far_the_rollups_are_is_asked_for(house: Warehouse, shards: Shards, notes: Any) -> None:
    rolling = _rolling(house, shards)
    writer = BlockWriter(house, notes, "hub", rolling, shard_of=shards.of)
    for partition in (0, 1):
        writer.write(_block(partition, 0))
    marks = Marks(house, (0, 1, 2))
    assert all(places == {0: 0, 1: 0, 2: 0} for places in marks.level().marks.values())
    rolling.roll()
    level = marks.level()
    assert all(places == {0: 1, 1: (1 << LANE_BITS) + 1, 2: 0} for places in level.marks.values())
    assert (level.lagging, level.since) == (frozenset(), UNKNOWN.since)
    assert marks.holds(level)
    assert marks.holds(replace(level, marks={}))
    writer.write(_block(1, 1))
    assert marks.holds(level), "what is only stored is behind the marks"
    rolling.roll()
    assert not marks.holds(level)
    rolling.take(1, 30_000)
    writer.write(_block(1, 2))
    rolling.roll()
    shards.of(1).command("TRUNCATE TABLE rollup_6h")
    assert marks.level().lagging == {"rollup_6h"}


async def test_questions_are_answered_from_all_shards(house: Warehouse, shards: Shards) -> None:
    sent = make_events(seed=3, count=600)
    rolling = _rolling(house, shards)
    for partition in (0, 1):
        rolling.resume(partition, complete=True)
    for number in range(4):
        partition, rows = number % 2, as_table("acme", sent[number::4])
        position = rolling.take(partition, 1)[0]
        shards.of(partition).insert("events", numbered(rows, position))
        rolling.stored(partition, position, rows.num_rows, NOW)
        if number == 1:
            rolling.roll()  # half of the events stay behind
    marks, moved = Marks(house, (0, 1)), chain([False], repeat(True))
    around = Surroundings(level=marks.level, holds=lambda level: next(moved) and marks.holds(level), tries=3)
    layer = SemanticLayer(house, warehouse_sources(2), ManualClock(SEMANTIC_NOW), surroundings=around)
    question = {"measures": ["events", "total_tokens", "users"], "time": {"from": "now-30d"}}
    answer = await layer.ask("acme", Question.model_validate(question))
    assert "rollup" in answer.meta["source"]
    assert answer.rows == [[len(sent), NAIVE["total_tokens"](sent), NAIVE["users"](sent)]]
    top = {**question, "dimensions": ["model"], "granularity": "1d", "limit": 3}
    assert (await layer.ask("acme", Question.model_validate(top))).rows
    await layer.stop()
