"""One Faust app, both transports: agents, keys, commits, tables, restarts, and blocks."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import faust
import pytest

from broker.factory import faust_broker_url
from broker.faust_blocks import BlockLimits, Blocks, RecordBlock, blocks_topic
from broker.log import Log, NewRecord, TopicConfig
from broker.partition import partition_for
from core.clock import SystemClock
from tests.contract.conftest import TRANSPORTS

pytestmark = pytest.mark.parametrize("broker_url", TRANSPORTS, indirect=True)

WAIT = 30.0
ROOT = Path(__file__).parents[2]
Place = tuple[int, int]
WORKER = Path(__file__).with_name("worker.py")


@pytest.fixture
def app_id(topic: str) -> str:
    return "app-" + topic


def make_app(url: str, app_id: str, **settings: Any) -> faust.App:
    return faust.App(
        app_id,
        broker=faust_broker_url(url),
        store="memory://",
        datadir=tempfile.mkdtemp(prefix="faust-"),
        web_enabled=False,
        autodiscover=False,
        topic_disable_leader=True,
        broker_session_timeout=6.0,
        broker_heartbeat_interval=1.0,
        **settings,
    )


def raw_topic(app: faust.App, name: str, partitions: int = 1) -> Any:
    return app.topic(
        name,
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        partitions=partitions,
        internal=True,
    )


@asynccontextmanager
async def running(app: faust.App) -> AsyncIterator[faust.App]:
    app.finalize()
    await app.maybe_start()
    try:
        yield app
    finally:
        await app.stop()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that other tasks bring about."""
    async with asyncio.timeout(WAIT):
        while not condition():  # noqa: ASYNC110 the condition is in somebody else's hands
            await asyncio.sleep(0.01)


async def fill(log: Log, topic: str, count: int, partitions: int = 1, start: int = 0) -> None:
    await log.create_topic(TopicConfig(topic, partitions))
    await log.append([NewRecord(topic, n % partitions, b"k", b"%d" % n) for n in range(start, start + count)])


def values(blocks: list[RecordBlock]) -> list[int]:
    return [int(record.value or b"") for block in blocks for record in block.records]


async def test_an_agent_gets_every_record_in_order(log: Log, broker_url: str, topic: str, app_id: str) -> None:
    await fill(log, topic, 60, partitions=3)
    app = make_app(broker_url, app_id)
    seen: list[tuple[int, int]] = []

    @app.agent(raw_topic(app, topic, 3), concurrency=1)
    async def collect(stream: Any) -> None:
        async for event in stream.events():
            seen.append((event.message.partition, int(event.value)))

    async with running(app):
        await until(lambda: len(seen) == 60)
        await fill(log, topic, 30, partitions=3, start=60)
        await until(lambda: len(seen) == 90)
    for partition in range(3):
        assert [n for p, n in seen if p == partition] == list(range(partition, 90, 3))


async def test_keys_headers_and_times_arrive(log: Log, broker_url: str, topic: str, app_id: str) -> None:
    await log.create_topic(TopicConfig(topic, 4))
    app = make_app(broker_url, app_id)
    messages: list[Any] = []
    source = raw_topic(app, topic, 4)

    @app.agent(source, concurrency=1)
    async def collect(stream: Any) -> None:
        async for event in stream.events():
            messages.append(event.message)

    async with running(app):
        for n in range(8):
            await source.send(key=b"key-%d" % n, value=b"v", headers={"n": b"%d" % n}, timestamp=1_700_000_000.5 + n)
        await until(lambda: len(messages) == 8)
    for message in messages:
        n = int(dict(message.headers)["n"])
        assert message.key == b"key-%d" % n
        assert message.partition == partition_for(message.key, 4)
        assert message.timestamp == 1_700_000_000.5 + n


async def test_a_restart_goes_on_from_the_commit(log: Log, broker_url: str, topic: str, app_id: str) -> None:
    await fill(log, topic, 20)

    def build(seen: list[int]) -> faust.App:
        app = make_app(broker_url, app_id, broker_commit_interval=0.2)

        @app.agent(raw_topic(app, topic), concurrency=1)
        async def collect(stream: Any) -> None:
            async for event in stream.events():
                seen.append(int(event.value))

        return app

    first: list[int] = []
    async with running(build(first)):
        await until(lambda: len(first) == 20)
    assert await log.committed(app_id, topic, 0) == 20
    await fill(log, topic, 5, start=20)
    second: list[int] = []
    async with running(build(second)):
        await until(lambda: len(second) == 5)
    assert second == list(range(20, 25))


