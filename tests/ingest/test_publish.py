"""Group commit: what is gathered, when it goes, and who hears of it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import orjson
import pytest

from broker.log import Mark
from broker.partition import partition_for
from broker.topics import EVENTS
from core.clock import ManualClock
from core.errors import Conflict, SlowDown
from core.metrics import Metrics
from ingest.batch import Arrival, Batch
from ingest.decode.rows import decode_rows
from ingest.limits import Limits
from ingest.publish import Publisher
from tests.ingest.fakes import NOW, FakeLog, reverse, sample


def batch(rows: int = 1, tenant: str = "acme", mark: bytes | None = None, **changes: object) -> Batch:
    arrival = Arrival(tenant, NOW, NOW - timedelta(days=90), NOW + timedelta(days=1))
    values = [(i, sample(id=f"{tenant}-{mark}-{i}", trace_id=f"{i:032x}", **changes), b"") for i in range(rows)]
    decoded = decode_rows(values, arrival, 1 << 20)
    marks = (Mark(mark, b"", rows, b"{}", NOW + timedelta(days=1)),) if mark else ()
    return Batch(tenant, "events", NOW, decoded.table, decoded.rejected, marks)


@pytest.fixture
def publisher(log: FakeLog, clock: ManualClock):
    executor = ThreadPoolExecutor(1)
    yield Publisher(log, clock, Limits(gather_events=5, direct_events=4), Metrics(), reverse, executor)
    executor.shutdown()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_is_ready_goes_at_once_together(publisher: Publisher, log: FakeLog) -> None:
    await asyncio.gather(*(publisher.publish(batch(1, mark=b"%d" % i)) for i in range(3)))
    assert [len(append) for append in log.appends] == [1]
    assert len(log.events()) == 3
    assert len(log.marks) == 3


async def test_small_appends_begin_a_moment_apart(publisher: Publisher, log: FakeLog, clock: ManualClock) -> None:
    await publisher.publish(batch(1))
    waiting = []
    for _ in range(3):
        waiting.append(asyncio.create_task(publisher.publish(batch(1))))
        await settle()
    clock.advance(0.049)
    await settle()
    assert not any(task.done() for task in waiting)
    clock.advance(0.002)
    await asyncio.gather(*waiting)
    assert [len(append) for append in log.appends] == [1, 1]
    clock.advance(0.051)
    await publisher.publish(batch(1))
    assert len(log.events()) == 5


async def test_as_many_as_go_alone_need_not_wait(publisher: Publisher, log: FakeLog) -> None:
    await publisher.publish(batch(1))
    await asyncio.gather(publisher.publish(batch(2)), publisher.publish(batch(2)))
    assert len(log.appends) == 2


async def test_what_is_on_its_way_is_waited_for(publisher: Publisher, log: FakeLog, clock: ManualClock) -> None:
    async def send(rows: int) -> None:
        with publisher.coming():
            await publisher.publish(batch(rows))

    await send(1)
    with publisher.coming():
        waiting = [asyncio.create_task(send(2)) for _ in range(2)]
        await settle()
        assert len(log.appends) == 1
        await asyncio.gather(publisher.publish(batch(1)), *waiting)  # nothing else is: no time has passed
        assert len(log.tables()[-1]) == 5
        waiting = [asyncio.create_task(send(2)) for _ in range(2)]
        await settle()
        clock.advance(0.051)  # what is on its way takes too long
        await asyncio.gather(*waiting)
    assert len(log.appends) == 3


async def test_while_one_is_appended_the_others_wait(publisher: Publisher, log: FakeLog, clock: ManualClock) -> None:
    log.hold = asyncio.Event()
    first = asyncio.create_task(publisher.publish(batch(1)))
    await log.held.acquire()
    others = [asyncio.create_task(publisher.publish(batch(2))) for _ in range(2)]
    await settle()
    assert log.held.locked()
    log.hold.set()
    await asyncio.gather(first, *others)  # no time has passed: the end of the one let the others go
    assert len(log.appends) == 2


async def test_enough_events_go_at_once(publisher: Publisher, log: FakeLog) -> None:
    await publisher.publish(batch(1))
    log.hold = asyncio.Event()
    first = [asyncio.create_task(publisher.publish(batch(2))) for _ in range(2)]
    await log.held.acquire()
    more = [asyncio.create_task(publisher.publish(batch(3))), asyncio.create_task(publisher.publish(batch(2)))]
    await log.held.acquire()
    log.hold.set()
    await asyncio.gather(*first, *more)
    assert [len(table) for table in log.tables()] == [1, 4, 5]


async def test_the_rows_of_a_block_stay_as_they_are(publisher: Publisher, log: FakeLog) -> None:
    block = batch(40, tenant="acme").table
    slices = [Batch("acme", "events", NOW, block.slice(first, 2)) for first in (0, 2, 20)]
    await asyncio.gather(*(publisher.publish(one) for one in slices))
    (table,) = log.tables()
    wanted = [row for first in (0, 2, 20) for row in block.slice(first, 2).to_pylist()]
    assert [{name: row[name] for name in wanted[0]} for row in table.to_pylist()] == wanted
    assert table.schema.field("type").type == block.schema.field("type").type


async def test_a_large_batch_does_not_wait(publisher: Publisher, log: FakeLog) -> None:
    await publisher.publish(batch(4))
    assert len(log.events()) == 4


async def test_a_known_mark_fails_its_own_request_only(publisher: Publisher, log: FakeLog) -> None:
    await publisher.publish(batch(4, mark=b"known"))
    answers = await asyncio.gather(
        publisher.publish(batch(3, mark=b"known")), publisher.publish(batch(2, mark=b"new")), return_exceptions=True
    )
    assert isinstance(answers[0], Conflict)
    assert answers[1] is None
    assert len(log.events()) == 6


async def test_a_full_log_is_heard_by_everybody(publisher: Publisher, log: FakeLog) -> None:
    log.fail_with.append(SlowDown("full"))
    answers = await asyncio.gather(publisher.publish(batch(3)), publisher.publish(batch(2)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [SlowDown, SlowDown]
    assert log.records == []


async def test_stop_commits_what_was_gathered(publisher: Publisher, log: FakeLog) -> None:
    await publisher.publish(batch(1))
    waiting = asyncio.create_task(publisher.publish(batch(1)))
    await settle()
    assert len(log.events()) == 1
    await publisher.stop()
    await waiting
    assert len(log.events()) == 2
    with pytest.raises(SlowDown):
        await publisher.publish(batch(1))


async def test_rows_of_a_trace_share_a_partition(clock: ManualClock) -> None:
    log = FakeLog(clock, partitions=4)
    with ThreadPoolExecutor(1) as executor:
        publisher = Publisher(log, clock, Limits(direct_events=1), Metrics(), reverse, executor)
        await publisher.publish(batch(40))
    assert len({record.partition for record in log.records}) > 1
    for record in log.records:
        assert record.topic == EVENTS
    for table, record in zip(log.tables(), log.records, strict=True):
        for event in table.to_pylist():
            assert partition_for(b"acme" + event["trace_id"], 4) == record.partition


async def test_rejected_rows_are_encrypted_dead_letters(publisher: Publisher, log: FakeLog) -> None:
    await publisher.publish(batch(4, source=""))
    (letter,) = log.dead_letters()
    value = orjson.loads(reverse(letter))
    assert (value["tenant"], value["door"], value["stage"]) == ("acme", "events", "ingest")
    assert [row["field"] for row in value["rows"]] == ["source"] * 4
