"""A real Kafka that goes and comes back under an open log: callers are told soon, nothing is lost or doubled."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from broker.kafka import KafkaLog, KafkaLogConfig
from broker.kafka_address import parse_address
from broker.log import Mark, NewRecord, TopicConfig
from core.clock import SystemClock
from core.errors import Retryable, SlowDown, TooLarge
from tests.servers.kafka import Kafka

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

PATIENCE = 1.0


@pytest.fixture(scope="module")
def broker(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A broker that tests of this module may end."""
    broker = Kafka(tmp_path_factory.mktemp("kafka"))
    broker.start()
    yield broker
    broker.kill()


async def all_of(log: KafkaLog, topic: str) -> list[bytes | None]:
    since = datetime.now(UTC) - timedelta(hours=1)
    return [record.value async for record in log.tail(topic, 0, since)]


@pytest.mark.parametrize("end", [Kafka.stop, Kafka.kill], ids=["stopped", "killed"])
async def test_a_broker_that_goes_and_comes_back(broker: Kafka, end: object) -> None:
    topic = f"test.away.{end.__name__}"  # type: ignore[attr-defined]
    address = parse_address(f"kafka://{broker.servers}")
    log, other = (KafkaLog(address, SystemClock(), KafkaLogConfig(patience_s=PATIENCE)) for _ in range(2))
    await log.start()
    await other.start()
    await log.create_topic(TopicConfig(topic))
    await log.append([NewRecord(topic, 0, None, b"before")])
    await asyncio.to_thread(end, broker)  # type: ignore[arg-type]

    mark = Mark(topic.encode(), b"hash", 1, b"", datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1))
    began = time.monotonic()
    with pytest.raises(Retryable, match="not known"):
        await log.append([NewRecord(topic, 0, None, b"meanwhile")], mark)
    assert time.monotonic() - began < PATIENCE + 3
    began = time.monotonic()
    for _ in range(100):
        with pytest.raises(SlowDown, match="nothing was kept") as refused:
            await log.append([NewRecord(topic, 0, None, b"refused")])
    assert time.monotonic() - began < 1
    assert refused.value.headers == {"Retry-After": "2"}
    assert log.check().state == "disconnected"
    assert 0 < log.queued_bytes < 1000

    await asyncio.to_thread(broker.start)
    async with asyncio.timeout(60):
        while log.check().state != "running":  # noqa: ASYNC110 the log goes on by itself
            await asyncio.sleep(0.05)
        await log.append([NewRecord(topic, 0, None, b"after")])
        while await other.lookup_mark(mark.key) is None:  # noqa: ASYNC110 a task of the log brings it
            await asyncio.sleep(0.05)
    assert await log.lookup_mark(mark.key) == mark
    assert (log.check().state, other.check().state) == ("running", "running")
    assert await all_of(log, topic) == [b"before", b"meanwhile", b"after"]
    await log.stop()
    await other.stop()


async def test_a_log_closes_although_its_broker_is_away(broker: Kafka) -> None:
    address = parse_address(f"kafka://{broker.servers}")
    log = KafkaLog(address, SystemClock(), KafkaLogConfig(patience_s=PATIENCE))
    await log.start()
    await log.create_topic(TopicConfig("test.closes"))
    await asyncio.to_thread(broker.kill)
    with pytest.raises(Retryable):
        await log.append([NewRecord("test.closes", 0, None, b"lost")])
    async with asyncio.timeout(20):
        await log.stop()
    await asyncio.to_thread(broker.start)


async def test_a_producer_whose_record_was_refused_is_made_anew(broker: Kafka) -> None:
    """The brokers refuse what a client sends after a record that it has counted and they have not."""
    address = parse_address(f"kafka://{broker.servers}")
    small = KafkaLog(address, SystemClock(), KafkaLogConfig(record_bytes=1000))
    await small.start()
    await small.create_topic(TopicConfig("test.small"))
    large = KafkaLog(address, SystemClock())
    await large.start()
    await large.append([NewRecord("test.small", 0, None, b"one")])
    with pytest.raises(TooLarge, match="larger than Kafka"):
        await large.append([NewRecord("test.small", 0, None, bytes(4 << 20))])
    async with asyncio.timeout(30):
        await large.append([NewRecord("test.small", 0, None, b"two")])
    assert await all_of(large, "test.small") == [b"one", b"two"]
    await small.stop()
    await large.stop()
