"""The embedded log beyond the contract: group commit, limits, disk trouble, other processes."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.embedded.config import SqliteLogConfig
from broker.embedded.log import SqliteLog
from broker.embedded.schema import connect
from broker.embedded.transaction import Transaction
from broker.log import NewRecord, Record, TopicConfig
from core.clock import ManualClock, SystemClock
from core.errors import NotFound, Retryable, SettingsError, SlowDown, TooLarge

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
OpenLog = Callable[..., SqliteLog]


def new(value: bytes | None, partition: int = 0, key: bytes | None = b"k") -> NewRecord:
    return NewRecord("t", partition, key, value)


class Gate:
    """Holds the writer thread inside a transaction until it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def __call__(self, _: Transaction) -> None:
        self.entered.set()
        self.opened.wait(20)


async def hold(log: SqliteLog) -> tuple[Gate, "asyncio.Future[None]"]:
    gate = Gate()
    held = log._writer.submit(gate)
    await asyncio.to_thread(gate.entered.wait, 20)
    return gate, held


async def test_what_waits_for_the_disk_shares_one_transaction(log: SqliteLog) -> None:
    await log.create_topic(TopicConfig("t"))
    gate, held = await hold(log)
    before = log.counts.transactions
    appends = [asyncio.ensure_future(log.append([new(b"%d" % n)])) for n in range(50)]
    await asyncio.sleep(0)
    gate.opened.set()
    positions = await asyncio.gather(*appends)
    await held
    assert [position.offset for (position,) in positions] == list(range(50))
    assert log.counts.transactions == before + 1


async def test_a_group_is_limited_in_bytes(open_log: OpenLog) -> None:
    log = open_log(group_bytes=3100)
    await log.start()
    await log.create_topic(TopicConfig("t"))
    gate, held = await hold(log)
    before = log.counts.transactions
    appends = [asyncio.ensure_future(log.append([new(b"x" * 1000)])) for _ in range(6)]
    await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.gather(held, *appends)
    assert log.counts.transactions == before + 3


async def test_a_full_queue_refuses(open_log: OpenLog) -> None:
    log = open_log(queue_bytes=5000)
    await log.start()
    await log.create_topic(TopicConfig("t"))
    gate, held = await hold(log)
    first = asyncio.ensure_future(log.append([new(b"x" * 4000)]))
    await asyncio.sleep(0)
    assert log.queued_bytes > 4000
    with pytest.raises(SlowDown, match="wait for the log's disk"):
        await log.append([new(b"x" * 1000)])
    soon = log.append_soon([new(b"small")], bounded=False)
    gate.opened.set()
    await asyncio.gather(held, first, soon)
    assert log.counts.refused == 1
    assert log.queued_bytes == 0
    await log.append([new(b"x" * 1000)])
    assert await log.range("t", 0) == (0, 3)


async def test_one_larger_than_the_queue_still_passes(open_log: OpenLog) -> None:
    log = open_log(queue_bytes=100, record_bytes=10_000)
    await log.start()
    await log.create_topic(TopicConfig("t"))
    await log.append([new(b"x" * 10_000)])
    with pytest.raises(TooLarge):
        await log.append([new(b"x" * 10_001)])


async def fill_up(log: SqliteLog) -> None:
    for _ in range(100):
        await log.append([new(b"x" * 100_000)])


async def test_a_full_disk_slows_down_and_recovers(open_log: OpenLog) -> None:
    log = open_log(max_file_bytes=40 * 32768)
    await log.start()
    await log.create_topic(TopicConfig("t", retention_bytes=0))
    with pytest.raises(SlowDown, match="full") as refusal:
        await fill_up(log)
    assert refusal.value.retry_after == 5
    _, end = await log.range("t", 0)
    assert 0 < end < 13
    while await log.retain():
        pass
    (position,) = await log.append([new(b"x" * 100_000)])
    assert position.offset == end


async def test_a_failing_request_does_not_end_the_writer(log: SqliteLog) -> None:
    await log.create_topic(TopicConfig("t"))

    def broken(_: Transaction) -> None:
        raise ZeroDivisionError

    with pytest.raises(Retryable):
        await log._writer.submit(broken)
    await log.append([new(b"x")])
    assert await log.range("t", 0) == (0, 1)


async def test_a_request_that_fails_takes_its_whole_group_along(log: SqliteLog) -> None:
    await log.create_topic(TopicConfig("t"))
    gate, held = await hold(log)
    append = asyncio.ensure_future(log.append([new(b"x")]))
    await asyncio.sleep(0)

    def broken(transaction: Transaction) -> None:
        transaction.connection.execute("INSERT INTO nowhere VALUES (1)")

    failing = log._writer.submit(broken)
    gate.opened.set()
    await held
    for future in (append, failing):
        with pytest.raises(Retryable):
            await future
    assert await log.range("t", 0) == (0, 0)
    assert (await log.append([new(b"y")]))[0].offset == 0