async def test_tables_are_recovered_from_their_changelog(log: Log, broker_url: str, topic: str, app_id: str) -> None:
    await fill(log, topic, 400, partitions=2)

    def build() -> tuple[faust.App, Any]:
        app = make_app(broker_url, app_id)
        table = app.Table("counts", default=int, partitions=2)

        @app.agent(raw_topic(app, topic, 2), concurrency=1)
        async def count(stream: Any) -> None:
            async for event in stream.events():
                table[f"p{event.message.partition}"] += 1

        return app, table

    app, table = build()
    async with running(app):
        await until(lambda: sum(table.values()) == 400)
    app, table = build()
    async with running(app):
        assert dict(table.items()) == {"p0": 200, "p1": 200}
        await fill(log, topic, 10, partitions=2)
        await until(lambda: sum(table.values()) == 410)


async def test_blocks_keep_order_and_commit_behind_each(log: Log, broker_url: str, topic: str, app_id: str) -> None:
    await fill(log, topic, 95, partitions=2)
    app = make_app(broker_url, app_id)
    blocks = Blocks(app, BlockLimits(linger_s=0.05, max_records=10), SystemClock())
    handled: list[RecordBlock] = []

    @app.agent(blocks_topic(app, topic, 2), concurrency=1)
    async def agent(stream: Any) -> None:
        await blocks.process(stream, handle)

    async def handle(block: RecordBlock) -> None:
        # Nothing of a block is committed while it is being handled.
        assert (await log.committed(app_id, topic, block.partition) or 0) <= block.first_offset
        handled.append(block)

    async with running(app):
        await until(lambda: len(values(handled)) == 95)
    for partition in (0, 1):
        own = [block for block in handled if block.partition == partition]
        assert values(own) == list(range(partition, 95, 2))
        assert all(block.rows == len(block.records) <= 10 for block in own)
        assert [block.first_offset for block in own[1:]] == [block.last_offset + 1 for block in own[:-1]]
        assert await log.committed(app_id, topic, partition) == own[-1].last_offset + 1


async def test_a_failing_block_comes_again_and_nothing_passes_it(
    log: Log, broker_url: str, topic: str, app_id: str
) -> None:
    await fill(log, topic, 30)
    app = make_app(broker_url, app_id, broker_commit_interval=0.1)
    blocks = Blocks(app, BlockLimits(linger_s=0.05, max_records=10, retry_s=0.2), SystemClock())
    attempts: list[tuple[int, int]] = []

    @app.agent(blocks_topic(app, topic, 1), concurrency=1)
    async def agent(stream: Any) -> None:
        await blocks.process(stream, handle)

    async def handle(block: RecordBlock) -> None:
        attempts.append((block.first_offset, block.attempt))
        if block.first_offset == 10 and block.attempt < 4:
            assert await log.committed(app_id, topic, 0) == 10
            raise ValueError("the warehouse is down")

    async with running(app):
        await until(lambda: len(attempts) == 6)
    assert attempts == [(0, 1), (10, 1), (10, 2), (10, 3), (10, 4), (20, 1)]
    assert await log.committed(app_id, topic, 0) == 30


async def test_a_raising_body_crashes_the_app_and_a_restart_repeats_the_block(
    log: Log, broker_url: str, topic: str, app_id: str
) -> None:
    await fill(log, topic, 30)

    def build(handled: list[RecordBlock], fail_at: int) -> faust.App:
        app = make_app(broker_url, app_id, broker_commit_interval=0.1)
        blocks = Blocks(app, BlockLimits(linger_s=0.05, max_records=10), SystemClock())

        @app.agent(blocks_topic(app, topic, 1), concurrency=1)
        async def agent(stream: Any) -> None:
            async for block in blocks.iterate(stream):
                if block.first_offset == fail_at:
                    raise ValueError("not caught")
                handled.append(block)

        return app

    first: list[RecordBlock] = []
    app = build(first, fail_at=10)
    async with running(app):
        await until(lambda: app.crashed)
    assert values(first) == list(range(10))
    assert await log.committed(app_id, topic, 0) == 10
    second: list[RecordBlock] = []
    async with running(build(second, fail_at=-1)):
        await until(lambda: len(values(second)) == 20)
    assert values(second) == list(range(10, 30))


