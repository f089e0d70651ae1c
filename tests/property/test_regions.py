"""Two topics of one partition number, workers killed and overtaken at any moment: each event counts once, none is lost.

The journal is the real one, the log and the warehouse are in memory. A worker dies at a moment of a block's life, or
stops there while another, that believes the partition to be its own, goes on; then it wakes up and goes on as well.
"""

import asyncio
import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from broker.blocks import RecordBlock
from broker.log import NewRecord, Position, Record
from broker.topics import EVENTS, REGION_HEADER, lane
from core.clock import SystemClock
from core.errors import Conflict
from core.metrics import Metrics
from storage.metadata.database import Metadata
from storage.metadata.journal import SqlBlockJournal
from storage.warehouse.writer import BlockWriter
from streams.config import StreamsConfig
from streams.handler import BlockHandler
from streams.pipeline import Pipeline
from streams.prices.model import no_tenant_prices
from streams.prices.table import PriceTable
from streams.prices.unpriced import UnpricedModels
from streams.runner import keep_ninety_days
from streams.sink import Sink
from streams.watermark import Watermark
from tests.streams.blocks import make_record, make_table

MIRROR = f"eu.{EVENTS}"
TOPICS = (EVENTS, MIRROR)
MOMENTS = (
    "begin",
    "begun",
    "insert payloads",
    "inserted payloads",
    "insert events",
    "inserted events",
    "finish",
    "finished",
)
NOW_MS = int(datetime(2026, 11, 20, 12, 0, tzinfo=UTC).timestamp() * 1000)

_groups = itertools.count()


class Killed(BaseException):
    """The worker is no more."""


class Moments:
    """Calls what was asked for when the moment comes."""

    def __init__(self) -> None:
        self.at: dict[str, Callable[[], None]] = {}

    def __call__(self, moment: str) -> None:
        if (act := self.at.pop(moment, None)) is not None:
            act()


class MemoryLog:
    """As much of a log as a handler asks for."""

    def __init__(self) -> None:
        self.records: dict[str, list[Record]] = {topic: [] for topic in TOPICS}

    def add(self, topic: str, ids: list[int], late_ms: int) -> None:
        rows = [{"id": number.to_bytes(16, "big"), "body": '{"input_messages": "hi"}'} for number in ids]
        kept = self.records[topic]
        headers = (("rows", str(len(rows)).encode()), (REGION_HEADER, b"eu" if topic == MIRROR else b"us"))
        value = make_record(make_table(rows))
        kept.append(Record(topic, 0, len(kept), None, value, headers, NOW_MS + 1000 * len(kept) - late_ms))

    async def read(self, topic: str, _: int, offset: int, *, max_records: int = 500) -> list[Record]:
        return self.records[topic][max(0, offset) : max(0, offset) + max_records]

    async def range(self, topic: str, _: int) -> tuple[int, int]:
        return 0, len(self.records[topic])

    async def append(self, _: list[NewRecord]) -> list[Position]:
        return []


class MemoryWarehouse:
    """Takes each token once, as the engine does."""

    def __init__(self) -> None:
        self.tokens: set[str] = set()
        self.rows: dict[str, list[pa.Table]] = {"events": [], "payloads": []}
        self._lock = threading.Lock()

    def take(self, table: str, rows: pa.Table, token: str) -> None:
        with self._lock:
            if token not in self.tokens:
                self.tokens.add(token)
                self.rows[table].append(rows)

    def ids(self, table: str) -> list[bytes]:
        return sorted(id_ for rows in self.rows[table] for id_ in rows.column("id").to_pylist())


class Inserts:
    """One worker's way to the warehouse."""

    def __init__(self, warehouse: MemoryWarehouse, moments: Moments) -> None:
        self._warehouse, self._moments = warehouse, moments

    def insert(self, table: str, rows: pa.Table, token: str = "") -> None:
        self._moments(f"insert {table}")
        self._warehouse.take(table, rows, token)
        self._moments(f"inserted {table}")


class Watched(SqlBlockJournal):
    """The journal, with a word before and after; it need not outlive the machine."""

    def __init__(self, url: str, moments: Moments) -> None:
        super().__init__(url)
        self.moments = moments
        event.listen(self._engine, "connect", lambda made, _: made.execute("PRAGMA synchronous=OFF"))

    def begin(self, *arguments: Any) -> Any:
        self.moments("begin")
        entry = super().begin(*arguments)
        self.moments("begun")
        return entry

    def finish(self, *arguments: Any) -> None:
        self.moments("finish")
        super().finish(*arguments)
        self.moments("finished")


class Numbers:
    """Positions, by lane."""

    def __init__(self) -> None:
        self.lanes: set[int] = set()

    def resume(self, lane: int, *, complete: bool) -> None:
        self.lanes.add(lane)

    def take(self, lane: int, count: int) -> range:
        assert lane in self.lanes
        return range(count)

    def stored(self, lane: int, *_: Any) -> None:
        assert lane in self.lanes


