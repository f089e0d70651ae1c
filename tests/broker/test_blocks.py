"""Gathering records into blocks."""

from hypothesis import given
from hypothesis import strategies as st

from broker.blocks import BlockLimits, Gatherer, RecordBlock
from broker.log import Record


def record(offset: int, size: int = 10, partition: int = 0) -> Record:
    return Record("t", partition, offset, None, b"x" * size, (), 0)


def rows_of(record: Record) -> int:
    return len(record.value or b"")


def test_a_block_lingers_until_it_is_full() -> None:
    gatherer = Gatherer(BlockLimits(linger_s=1, max_records=3), rows_of)
    assert gatherer.due_in(0) is None
    assert gatherer.add(record(0), now=5) is True
    assert gatherer.add(record(1), now=5.5) is False
    assert gatherer.take(5.9) is None
    assert gatherer.due_in(5.75) == 0.25
    assert gatherer.add(record(2), now=5.9) is True
    block = gatherer.take(5.9)
    assert block is not None
    assert (block.first_offset, block.last_offset, block.rows, block.size, block.attempt) == (0, 2, 30, 30, 1)
    assert gatherer.size == 0
    assert gatherer.take(99) is None


def test_a_block_that_fills_quickly_lingers_longer_until_it_has_enough() -> None:
    limits = BlockLimits(linger_s=1, busy_rows=3, busy_linger_s=4, enough_rows=5, max_rows=100)
    gatherer = Gatherer(limits, rows_of)
    for offset in range(3):
        gatherer.add(record(offset, size=1), now=0)
    assert gatherer.take(now=1) is None
    assert gatherer.due_in(now=1) == 3
    gatherer.add(record(3, size=1), now=2)
    assert gatherer.add(record(4, size=1), now=2)
    gatherer.add(record(5, size=1), now=2)
    block = gatherer.take(now=2)
    assert block is not None
    assert block.rows == 6
    for offset in range(6, 9):
        gatherer.add(record(offset, size=1), now=3)
    assert gatherer.take(now=6.9) is None
    assert gatherer.take(now=7) is not None


def test_what_stays_behind_lingers_anew() -> None:
    gatherer = Gatherer(BlockLimits(linger_s=1, max_records=2), rows_of)
    for offset in range(3):
        gatherer.add(record(offset, size=1), now=0)
    first = gatherer.take(1)
    assert first is not None
    assert first.last_offset == 1
    assert gatherer.take(1.5) is None
    second = gatherer.take(2)
    assert second is not None
    assert second.first_offset == second.last_offset == 2


def test_the_longest_waiting_partition_comes_first_and_one_can_be_forgotten() -> None:
    gatherer = Gatherer(BlockLimits(linger_s=1), rows_of)
    gatherer.add(record(0, partition=1), now=0)
    gatherer.add(record(0, partition=0), now=0.5)
    gatherer.add(record(0, partition=2), now=0.6)
    gatherer.forget(("t", 2))
    gatherer.forget(("t", 9))
    blocks = [gatherer.take(2), gatherer.take(2)]
    assert [block.partition for block in blocks if block] == [1, 0]
    assert gatherer.take(2) is None


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 60)), max_size=60),
    st.integers(1, 8),
    st.integers(1, 90),
    st.integers(1, 90),
)
def test_blocks_lose_nothing_and_keep_the_limits(
    arrivals: list[tuple[int, int]], max_records: int, max_rows: int, max_bytes: int
) -> None:
    gatherer = Gatherer(BlockLimits(1.0, max_records, max_rows, max_bytes), rows_of)
    offsets = [0, 0, 0]
    blocks: list[RecordBlock] = []
    for now, (partition, size) in enumerate(arrivals):
        gatherer.add(record(offsets[partition], size, partition), now * 0.3)
        offsets[partition] += 1
        while block := gatherer.take(now * 0.3):
            blocks.append(block)
    for late in range(200):
        while block := gatherer.take(1000.0 + late):
            blocks.append(block)
    assert gatherer.size == 0
    for partition, count in enumerate(offsets):
        own = [r.offset for block in blocks if block.partition == partition for r in block.records]
        assert own == list(range(count))
    for block in blocks:
        assert block.size == block.rows == sum(rows_of(r) for r in block.records)
        within = len(block.records) <= max_records and block.rows <= max_rows and block.size <= max_bytes
        assert within or len(block.records) == 1
