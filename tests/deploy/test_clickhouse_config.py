"""The configuration for ClickHouse servers: the engine knows every name in it and parses every statement."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.warehouse.client import Warehouse
from tests.servers.clickhouse import RunningServer

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "clickhouse"
#: What a server reads that is none of its settings.
PLACES = {"logger", "macros", "remote_servers", "zookeeper", "distributed_ddl", "timezone"}


@pytest.fixture(scope="module")
def warehouse(clickhouse_front: RunningServer) -> Iterator[Warehouse]:
    with Warehouse(clickhouse_front.url()) as warehouse:
        yield warehouse


def _names(warehouse: Warehouse, table: str) -> set[str]:
    return {str(row[0]) for row in warehouse.query(f"SELECT name FROM system.{table}").rows}


def _read(file: str) -> ET.Element:
    root = ET.parse(FOLDER / file).getroot()
    assert root.tag == "clickhouse"
    return root


def test_settings_of_the_server(warehouse: Warehouse) -> None:
    known = _names(warehouse, "server_settings")
    for part in _read("hub.xml"):
        assert part.tag.endswith("_log") or part.tag in known | PLACES


def test_its_logs_are_off_or_expire(warehouse: Warehouse) -> None:
    logs = [part for part in _read("hub.xml") if part.tag.endswith("_log")]
    kept = [part for part in logs if part.get("remove") != "1"]
    assert {part.tag for part in kept} == {"query_log", "part_log"}
    assert len(logs) > len(kept) + 10
    for part in kept:
        columns = "(event_date Date, event_time DateTime) ENGINE = MergeTree ORDER BY event_time"
        ends = f"PARTITION BY {part.findtext('partition_by')} TTL {part.findtext('ttl')}"
        assert "INTERVAL 3 DAY DELETE" in ends
        warehouse.command(f"EXPLAIN AST CREATE TABLE t {columns} {ends}")


def test_limits_and_rights_of_the_hub(warehouse: Warehouse) -> None:
    root = _read("users/llm-hub.xml")
    profile = root.find("profiles/llm_hub")
    assert profile is not None
    settings = {part.tag: str(part.text) for part in profile}
    assert set(settings) <= _names(warehouse, "settings")
    assert warehouse.query("SELECT 1", settings=settings).scalar() == 1
    user = root.find("users/llm_hub")
    assert user is not None
    assert user.findtext("profile") == "llm_hub"
    secret = user.find("password_sha256_hex")
    assert secret is not None
    assert (secret.get("from_env"), secret.text) == ("LLM_HUB_CLICKHOUSE_PASSWORD_SHA256", None)
    for grant in user.findall("grants/query"):
        warehouse.command(f"EXPLAIN AST {grant.text} TO llm_hub")


def test_the_cluster_writes_to_one_replica_of_a_shard() -> None:
    root = _read("cluster/llm-hub.xml")
    assert {part.tag for part in root} <= PLACES
    assert [part.tag for part in root.findall("macros/*")] == ["shard", "replica"]
    shards = root.findall("remote_servers/llm_hub/shard")
    assert [shard.findtext("internal_replication") for shard in shards] == ["true"] * 2
    assert all(len(shard.findall("replica")) == 2 for shard in shards)
