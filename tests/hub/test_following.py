"""What a process without streams learns of them through the log."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from broker.factory import open_log
from broker.live import LiveFeed
from broker.log import Log, NewRecord
from broker.topics import EVENTS, PULSE, hub_topics
from core.clock import ManualClock
from core.errors import Retryable
from hub.following import PulseFollower, WatermarkFollower
from tests.streams.conftest import until

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
async def log(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Log]:
    log = open_log(f"sqlite:///{tmp_path}/log.db", clock=clock)
    await log.start()
    for topic in hub_topics(2):
        await log.create_topic(topic)
    yield log
    await log.stop()


async def test_the_watermark_is_the_first_record_that_waits(log: Log, clock: ManualClock) -> None:
    committed = {0: 0, 1: 0}

    async def told(group: str, topic: str, partition: int) -> int:
        assert (group, topic) == ("streams", EVENTS)
        return committed[partition]

    log.committed = told  # type: ignore[method-assign]
    follower = WatermarkFollower(log, "streams", 2, clock)
    assert follower.watermark("acme") is None
    await follower.look()
    assert follower.watermark("acme") == NOW  # nothing waits
    clock.advance(10)
    await log.append([NewRecord(EVENTS, 1, None, b"x")])
    clock.advance(10)
    await follower.look()
    assert follower.watermark("acme") == NOW + timedelta(seconds=10) - timedelta(milliseconds=1)
    committed[1] = 1
    await follower.look()
    assert follower.watermark("acme") == NOW + timedelta(seconds=20)


async def test_what_waits_is_looked_at_once(log: Log, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at Kafka fetches a megabyte beyond it, and a backlog may wait for hours."""
    read, looked = log.read, []

    async def counted(topic: str, partition: int, offset: int, **limits: Any) -> Any:
        looked.append((partition, offset))
        return await read(topic, partition, offset, **limits)

    monkeypatch.setattr(log, "read", counted)
    follower = WatermarkFollower(log, "streams", 2, clock)
    await log.append([NewRecord(EVENTS, 1, None, b"x"), NewRecord(EVENTS, 1, None, b"y")])
    for _ in range(3):
        await follower.look()
    assert looked == [(1, 0)]


async def test_points_of_other_processes_reach_who_watches(log: Log, clock: ManualClock) -> None:
    live = LiveFeed()
    follower = PulseFollower(log, live, clock)

    async def say(**points: Any) -> None:
        await log.append([NewRecord(PULSE, 0, None, orjson.dumps(points))])

    await say(acme=[{"events": 1}])
    await follower.look()
    with live.subscribe("acme") as mine:
        await say(acme=[{"events": 2}, {"events": 3}], other=[{"events": 9}])
        await say(acme=[{"events": 4}])
        await follower.look()
        live.close()
        assert [point["events"] async for point in mine] == [2, 3, 4]
    await say(acme=[{"events": 5}])
    await follower.look()
    with live.subscribe("acme") as later:
        await follower.look()
        live.close()
        assert [point async for point in later] == []


async def test_a_log_that_is_away_is_asked_again(
    log: Log, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    follower = WatermarkFollower(log, "streams", 2, clock)
    looks: list[int] = []

    async def trouble() -> None:
        looks.append(1)
        if len(looks) < 3:
            raise Retryable("the log is down")
        if len(looks) == 3:
            raise ZeroDivisionError

    monkeypatch.setattr(follower, "look", trouble)
    await follower.start()
    for wanted in range(1, 5):
        await until(lambda wanted=wanted: len(looks) == wanted)  # type: ignore[misc]
        clock.advance(1)
    await follower.stop()
    await follower.stop()
    assert caplog.text.count("the log is down") == 1  # not again and again
    assert "watermark failed" in caplog.text