@dataclass
class World:
    """What outlives every worker."""

    url: str
    group: str
    log: MemoryLog = field(default_factory=MemoryLog)
    warehouse: MemoryWarehouse = field(default_factory=MemoryWarehouse)

    def committed(self, journal: SqlBlockJournal, topic: str) -> int:
        through = journal.done_through(self.group, topic, 0)
        return 0 if through is None else through + 1


class Worker:
    """A handler of both topics, and how far it has been given blocks of each."""

    def __init__(self, world: World) -> None:
        self._world, self.moments = world, Moments()
        self.journal = Watched(world.url, self.moments)
        config = StreamsConfig("", mirrors=("eu",), block_rows=4, retry_s=0.001)
        metrics, clock, log = Metrics(), SystemClock(), world.log
        self.numbers = Numbers()
        inserts = Inserts(world.warehouse, self.moments)
        writer = BlockWriter(inserts, self.journal, world.group, self.numbers)
        pipeline = Pipeline(PriceTable(no_tenant_prices), keep_ninety_days, metrics, UnpricedModels())
        watermark = Watermark([0])
        sink = Sink(config, log, writer, clock, metrics, lambda letter: letter, watermark, None)  # type: ignore[arg-type]
        self.handler = BlockHandler(config, log, writer, pipeline, sink, clock)  # type: ignore[arg-type]
        self.next = {topic: world.committed(self.journal, topic) for topic in TOPICS}

    async def go_on(self, topic: str, records: int) -> None:
        """The next records of a topic as one block, again until they are handled."""
        some = self._world.log.records[topic][self.next[topic] : self.next[topic] + records]
        if not some:
            return
        block = RecordBlock(topic, 0, some[0].offset, some[-1].offset, tuple(some), 0, 0)
        for _ in range(20):
            try:
                await self.handler.handle(block)
            except Conflict:
                continue
            self.next[topic] = some[-1].offset + 1
            return
        raise AssertionError("it does not go on")

    def close(self) -> None:
        self.journal.close()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('journal')}/hub.db"

    async def migrate() -> None:
        metadata = Metadata(url)
        await metadata.start()
        await metadata.migrate()
        await metadata.stop()

    asyncio.run(migrate())
    return url


RECORDS = st.lists(st.lists(st.integers(0, 15), min_size=1, max_size=4), max_size=8)
STEP = st.tuples(
    st.sampled_from(TOPICS),
    st.integers(1, 4),
    st.sampled_from(("", "", "kill", "stop")),
    st.sampled_from(MOMENTS),
    st.integers(0, 1),
)
QUICK = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUICK
@given(RECORDS, RECORDS, st.lists(STEP, max_size=10), st.sampled_from((0, 3_600_000)))
def test_what_is_in_both_counts_once(
    database: str, own: list[list[int]], mirrored: list[list[int]], steps: list[Any], late_ms: int
) -> None:
    world = World(database, f"group-{next(_groups)}")
    for ids in own:
        world.log.add(EVENTS, ids, 0)
    for ids in mirrored:
        world.log.add(MIRROR, ids, late_ms)
    asyncio.run(_live(world, steps))
    wanted = sorted({number.to_bytes(16, "big") for ids in (*own, *mirrored) for number in ids})
    assert world.warehouse.ids("events") == wanted
    assert world.warehouse.ids("payloads") == wanted


async def _live(world: World, steps: list[Any]) -> None:
    workers = [Worker(world), Worker(world)]
    stopped: tuple[asyncio.Task[None], threading.Event] | None = None
    sleeper = -1
    try:
        for topic, records, what, moment, who in steps:
            who = who if stopped is None else 1 - sleeper
            worker = workers[who]
            worker.moments.at.clear()
            if what == "stop" and stopped is None:
                stopped, sleeper = await _stopped(worker, topic, records, moment), who
                continue
            if what == "kill":
                worker.moments.at[moment] = _die
            try:
                await worker.go_on(topic, records)
            except Killed:
                worker.close()
                workers[who] = Worker(world)
            if stopped is not None:
                stopped = await _woken(*stopped)
        if stopped is not None:
            await _woken(*stopped)
        for worker in workers:
            worker.moments.at.clear()
            for topic in TOPICS:
                await worker.go_on(topic, 100)
            assert worker.numbers.lanes <= {lane(topic, 0) for topic in TOPICS}
    finally:
        for worker in workers:
            worker.close()


def _die() -> None:
    raise Killed


async def _stopped(
    worker: Worker, topic: str, records: int, moment: str
) -> tuple[asyncio.Task[None], threading.Event] | None:
    """A worker that goes on until the moment comes, and hangs there; None when it did not come."""
    here, go = threading.Event(), threading.Event()

    def hang() -> None:
        here.set()
        assert go.wait(30)

    worker.moments.at[moment] = hang
    task = asyncio.create_task(worker.go_on(topic, records))
    deadline = time.monotonic() + 30
    while not here.is_set() and not task.done():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)
    if here.is_set():
        return task, go
    await task
    return None


async def _woken(task: asyncio.Task[None], go: threading.Event) -> None:
    go.set()
    await task
