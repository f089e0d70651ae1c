"""Retention by age and size, compaction, and the size of the file."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from broker.embedded.config import SqliteLogConfig
from broker.embedded.log import SqliteLog
from broker.embedded.schema import connect
from broker.log import Mark, NewRecord, TopicConfig
from core.clock import ManualClock

OpenLog = Callable[..., SqliteLog]


async def append(log: SqliteLog, count: int, size: int = 1000, key: bytes | None = b"k") -> None:
    await log.append([NewRecord("t", 0, key, b"x" * size) for _ in range(count)])


async def retain_all(log: SqliteLog) -> int:
    bites = 1
    while await log.retain():
        bites += 1
    return bites


def size_of(path: Path) -> int:
    return path.stat().st_size


async def test_old_records_go_and_offsets_stay(log: SqliteLog, clock: ManualClock, open_log: OpenLog) -> None:
    await log.create_topic(TopicConfig("t", retention_s=60))
    await append(log, 10)
    clock.advance(50)
    await append(log, 5)
    await retain_all(log)
    assert await log.range("t", 0) == (0, 15)
    clock.advance(20)
    await retain_all(log)
    assert await log.range("t", 0) == (10, 15)
    assert [r.offset for r in await log.read("t", 0, 0)] == list(range(10, 15))
    clock.advance(1000)
    await retain_all(log)
    assert await log.range("t", 0) == (14, 15)
    await log.stop()
    again = open_log()
    await again.start()
    assert await again.range("t", 0) == (14, 15)
    (position,) = await again.append([NewRecord("t", 0, None, b"next")])
    assert position.offset == 15


async def test_size_is_limited_for_each_partition(log: SqliteLog, open_log: OpenLog) -> None:
    await log.create_topic(TopicConfig("t", retention_bytes=5000))
    await append(log, 20)
    await retain_all(log)
    assert await log.range("t", 0) == (15, 20)
    await log.stop()
    again = open_log()
    await again.start()
    await append(again, 2)
    await retain_all(again)
    assert await again.range("t", 0) == (17, 22)


async def test_retention_of_another_process_is_taken_over(log: SqliteLog, path: Path, clock: ManualClock) -> None:
    await log.create_topic(TopicConfig("t", retention_bytes=5000))
    await append(log, 20)
    other = SqliteLog(path, clock)
    await other.start()
    await retain_all(other)
    await append(other, 1)
    await append(log, 1)
    await retain_all(log)
    assert await log.range("t", 0) == (17, 22)
    await retain_all(other)
    await append(other, 1)
    assert await other.range("t", 0) == (17, 23)
    await other.stop()


async def test_retention_bites_are_small(open_log: OpenLog, clock: ManualClock) -> None:
    log = open_log(retention_records=10)
    await log.start()
    await log.create_topic(TopicConfig("t", retention_s=1))
    await append(log, 35)
    clock.advance(4)  # not as far as the log's own round
    assert await log.retain() is True
    assert await log.range("t", 0) == (10, 35)
    await retain_all(log)
    assert await log.range("t", 0) == (34, 35)


async def test_what_a_group_has_not_processed_stays(log: SqliteLog, clock: ManualClock) -> None:
    await log.create_topic(TopicConfig("t", retention_s=1))
    await append(log, 20)
    await log.commit("streams", {("t", 0): 8})
    clock.advance(100)
    await retain_all(log)
    assert await log.range("t", 0) == (8, 20)
    await log.forget_group("streams")
    await retain_all(log)
    assert await log.range("t", 0) == (19, 20)


async def test_expired_marks_go(log: SqliteLog, clock: ManualClock, path: Path) -> None:
    await log.create_topic(TopicConfig("t"))
    for n in range(5):
        await log.append([], Mark(b"%d" % n, b"h", 1, b"", clock.now() + timedelta(seconds=n * 10 + 1)))
    clock.advance(25)
    await retain_all(log)
    connection = connect(path, SqliteLogConfig())
    assert [key for (key,) in connection.execute("SELECT key FROM marks ORDER BY key")] == [b"3", b"4"]
    connection.close()
    assert await log.lookup_mark(b"2") is None
    assert await log.lookup_mark(b"3") is not None


async def test_the_file_does_not_grow_for_ever_and_shrinks(open_log: OpenLog, path: Path) -> None:
    log = open_log(page_bytes=4096, checkpoint_bytes=1 << 20)
    await log.start()
    await log.create_topic(TopicConfig("t", retention_bytes=1 << 20))
    sizes = []
    for _ in range(12):
        await append(log, 10, size=100_000)
        await retain_all(log)
        sizes.append(size_of(path))
    assert max(sizes[4:]) <= 1.5 * sizes[4]
    await append(log, 100, size=100_000)
    large = size_of(path)
    await retain_all(log)
    await append(log, 20, size=100_000)
    await retain_all(log)
    assert size_of(path) < large / 2


async def test_retention_happens_by_itself(log: SqliteLog, clock: ManualClock) -> None:
    await log.create_topic(TopicConfig("t", retention_s=1))
    await append(log, 3)
    while (await log.range("t", 0))[0] < 2:
        clock.advance(5)
        await log.lookup_mark(b"")


async def test_compaction_keeps_the_newest_of_each_key(open_log: OpenLog) -> None:
    log = open_log(compact_records=10)
    await log.start()
    await log.create_topic(TopicConfig("t", compacted=True, retention_s=0))
    for n in range(9):
        await log.append([NewRecord("t", 0, b"%d" % (n % 3), b"%d" % n)])
    await retain_all(log)
    assert len(await log.read("t", 0, 0)) == 9
    await log.append([NewRecord("t", 0, None, b"without key"), NewRecord("t", 0, b"0", None)])
    await retain_all(log)
    await log.stop()
    again = open_log(compact_records=10)
    await again.start()
    records = await again.read("t", 0, 0)
    assert [(r.offset, r.key, r.value) for r in records] == [
        (7, b"1", b"7"),
        (8, b"2", b"8"),
        (9, None, b"without key"),
        (10, b"0", None),
    ]
    await append(again, 9)
    assert (await again.range("t", 0))[1] == 20
    await retain_all(again)
    assert len(await again.read("t", 0, 0)) == 13
    await append(again, 1)
    await retain_all(again)
    assert [r.offset for r in await again.read("t", 0, 0)] == [7, 8, 9, 10, 20]