async def test_a_cancelled_caller_harms_nobody(log: SqliteLog) -> None:
    await log.create_topic(TopicConfig("t"))
    gate, held = await hold(log)
    cancelled = asyncio.ensure_future(log.append([new(b"1")]))
    other = asyncio.ensure_future(log.append([new(b"2")]))
    await asyncio.sleep(0)
    cancelled.cancel()
    gate.opened.set()
    await held
    assert (await other)[0].offset == 1


async def test_a_stopped_log_says_so(log: SqliteLog) -> None:
    await log.create_topic(TopicConfig("t"))
    await log.append([new(b"x")])
    await log.stop()
    with pytest.raises(Retryable, match="not open"):
        await log.append([new(b"x")])
    with pytest.raises(Retryable, match="not open"):
        await log.lookup_mark(b"k")


async def test_stop_writes_what_waits(log: SqliteLog, open_log: OpenLog) -> None:
    await log.create_topic(TopicConfig("t"))
    gate, held = await hold(log)
    appends = [asyncio.ensure_future(log.append([new(b"%d" % n)])) for n in range(5)]
    await asyncio.sleep(0)
    stopping = asyncio.ensure_future(log.stop())
    gate.opened.set()
    await asyncio.gather(stopping, held, *appends)
    again = open_log()
    await again.start()
    assert await again.range("t", 0) == (0, 5)


def overwrite(path: Path, start: int, content: bytes) -> None:
    path.touch()
    with path.open("r+b") as file:
        file.seek(start)
        file.write(content)


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 4000])
async def test_a_damaged_file_is_named(path: Path, open_log: OpenLog, content: bytes) -> None:
    overwrite(path, 0, content)
    with pytest.raises(SettingsError, match=r"log\.db is damaged"):
        await open_log().start()


async def start_and_read(log: SqliteLog) -> None:
    await log.start()
    for offset in range(50):
        await log.read("t", 0, offset)


async def test_a_damaged_page_is_named_when_it_is_read(log: SqliteLog, path: Path, open_log: OpenLog) -> None:
    await log.create_topic(TopicConfig("t"))
    await log.append([new(b"x" * 20_000) for _ in range(50)])
    await log.stop()
    overwrite(path, 4 * 32768, b"\xff" * 46 * 32768)
    broken = open_log()
    with pytest.raises((SettingsError, Retryable), match="damaged"):
        await start_and_read(broken)


async def test_foreign_and_newer_files_are_refused(path: Path, open_log: OpenLog, clock: ManualClock) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE mine (a)")
    other.close()
    with pytest.raises(SettingsError, match="no log of the hub"):
        await open_log().start()
    other_path = path.with_name("other.db")
    log = SqliteLog(other_path, clock)
    await log.start()
    await log.stop()
    other = sqlite3.connect(other_path)
    other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(SettingsError, match="newer version"):
        await log.start()


async def test_an_impossible_path_is_named(tmp_path: Path, clock: ManualClock) -> None:
    with pytest.raises(SettingsError, match="cannot be opened"):
        await SqliteLog(tmp_path, clock).start()


def torn_copy(path: Path) -> Path:
    """What a power cut leaves: the last transaction of the journal is there in part."""
    copy = path.with_name("copy.db")
    copy.write_bytes(path.read_bytes())
    journal = path.with_name("log.db-wal").read_bytes()
    copy.with_name("copy.db-wal").write_bytes(journal + journal[-40_000:-500])
    return copy


async def test_a_torn_end_of_the_journal_costs_only_what_was_not_acknowledged(
    log: SqliteLog, path: Path, clock: ManualClock
) -> None:
    await log.create_topic(TopicConfig("t"))
    await log.append([new(b"kept")])
    torn = SqliteLog(torn_copy(path), clock)
    await torn.start()
    assert [r.value for r in await torn.read("t", 0, 0)] == [b"kept"]
    await torn.stop()


async def test_another_processes_appends_are_seen(open_log: OpenLog, path: Path, clock: ManualClock) -> None:
    ours, theirs = open_log(), SqliteLog(path, SystemClock())
    await ours.start()
    await theirs.start()
    await theirs.create_topic(TopicConfig("t", 2))
    await ours.create_topic(TopicConfig("t", 2))
    waiting = asyncio.ensure_future(ours.wait({("t", 1): 0}, timeout=20))
    await theirs.append([new(b"theirs", 1)])
    while not waiting.done():
        clock.advance(0.05)
        await asyncio.wait([waiting], timeout=0.02)
    assert waiting.result() is True
    (position,) = await ours.append([new(b"ours", 1)])
    assert position.offset == 1
    assert [r.value for r in await ours.read("t", 1, 0)] == [b"theirs", b"ours"]
    await theirs.append([new(b"again", 1)])
    assert (await ours.append([new(b"last", 1)]))[0].offset == 3
    assert [r.value for r in await ours.read("t", 1, 2)] == [b"again", b"last"]
    await theirs.stop()


