"""The same backup in both ways to run: embedded → Kafka, PostgreSQL and a ClickHouse server → embedded."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hub.backup.test_backup import furnish, made, photograph, post, restored, rolled, sent, waiting
from tests.hub.running import client_of, count, opened, settings_of
from tests.servers.kafka import Kafka
from tests.servers.postgres import new_database


@pytest.fixture
def empty_kafka(kafka: str, tmp_path: Path) -> Iterator[str]:
    """A broker of the test's own: a backup is restored only where no hub has been."""
    broker = Kafka(tmp_path / "kafka")
    broker.start()
    yield broker.servers
    broker.kill()


@pytest.mark.slow
async def test_out_and_back(tmp_path: Path, empty_kafka: str, postgres: str, clickhouse_front: Any) -> None:
    first, second = tmp_path / "first.backup", tmp_path / "second.backup"
    embedded = settings_of(tmp_path / "embedded")
    scaled = settings_of(
        tmp_path / "scaled",
        broker_url=f"kafka://{empty_kafka}",
        database_url=new_database(postgres),
        warehouse_url=clickhouse_front.url("backup"),
        partitions=4,
    )
    home = settings_of(tmp_path / "home")
    async with opened(embedded) as hub:
        key = await furnish(hub)
        await rolled(hub)
    await waiting(embedded, key, sent(20), sent(3))
    await made(embedded, first)

    assert (await restored(scaled, first)).events == 12
    async with opened(scaled) as hub, client_of(hub.app, key) as client:
        assert await count(client, 12) == 12
        await post(client, sent(3), sent(10), sent(20), sent(21))
        assert await count(client, 13) == 13
        repeated = await post(client, *(sent(number) for number in range(10)), {"type": "no.such"}, key="first")
        assert (repeated["accepted"], repeated["duplicates"]) == (0, 10)
        assert (await hub.client.get("/v1/audit/verify")).json()["ok"]
        await hub.send(sent(30))  # PostgreSQL numbers on
        await hub.count(2)
        await rolled(hub)
        there = photograph(hub.hub.warehouse)
        assert [(row[0], row[1]) for row in there["events"]] == [("acme", 13), ("default", 2)]

    await made(scaled, second)
    assert (await restored(home, second)).events == 15
    async with opened(home) as hub, client_of(hub.app, key) as client:
        assert photograph(hub.hub.warehouse) == there
        await post(client, sent(3), sent(21), sent(22))
        assert await count(client, 14) == 14
        assert (await hub.client.get("/v1/audit/verify")).json()["ok"]
