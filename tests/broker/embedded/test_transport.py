"""The parts of the sqlite:// transport that the contract does not reach: leases, positions, trouble."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from faust.types import TP

from broker.embedded.groups import GroupLock
from broker.embedded.lease import give_back, lease
from broker.embedded.log import SqliteLog
from broker.embedded.registry import shared_log
from broker.factory import faust_broker_url
from broker.faust_blocks import BlockLimits, Blocks, blocks_topic
from broker.log import NewRecord, TopicConfig
from broker.partition import partition_for
from core.clock import SystemClock
from core.errors import SettingsError, SlowDown


def make_app(path: Path, **settings: Any) -> faust.App:
    return faust.App(
        "app",
        broker=faust_broker_url(f"sqlite:///{path}"),
        store="memory://",
        datadir=str(path.parent / "faust"),
        web_enabled=False,
        autodiscover=False,
        topic_disable_leader=True,
        **settings,
    )


def raw_topic(app: faust.App, name: str, partitions: int | None, **more: Any) -> Any:
    raw = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}
    return app.topic(name, partitions=partitions, **raw, **more)  # type: ignore[arg-type]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 the condition is in somebody else's hands
            await asyncio.sleep(0.01)


class Running:
    """An app with one plain agent on ``t`` (two partitions) that opens its log itself."""

    def __init__(self, path: Path) -> None:
        self.app = make_app(path, broker_commit_interval=0.1)
        self.topic = raw_topic(self.app, "t", 2, internal=True)
        self.seen: list[tuple[int, int]] = []
        self.app.agent(self.topic, concurrency=1)(self.collect)

    async def collect(self, stream: Any) -> None:
        async for event in stream.events():
            self.seen.append((event.message.partition, event.message.offset))


@pytest.fixture
async def running(path: Path) -> AsyncIterator[Running]:
    running = Running(path)
    running.app.finalize()
    await running.app.maybe_start()
    yield running
    await running.app.stop()


async def test_an_app_alone_opens_and_closes_its_log(path: Path) -> None:
    running = Running(path)
    running.app.finalize()
    await running.app.maybe_start()
    assert shared_log(path) is not None
    metadata = await (await running.topic.send(key=b"k", value=b"v"))
    assert metadata.offset == 0
    await until(lambda: len(running.seen) == 1)
    await running.app.stop()
    assert shared_log(path) is None


async def test_leases_are_counted_and_the_hubs_own_log_is_shared(log: SqliteLog, tmp_path: Path) -> None:
    assert await lease(log.path) is log
    await give_back(log)
    assert shared_log(log.path) is log
    other = (tmp_path / "other.db").resolve()
    first, second = await lease(other), await lease(other)
    assert first is second
    await give_back(first)
    assert shared_log(other) is first
    await give_back(second)
    assert shared_log(other) is None


async def test_what_the_consumer_knows_of_the_log(running: Running) -> None:
    consumer: Any = running.app.consumer
    producer: Any = running.app.producer
    await until(lambda: len(consumer.assignment()) == 2)
    for n in range(6):
        await running.topic.send(key=b"k%d" % n, value=b"v", partition=n % 2)
    await until(lambda: len(running.seen) == 6)
    first = TP("t", 0)
    assert consumer.highwater(first) == 3
    assert await consumer.highwaters(first) == {first: 3}
    assert await consumer.earliest_offsets(first) == {first: 0}
    assert await consumer.position(first) == 3
    assert consumer.topic_partitions("t") == 2
    assert consumer.topic_partitions("none") is None
    assert consumer.key_partition("t", b"abc") == partition_for(b"abc", 2)
    assert consumer.key_partition("t", b"abc", 1) == 1
    assert consumer.key_partition("none", b"abc") is None
    assert producer.key_partition("t", b"abc") == TP("t", partition_for(b"abc", 2))
    assert producer.supports_headers() is True
    await consumer.create_topic("made", 3, 1, retention=60.0)
    assert consumer.topic_partitions("made") == 3


async def test_seeking_reads_again(running: Running) -> None:
    consumer: Any = running.app.consumer
    for n in range(6):
        await running.topic.send(key=b"k", value=b"v", partition=n % 2)
    await until(lambda: len(running.seen) == 6)
    running.seen.clear()
    await consumer.seek(TP("t", 0), 1)
    await until(lambda: len(running.seen) == 2)
    assert running.seen == [(0, 1), (0, 2)]
    running.seen.clear()
    await consumer.seek_to_beginning(TP("t", 1))
    await until(lambda: len(running.seen) == 3)


async def test_paused_partitions_go_on_at_once(running: Running) -> None:
    consumer: Any = running.app.consumer
    tps = {TP("t", 0), TP("t", 1)}
    await until(lambda: consumer.assignment() == tps and consumer.flow_active)
    for tp in tps:
        consumer.on_buffer_full(tp)
    await running.topic.send(key=b"k", value=b"v", partition=0)
    await asyncio.wait([asyncio.ensure_future(asyncio.sleep(0.05))])
    before = asyncio.get_running_loop().time()
    for tp in tps:
        consumer.on_buffer_drop(tp)
    await until(lambda: len(running.seen) == 1)
    assert asyncio.get_running_loop().time() - before < 0.9


async def test_a_crashed_app_does_not_commit(running: Running) -> None:
    consumer: Any = running.app.consumer
    await until(lambda: consumer._log is not None)
    log = consumer._log
    assert await consumer._commit({TP("t", 0): 1}) is True
    await running.app.crash(ValueError("boom"))
    assert await consumer._commit({TP("t", 0): 9}) is False
    assert await log.committed("app", "t", 0) == 1


async def test_a_commit_that_fails_is_tried_again(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    consumer: Any = running.app.consumer
    await until(lambda: consumer._log is not None)

    async def full(*_: Any) -> None:
        raise SlowDown("full")

    monkeypatch.setattr(consumer._log, "commit", full)
    assert await consumer._commit({TP("t", 0): 1}) is False


async def test_sending_makes_topics_and_waits_for_room(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    producer: Any = running.app.producer
    other = raw_topic(running.app, "other", 1)
    metadata = await (await other.send(key=b"k", value=b"v", partition=0, headers=[("a", b"1")]))
    assert metadata.offset == 0
    append_soon, refusals = producer._log.append_soon, iter([SlowDown("full")])

    def sometimes(*args: Any, **options: Any) -> Any:
        for refusal in refusals:
            raise refusal
        return append_soon(*args, **options)

    monkeypatch.setattr(producer._log, "append_soon", sometimes)
    metadata = await (await other.send(key=b"k", value=b"v", partition=0))
    assert metadata.offset == 1
    first, _ = await producer._log.read("other", 0, 0)
    assert first.headers == (("a", b"1"),)


async def test_send_soon_is_in_order_and_flush_waits_for_it(running: Running) -> None:
    producer: Any = running.app.producer
    late = raw_topic(running.app, "late", 1)
    done: list[int] = []
    for n in range(5):  # the topic is still to be made
        late.send_soon(key=b"k", value=b"%d" % n, partition=0)
    await producer.flush()
    for n in range(5, 10):
        late.send_soon(key=b"k", value=b"%d" % n, partition=0, callback=lambda fut: done.append(fut.result().offset))
    await producer.flush()
    await until(lambda: len(done) == 5)
    assert done == list(range(5, 10))
    assert [r.value for r in await producer._log.read("late", 0, 0)] == [b"%d" % n for n in range(10)]


async def test_a_failed_send_soon_crashes_the_app(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    producer: Any = running.app.producer

    def fails(*_: Any, **__: Any) -> Any:
        future = asyncio.get_running_loop().create_future()
        future.set_exception(SlowDown("the disk is full"))
        return future

    monkeypatch.setattr(producer._log, "append_soon", fails)
    sent = running.topic.send_soon(key=b"k", value=b"v", partition=0)
    await until(lambda: running.app.crashed)
    with pytest.raises(SlowDown):
        await sent


async def test_topics_that_nobody_made_come_into_being(path: Path) -> None:
    app = make_app(path, topic_partitions=3)
    seen = []

    @app.agent(raw_topic(app, "undeclared", None), concurrency=1)
    async def collect(stream: Any) -> None:
        async for event in stream.events():
            seen.append(event.value)

    app.finalize()
    await app.maybe_start()
    assert app.consumer.topic_partitions("undeclared") == 3
    await app.stop()


async def test_a_second_app_waits_for_the_first_to_leave_the_group(log: SqliteLog, path: Path) -> None:
    lock = GroupLock(log.path, "app")
    assert lock.acquire()
    assert not GroupLock(log.path, "app").acquire()
    await log.create_topic(TopicConfig("t", 2))
    await log.append([NewRecord("t", 0, None, b"v")])
    running = Running(path)
    running.app.finalize()
    starting = asyncio.ensure_future(running.app.maybe_start())
    await asyncio.wait([starting], timeout=1.0)
    assert running.seen == []
    lock.release()
    lock.release()
    await starting
    await until(lambda: len(running.seen) == 1)
    await running.app.stop()


async def test_new_topics_are_subscribed_while_running(log: SqliteLog, path: Path) -> None:
    app = make_app(path)
    blocks = Blocks(app, BlockLimits(linger_s=0.01), SystemClock())
    handled: list[int] = []

    @app.agent(blocks_topic(app, "b", 1), concurrency=1)
    async def agent(stream: Any) -> None:
        async for block in blocks.iterate(stream):
            handled.extend(record.offset for record in block.records)

    app.finalize()
    await app.maybe_start()
    await log.append([NewRecord("b", 0, None, b"%d" % n) for n in range(3)])
    await until(lambda: len(handled) == 3)
    await log.create_topic(TopicConfig("more", 1))
    await app.consumer.subscribe(["b", "more"])
    await until(lambda: TP("more", 0) in app.consumer.assignment())
    await log.append([NewRecord("b", 0, None, b"%d" % n) for n in range(3)])
    await until(lambda: len(handled) == 6)
    assert handled == list(range(6))
    assert blocks.buffered_bytes == 0
    await app.stop()


async def test_blocks_refuse_a_topic_that_faust_acknowledges(log: SqliteLog, path: Path) -> None:
    await log.create_topic(TopicConfig("t", 1))
    await log.append([NewRecord("t", 0, None, b"v")])
    app = make_app(path)
    blocks = Blocks(app, BlockLimits(), SystemClock())
    errors: list[BaseException] = []

    @app.agent(raw_topic(app, "t", 1, internal=True), concurrency=1)
    async def agent(stream: Any) -> None:
        try:
            await blocks.process(stream, _never)
        except SettingsError as error:
            errors.append(error)

    app.finalize()
    await app.maybe_start()
    await until(lambda: errors != [])
    assert "blocks_topic" in str(errors[0])
    await app.stop()


async def _never(_: Any) -> None:
    raise AssertionError


async def test_a_part_that_was_not_started_says_so(path: Path) -> None:
    app = make_app(path)
    for part in (app.consumer, app.producer):
        with pytest.raises(RuntimeError, match="not been started"):
            part._open_log()
    app.producer.send_soon(SimpleNamespace(message=SimpleNamespace(channel="t")))  # type: ignore[arg-type]
    assert app.producer.buffer.size == 1
