"""The log on Kafka beyond the contract: trouble with the brokers, marks of other processes, limits."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaConnectionError

from broker.kafka import KafkaLog, KafkaLogConfig
from broker.kafka_address import KafkaAddress
from broker.log import Mark, NewRecord, TopicConfig
from core.clock import ManualClock
from core.errors import Conflict, NotFound, Retryable, SettingsError, SlowDown, TooLarge
from tests.contract.fake_kafka import FakeCluster, FakeConsumer, FakeProducer

FAKE = KafkaAddress(("fake:9092",))
START = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    cluster = FakeCluster()
    cluster.install(monkeypatch)
    return cluster


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


async def started(clock: ManualClock, **config: int) -> KafkaLog:
    log = KafkaLog(FAKE, clock, KafkaLogConfig(**config))  # type: ignore[arg-type]
    await log.start()
    return log


def mark(name: bytes, expires_at: datetime) -> Mark:
    return Mark(name, b"hash", 1, b"answer", expires_at)


async def test_topics_get_kafkas_settings(cluster: FakeCluster, clock: ManualClock) -> None:
    log = await started(clock, record_bytes=1000)
    await log.create_topic(TopicConfig("t", 2, retention_s=60, retention_bytes=5))
    await log.create_topic(TopicConfig("c", compacted=True))
    assert cluster.settings["t"] == {
        "cleanup.policy": "delete",
        "retention.ms": "60000",
        "retention.bytes": "5",
        "max.message.bytes": str(1000 + (1 << 20)),
    }
    assert cluster.settings["c"]["cleanup.policy"] == "compact"
    assert cluster.settings["hub.marks"]["cleanup.policy"] == "compact,delete"
    await log.create_topic(TopicConfig("t", 2))
    assert cluster.settings["t"]["retention.ms"] == "-1"
    with pytest.raises(SettingsError, match="at least one"):
        await log.create_topic(TopicConfig("none", 0))
    await log.stop()


async def test_brokers_that_are_down_can_be_tried_again(cluster: FakeCluster, clock: ManualClock) -> None:
    cluster.down = True
    log = KafkaLog(FAKE, clock)
    with pytest.raises(Retryable, match="cannot be reached"):
        await log.start()
    cluster.down = False
    await log.start()
    await log.create_topic(TopicConfig("t"))
    cluster.down = True
    lasting = mark(b"k", START + timedelta(hours=1))
    with pytest.raises(Retryable):
        await log.append([NewRecord("t", 0, b"k", b"v")], lasting)
    with pytest.raises(Retryable):
        await log.read("t", 0, 0)
    cluster.down = False
    await log.append([NewRecord("t", 0, b"k", b"v")], lasting)
    assert log.queued_bytes == 0
    await log.stop()
    with pytest.raises(Retryable, match="not open"):
        await log.append([NewRecord("t", 0, b"k", b"v")])


async def test_too_much_and_too_large_are_refused(
    cluster: FakeCluster, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await started(clock, queue_bytes=2000, record_bytes=1000)
    await log.create_topic(TopicConfig("t"))
    sending = asyncio.Event()
    send = FakeProducer.send

    async def slow_send(*args: object) -> object:
        await sending.wait()
        return await send(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(FakeProducer, "send", slow_send)
    first = asyncio.ensure_future(log.append([NewRecord("t", 0, None, b"x" * 1000)]))
    await asyncio.sleep(0)
    with pytest.raises(SlowDown):
        await log.append([NewRecord("t", 0, None, b"x" * 900)])
    sending.set()
    await first
    with pytest.raises(TooLarge, match="1001"):
        await log.append([NewRecord("t", 0, None, b"x" * 1001)])
    cluster.settings["t"]["max.message.bytes"] = "10"
    with pytest.raises(TooLarge, match="Kafka"):
        await log.append([NewRecord("t", 0, None, b"x" * 11)])
    with pytest.raises(NotFound):
        await log.range("t", 1)
    await log.stop()


async def test_marks_of_other_processes_are_learnt(cluster: FakeCluster, clock: ManualClock) -> None:
    ours, theirs = await started(clock), await started(clock)
    await theirs.append([], mark(b"k", START + timedelta(hours=1)))
    async with asyncio.timeout(10):
        while await ours.lookup_mark(b"k") is None:  # noqa: ASYNC110 a task of the log brings it
            await asyncio.sleep(0)
    with pytest.raises(Conflict):
        await ours.append([], mark(b"k", START + timedelta(hours=1)))
    clock.advance(3600)
    assert await ours.lookup_mark(b"k") is None
    await ours.append([], mark(b"k", clock.now() + timedelta(hours=1)))
    await ours.stop()
    await theirs.stop()


async def test_expired_marks_leave_the_index(
    cluster: FakeCluster, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.kafka_marks._PURGE_EVERY", 10)
    log = await started(clock)
    for n in range(8):
        await log.append([], mark(b"old%d" % n, START + timedelta(seconds=1)))
    clock.advance(2)
    for n in range(12):
        await log.append([], mark(b"new%d" % n, START + timedelta(hours=1)))
    assert not any(key.startswith(b"old") for key in log._marks._marks)
    assert await log.lookup_mark(b"new0") is not None
    await log.stop()


async def test_committed_waits_for_the_coordinator(cluster: FakeCluster, clock: ManualClock) -> None:
    log = await started(clock)
    await log.create_topic(TopicConfig("t"))
    cluster.coordinator_errors = [GroupCoordinatorNotAvailableError()]
    cluster.commits["g", "t", 0] = 7
    assert await log.committed("g", "t", 0) == 7
    impatient = await started(clock, timeout_s=0)
    cluster.coordinator_errors = [GroupCoordinatorNotAvailableError()]
    with pytest.raises(Retryable):
        await impatient.committed("g", "t", 0)
    await log.stop()
    await impatient.stop()


async def test_appends_are_waited_for_and_then_refused(
    cluster: FakeCluster, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await started(clock, patience_s=5)
    await log.create_topic(TopicConfig("t"))
    answering = asyncio.Event()
    send = FakeProducer.send

    async def slow_send(*args: object) -> object:
        await answering.wait()
        return await send(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(FakeProducer, "send", slow_send)
    waiting = asyncio.ensure_future(log.append([NewRecord("t", 0, None, b"v")]))
    await asyncio.sleep(0)
    assert log.check().state == "running"
    while not waiting.done():
        clock.advance(1)
        await asyncio.sleep(0)
    with pytest.raises(Retryable, match="not known"):
        await waiting
    assert (log.check().state, log.check().ok) == ("disconnected", True)
    with pytest.raises(SlowDown, match="nothing was kept"):
        await log.append([NewRecord("t", 0, None, b"w")])
    assert log.queued_bytes > 0
    answering.set()
    while log.check().state != "running":  # noqa: ASYNC110 a task of the log ends it
        await asyncio.sleep(0)
    assert log.queued_bytes == 0
    await log.append([NewRecord("t", 0, None, b"w")])
    assert [record.value for record in cluster.topics["t"][0]] == [b"v", b"w"]
    assert log.check().state == "running"
    await log.stop()


async def test_following_the_marks_is_tried_again_and_shown(
    cluster: FakeCluster, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, other = await started(clock), await started(clock)
    getmany = FakeConsumer.getmany
    errors: list[Exception] = [KafkaConnectionError("away"), ZeroDivisionError()]

    async def failing(*args: object, **options: int) -> object:
        if errors and args[0] is log._marks._consumer:
            raise errors.pop(0)
        return await getmany(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(FakeConsumer, "getmany", failing)
    cluster.grown.set()  # whoever waits for records asks anew
    for state, ok in (("disconnected", True), ("failed", False)):
        while log.check().state != state:
            clock.advance(1)
            await asyncio.sleep(0)
        assert log.check().ok is ok
    garbage = [NewRecord("hub.marks", 0, b"k", b"no mark"), NewRecord("hub.marks", 0, b"k", None)]
    await other.append(garbage, mark(b"other", START + timedelta(hours=1)))
    while await log.lookup_mark(b"other") is None:
        clock.advance(1)
        await asyncio.sleep(0)
    while log.check().state != "running":  # noqa: ASYNC110 a task of the log sees to it
        await asyncio.sleep(0)
    await log.stop()
    await other.stop()