async def test_a_busy_file_slows_down(open_log: OpenLog, path: Path) -> None:
    log = open_log(busy_s=0.05)
    await log.start()
    await log.create_topic(TopicConfig("t"))
    other = connect(path, SqliteLogConfig())
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(SlowDown, match="Another process"):
        await log.append([new(b"x")])
    other.execute("ROLLBACK")
    other.close()
    await log.append([new(b"x")])


async def test_wait(log: SqliteLog) -> None:
    await log.create_topic(TopicConfig("t", 2))
    assert await log.wait({("t", 0): 0}, timeout=0.01) is False
    waiting = asyncio.ensure_future(log.wait({("t", 0): 0, ("t", 1): 0}, timeout=20))
    await asyncio.sleep(0)
    await log.append([new(b"x", 1)])
    assert await waiting is True
    assert await log.wait({("t", 1): 0}, timeout=20) is True
    with pytest.raises(NotFound):
        await log.wait({("t", 9): 0}, timeout=20)
    ending = asyncio.ensure_future(log.wait({("t", 0): 0}, timeout=20))
    await asyncio.sleep(0)
    await log.stop()
    assert await ending is False


async def test_readers_of_other_loops_are_woken(log: SqliteLog) -> None:
    await log.create_topic(TopicConfig("t"))
    registered = threading.Event()

    async def elsewhere() -> bool:
        waiting = asyncio.ensure_future(log.wait({("t", 0): 0}, timeout=20))
        await asyncio.sleep(0)
        registered.set()
        return await waiting

    thread = asyncio.ensure_future(asyncio.to_thread(asyncio.run, elsewhere()))
    await asyncio.to_thread(registered.wait, 20)
    await log.append([new(b"x")])
    assert await thread is True


async def test_commits(log: SqliteLog, open_log: OpenLog) -> None:
    await log.create_topic(TopicConfig("t", 2))
    await log.commit("g", {("t", 0): 3, ("t", 1): 1})
    await log.commit("g", {("t", 0): 5})
    assert await log.committed("g", "t", 0) == 5
    assert await log.committed("other", "t", 0) is None
    await log.stop()
    again = open_log()
    await again.start()
    assert await again.commits("g") == {("t", 0): 5, ("t", 1): 1}
    await again.forget_group("g")
    assert await again.commits("g") == {}


async def test_records_come_from_memory_or_from_the_file_alike(open_log: OpenLog) -> None:
    log = open_log(tail_bytes=5000)
    await log.start()
    await log.create_topic(TopicConfig("t"))
    for n in range(20):
        await log.append([new(b"%03d" % n + b"x" * 997)])
    assert log._tail.read(1, 0, 10, 1 << 20) is None
    assert log._tail.read(1, 18, 10, 1 << 20) is not None
    for offset in (0, 10, 17, 18, 19):
        records = await log.read("t", 0, offset, max_records=3)
        assert [r.offset for r in records] == list(range(offset, min(offset + 3, 20)))
        assert all((r.value or b"").startswith(b"%03d" % r.offset) for r in records)


RECORDS = st.lists(
    st.builds(
        NewRecord,
        st.just("t"),
        st.integers(0, 2),
        st.none() | st.binary(max_size=20),
        st.none() | st.binary(max_size=200),
        st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=5)), max_size=3).map(tuple),
        st.integers(0, 2**41),
    ),
    max_size=12,
)


@given(st.lists(RECORDS, max_size=4))
def test_whatever_is_appended_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[NewRecord]]
) -> None:
    async def run() -> None:
        log = SqliteLog(tmp_path_factory.mktemp("log") / "log.db", ManualClock(START))
        await log.start()
        await log.create_topic(TopicConfig("t", 3))
        expected: dict[int, list[Record]] = {0: [], 1: [], 2: []}
        for batch in batches:
            positions = await log.append(batch)
            for given_, at in zip(batch, positions, strict=True):
                known = expected[given_.partition]
                assert (at.partition, at.offset) == (given_.partition, len(known))
                stamp = given_.timestamp_ms or 0
                known.append(Record("t", at.partition, at.offset, given_.key, given_.value, given_.headers, stamp))
        for again in (False, True):
            if again:
                await log.stop()
                await log.start()
            for partition, records in expected.items():
                assert await log.read("t", partition, 0) == records
        await log.stop()

    asyncio.run(run())
