"""What every log owes its callers (:class:`broker.log.Log`)."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from broker.factory import open_log
from broker.log import Log, Mark, NewRecord, Record, TopicConfig
from core.clock import SystemClock
from core.errors import Conflict, NotFound, SettingsError

SOON = datetime.now(UTC) + timedelta(hours=1)


def record(topic: str, value: bytes | None, partition: int = 0, **more: object) -> NewRecord:
    return NewRecord(topic, partition, b"key", value, **more)  # type: ignore[arg-type]


async def everything(log: Log, topic: str, partition: int = 0) -> list[Record]:
    offset, end = await log.range(topic, partition)
    found: list[Record] = []
    while offset < end:
        records = await log.read(topic, partition, offset)
        found += records
        offset = records[-1].offset + 1 if records else end
    return found


async def test_what_is_appended_is_read_back(log: Log, topic: str) -> None:
    await log.create_topic(TopicConfig(topic, 2))
    headers = (("kind", b"batch"), ("kind", b""))
    new = NewRecord(topic, 1, b"\x00key", b"\xffvalue", headers, timestamp_ms=1_700_000_000_123)
    (position,) = await log.append([new])
    assert (position.topic, position.partition, position.offset) == (topic, 1, 0)
    assert await log.read(topic, 1, 0) == [Record(topic, 1, 0, b"\x00key", b"\xffvalue", headers, 1_700_000_000_123)]
    assert await log.read(topic, 0, 0) == []
    assert await log.range(topic, 1) == (0, 1)


async def test_key_and_value_may_be_missing(log: Log, topic: str) -> None:
    await log.create_topic(TopicConfig(topic))
    await log.append([NewRecord(topic, 0, None, b"v"), NewRecord(topic, 0, b"k", None), NewRecord(topic, 0, b"", b"")])
    pairs = [(r.key, r.value) for r in await everything(log, topic)]
    assert pairs == [(None, b"v"), (b"k", None), (b"", b"")]


async def test_order_within_a_partition(log: Log, topic: str) -> None:
    await log.create_topic(TopicConfig(topic, 3))
    for start in range(0, 30, 10):
        await log.append([record(topic, b"%d" % n, n % 3) for n in range(start, start + 10)])
    for partition in range(3):
        records = await everything(log, topic, partition)
        assert [int(r.value or b"") for r in records] == list(range(partition, 30, 3))
        assert [r.offset for r in records] == list(range(len(records)))


async def test_concurrent_appends_keep_each_callers_order(log: Log, topic: str) -> None:
    await log.create_topic(TopicConfig(topic, 2))

    async def caller(name: int) -> None:
        for n in range(8):
            await log.append([record(topic, b"%d:%d" % (name, n), 0), record(topic, b"%d:%d" % (name, n), 1)])

    await asyncio.gather(*(caller(name) for name in range(6)))
    for partition in (0, 1):
        records = await everything(log, topic, partition)
        assert [r.offset for r in records] == list(range(48))
        for name in range(6):
            own = [r.value for r in records if (r.value or b"").startswith(b"%d:" % name)]
            assert own == [b"%d:%d" % (name, n) for n in range(8)]


async def test_reads_are_limited(log: Log, topic: str) -> None:
    await log.create_topic(TopicConfig(topic))
    await log.append([record(topic, b"x" * 1000) for _ in range(10)])
    assert len(await log.read(topic, 0, 0, max_records=3)) == 3
    assert len(await log.read(topic, 0, 4, max_bytes=2500)) == 2
    assert len(await log.read(topic, 0, 4, max_bytes=1)) == 1
    assert await log.read(topic, 0, 10) == []
    assert await log.read(topic, 0, 99) == []


async def test_a_restart_keeps_records_and_offsets(log: Log, topic: str, broker_url: str) -> None:
    await log.create_topic(TopicConfig(topic, 2))
    await log.append([record(topic, b"before")])
    await log.stop()
    again = open_log(broker_url, clock=SystemClock())
    await again.start()
    await again.create_topic(TopicConfig(topic, 2))
    assert again.partitions(topic) == 2
    (position,) = await again.append([record(topic, b"after")])
    assert position.offset == 1
    assert [r.value for r in await everything(again, topic)] == [b"before", b"after"]
    await again.stop()


async def test_topics(log: Log, topic: str) -> None:
    await log.create_topic(TopicConfig(topic, 2))
    await log.create_topic(TopicConfig(topic, 2, retention_s=3600))
    assert log.partitions(topic) == 2
    with pytest.raises(SettingsError, match="fixed"):
        await log.create_topic(TopicConfig(topic, 3))
    with pytest.raises(NotFound):
        log.partitions(topic + ".other")
    with pytest.raises(NotFound):
        await log.append([record(topic, b"x", 2)])
    with pytest.raises(NotFound):
        await log.read(topic + ".other", 0, 0)
    assert await everything(log, topic) == []


async def test_tail_begins_at_a_time(log: Log, topic: str) -> None:
    await log.create_topic(TopicConfig(topic))
    start = datetime(2026, 11, 20, tzinfo=UTC)
    stamps = [int((start + timedelta(minutes=n)).timestamp() * 1000) for n in range(5)]
    await log.append([record(topic, b"%d" % n, timestamp_ms=stamp) for n, stamp in enumerate(stamps)])
    since = start + timedelta(minutes=3)
    assert [r.value async for r in log.tail(topic, 0, since)] == [b"3", b"4"]
    assert [r.value async for r in log.tail(topic, 0, since + timedelta(days=1))] == []
    assert len([r async for r in log.tail(topic, 0, start - timedelta(days=1))]) == 5


async def test_tail_ends_where_the_log_ended(log: Log, topic: str) -> None:
    await log.create_topic(TopicConfig(topic))
    await log.append([record(topic, b"1")])
    seen = []
    async for found in log.tail(topic, 0, datetime(2000, 1, 1, tzinfo=UTC)):
        seen.append(found.value)
        await log.append([record(topic, b"later")])
    assert seen == [b"1"]


async def test_a_mark_is_found_again(log: Log, topic: str) -> None:
    await log.create_topic(TopicConfig(topic))
    key = topic.encode()
    assert await log.lookup_mark(key) is None
    mark = Mark(key, b"hash", 3, b'{"accepted": 3}', SOON)
    await log.append([record(topic, b"x")], mark)
    found = await log.lookup_mark(key)
    assert found is not None
    assert (found.key, found.body_hash, found.rows, found.answer) == (key, b"hash", 3, b'{"accepted": 3}')
    assert abs(found.expires_at - SOON) < timedelta(milliseconds=2)


async def test_the_same_mark_twice_appends_nothing(log: Log, topic: str) -> None:
    await log.create_topic(TopicConfig(topic))
    mark = Mark(topic.encode(), b"hash", 1, b"", SOON)
    await log.append([record(topic, b"first")], mark)
    with pytest.raises(Conflict):
        await log.append([record(topic, b"second")], mark)
    assert [r.value for r in await everything(log, topic)] == [b"first"]


async def test_of_concurrent_appends_with_one_mark_one_wins(log: Log, topic: str) -> None:
    await log.create_topic(TopicConfig(topic))
    mark = Mark(topic.encode(), b"hash", 1, b"", SOON)
    outcomes = await asyncio.gather(
        *(log.append([record(topic, b"%d" % n)], mark) for n in range(8)), return_exceptions=True
    )
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 7
    assert len(await everything(log, topic)) == 1


async def test_several_marks_and_a_mark_without_records(log: Log, topic: str) -> None:
    await log.create_topic(TopicConfig(topic))
    first, second, alone = (Mark(f"{topic}.{n}".encode(), b"h", n, b"", SOON) for n in range(3))
    await log.append([record(topic, b"x")], [first, second])
    assert await log.append([], alone) == []
    for mark in (first, second, alone):
        found = await log.lookup_mark(mark.key)
        assert found is not None
        assert found.rows == mark.rows


async def test_all_live_marks_can_be_listed(log: Log, topic: str) -> None:
    await log.create_topic(TopicConfig(topic))
    past = datetime.now(UTC) - timedelta(seconds=1)
    live = [Mark(f"{topic}.{n:04}".encode(), b"h", n, b"a", SOON) for n in range(1100)]
    await log.append([], [*live, Mark(f"{topic}.gone".encode(), b"h", 1, b"", past)])
    found = {mark.key: mark.rows for mark in [one async for one in log.marks()] if mark.key.startswith(topic.encode())}
    assert found == {mark.key: mark.rows for mark in live}


async def test_an_expired_mark_is_as_if_it_had_never_been(log: Log, topic: str) -> None:
    await log.create_topic(TopicConfig(topic))
    mark = Mark(topic.encode(), b"old", 1, b"", datetime.now(UTC) - timedelta(seconds=1))
    await log.append([record(topic, b"1")], mark)
    assert await log.lookup_mark(mark.key) is None
    await log.append([record(topic, b"2")], Mark(mark.key, b"new", 1, b"", SOON))
    found = await log.lookup_mark(mark.key)
    assert found is not None
    assert found.body_hash == b"new"


async def test_marks_outlive_a_restart(log: Log, topic: str, broker_url: str) -> None:
    await log.create_topic(TopicConfig(topic))
    await log.append([record(topic, b"x")], Mark(topic.encode(), b"hash", 1, b"answer", SOON))
    await log.stop()
    again = open_log(broker_url, clock=SystemClock())
    await again.start()
    found = await again.lookup_mark(topic.encode())
    assert found is not None
    assert found.answer == b"answer"
    await again.stop()


async def test_a_group_that_never_committed_has_no_offset(log: Log, topic: str) -> None:
    await log.create_topic(TopicConfig(topic))
    assert await log.committed("group-" + topic, topic, 0) is None


async def test_start_and_stop_may_be_repeated(log: Log) -> None:
    await log.start()
    await log.stop()
    await log.stop()