async def test_large_blocks_are_bounded_in_bytes(log: Log, broker_url: str, topic: str, app_id: str) -> None:
    await log.create_topic(TopicConfig(topic))
    for _ in range(10):
        await log.append([NewRecord(topic, 0, None, b"x" * 100_000) for _ in range(10)])
    app = make_app(broker_url, app_id)
    limits = BlockLimits(linger_s=0.02, max_bytes=350_000, buffer_bytes=1_000_000)
    blocks = Blocks(app, limits, SystemClock())
    handled: list[RecordBlock] = []

    @app.agent(blocks_topic(app, topic, 1), concurrency=1)
    async def agent(stream: Any) -> None:
        await blocks.process(stream, handle)

    async def handle(block: RecordBlock) -> None:
        handled.append(block)
        await asyncio.sleep(0.001)

    async with running(app):
        await until(lambda: sum(len(block.records) for block in handled) == 100)
    assert max(block.size for block in handled) <= 350_000
    assert [r.offset for block in handled for r in block.records] == list(range(100))


class Worker:
    """The worker program; ``handled`` holds what it has said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.handled: list[tuple[int, int, int]] = []
        self.ready = False
        self._listening = asyncio.ensure_future(self._listen())

    @classmethod
    async def start(cls, *arguments: str) -> "Worker":
        return cls(
            await asyncio.create_subprocess_exec(
                *(sys.executable, str(WORKER), *arguments),
                stdout=asyncio.subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        )

    async def _listen(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            if line == b"ready\n":
                self.ready = True
            elif line.endswith(b"\n"):
                partition, first, last = line.split()
                self.handled.append((int(partition), int(first), int(last)))

    async def kill(self) -> None:
        self.process.kill()
        await self._listening
        await self.process.wait()


def check_continuity(
    handled: list[tuple[int, int, int]], committed: dict[int, int | None], seen: AbstractSet[Place]
) -> None:
    """Each partition goes on at its commit, and leaves nothing out.

    The last commit of a killed worker may be under way when it is asked for: then the next one begins behind it, and
    what lies between has been handled.
    """
    for partition, commit in committed.items():
        own = [(first, last) for number, first, last in handled if number == partition]
        position = commit or 0
        while (partition, position) in seen and own and own[0][0] > position:
            position += 1
        for first, last in own:
            assert first == position
            position = last + 1


@pytest.mark.chaos
async def test_kill_9_and_restart_leave_no_block_out(log: Log, broker_url: str, topic: str, app_id: str) -> None:
    total, partitions = 900, 2
    await fill(log, topic, total, partitions)
    seen: set[Place] = set()
    for kill_after in (20, 35, None):
        committed = {p: await log.committed(app_id, topic, p) for p in range(partitions)}
        before = frozenset(seen)
        worker = await Worker.start(broker_url, app_id, topic, str(partitions))

        def enough(worker: Worker = worker, kill_after: int | None = kill_after) -> bool:
            for partition, first, last in worker.handled:
                seen.update((partition, offset) for offset in range(first, last + 1))
            return len(worker.handled) >= kill_after if kill_after else len(seen) == total

        await until(enough)
        await worker.kill()
        enough()
        check_continuity(worker.handled, committed, before)
    assert len(seen) == total


@pytest.mark.chaos
async def test_a_second_worker_takes_over_from_the_first(log: Log, broker_url: str, topic: str, app_id: str) -> None:
    await fill(log, topic, 20)
    first = await Worker.start(broker_url, app_id, topic, "1")
    await until(lambda: first.handled[-1:] != [] and first.handled[-1][2] == 19)
    second = await Worker.start(broker_url, app_id, topic, "1")
    await fill(log, topic, 10, start=20)
    await until(lambda: (first.handled + second.handled)[-1][2] == 29 or second.handled != [])
    await first.kill()
    await fill(log, topic, 10, start=30)
    await until(lambda: second.handled[-1:] != [] and second.handled[-1][2] == 39)
    await second.kill()
    offsets = {n for _, start, last in first.handled + second.handled for n in range(start, last + 1)}
    assert offsets == set(range(40))
