"""The doctor on Kafka, PostgreSQL and a ClickHouse over HTTP: in order, and behind."""

import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.factory import open_log
from broker.log import NewRecord
from broker.topics import EVENTS, hub_topics
from core.clock import SystemClock
from core.errors import NotFound
from hub.doctor import examine, stores
from hub.target import Folder
from tests.hub.running import settings_of
from tests.servers.postgres import database_url


async def test_the_three_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kafka: str, postgres: str, clickhouse_front: Any
) -> None:
    name = f"doctor_{uuid.uuid4().hex[:8]}"
    settings = settings_of(
        tmp_path,
        broker_url=f"kafka://{kafka}",
        database_url=database_url(postgres, name),
        warehouse_url=clickhouse_front.url(name),
    )
    log = open_log(settings.broker_url, clock=SystemClock())
    await log.start()
    try:
        try:  # other tests use the same broker
            log.partitions(EVENTS)
        except NotFound:
            for topic in hub_topics(1):
                await log.create_topic(topic)
        await log.append([NewRecord(EVENTS, 0, None, b"a")])
    finally:
        await log.stop()
    monkeypatch.setattr(stores, "WAIT", timedelta(0))
    told = {one.part: one for one in await examine(Folder(settings))}
    assert all(told[part].good for part in ("settings", "keys", "metadata", "log", "warehouse")), told
    assert "it can be written" in told["log"].text
    assert not told["lag"].good
    assert "start workers (`llm-hub run streams`)" in told["lag"].text
