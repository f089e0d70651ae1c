"""Blocks are stored once, in tables and rollups, whatever dies in between."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from core.errors import Conflict, Retryable
from storage.warehouse.client import Warehouse
from storage.warehouse.writer import SPREAD_ROWS, Block, BlockWriter, Resume
from tests.storage.warehouse.rows import NOW, block, events, journal, roller, table, totals

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[Any]:
    kept = journal(tmp_path)
    yield kept
    kept.close()


def test_a_block_is_in_every_table(warehouse: Warehouse, notes: Any) -> None:
    seen: list[Block] = []
    writer = BlockWriter(warehouse, notes, "hub", roller(warehouse), lambda stored, _: seen.append(stored))
    writer.write(block(0))
    assert len({*totals(warehouse).values()}) == 1
    assert totals(warehouse)["events"][0] == warehouse.query("SELECT count() FROM payloads").scalar() == 200
    assert [item.first_offset for item in seen] == [0]
    assert writer.resume("hub.events", 0) == Resume(stored_through=0, resend=None)
    assert writer.resume("hub.events", 1) == Resume(None, None)


def test_the_same_block_again_changes_nothing(warehouse: Warehouse, notes: Any) -> None:
    writer = BlockWriter(warehouse, notes, "hub", roller(warehouse))
    for number in (1, 2, 1, 2):
        writer.write(block(number))
    assert len({*totals(warehouse).values()}) == 1
    assert totals(warehouse)["events"][0] == 400


class _Breaks:
    """A warehouse that fails before or after an insert."""

    def __init__(self, inner: Warehouse, at: int, *, after: bool) -> None:
        self.inner, self.at, self.after = inner, at, after

    def insert(self, name: str, rows: pa.Table, token: str = "") -> None:
        self.at -= 1
        if self.at == 0 and not self.after:
            raise Retryable("down")
        self.inner.insert(name, rows, token)
        if self.at == 0:
            raise Retryable("answer lost")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 2])
def test_a_failed_write_is_resumed_with_the_same_range(
    warehouse: Warehouse, notes: Any, at: int, *, after: bool
) -> None:
    with pytest.raises(Retryable):
        BlockWriter(_Breaks(warehouse, at, after=after), notes, "hub", roller(warehouse)).write(block(7))
    writer = BlockWriter(warehouse, notes, "hub", roller(warehouse))
    assert writer.resume("hub.events", 0) == Resume(None, (7, 7))
    longer = Block("hub.events", 0, 7, 8, block(7).events)
    with pytest.raises(Conflict):
        writer.write(longer)
    writer.write(block(7))
    assert len({*totals(warehouse).values()}) == 1
    assert totals(warehouse)["events"][0] == warehouse.query("SELECT count() FROM payloads").scalar() == 200


def test_a_skipped_block_counts_as_stored(warehouse: Warehouse, notes: Any) -> None:
    writer = BlockWriter(warehouse, notes, "hub", roller(warehouse))
    writer.skip(block(3))
    assert writer.resume("hub.events", 0) == Resume(3, None)
    assert totals(warehouse)["events"][0] == 0


def test_history_of_a_year_goes_in_and_is_counted_once(warehouse: Warehouse, notes: Any) -> None:
    rows = pa.concat_tables([events(day, 1, time=NOW - timedelta(days=day)) for day in range(365)])
    old = Block("hub.events", 0, 0, 0, rows)
    for _ in range(2):
        BlockWriter(warehouse, notes, "hub", roller(warehouse)).write(old)
    counted = totals(warehouse)
    assert counted["events"] == counted["rollup_1h"] == counted["rollup_users_1h"]
    assert counted["events"][0] == 365


def test_spread_blocks_go_in_parts_and_live_ones_whole(warehouse: Warehouse, notes: Any) -> None:
    sizes: list[tuple[str, int]] = []

    class Counts:
        def insert(self, name: str, rows: pa.Table, token: str = "") -> None:
            sizes.append((token.split("/", 1)[1], rows.num_rows))

    count = SPREAD_ROWS + 10
    times = pa.array([NOW - timedelta(seconds=number % 3600) for number in range(count)], pa.timestamp("us", "UTC"))
    writer = BlockWriter(Counts(), notes, "hub", roller(warehouse))
    writer.write(Block("t", 0, 0, 0, pa.table({"time": times})))
    writer.write(Block("t", 0, 1, 1, pa.table({"time": times.slice(0, 600)})))
    writer.write(Block("t", 0, 2, 2, table([])))
    assert sizes == [("events/0", SPREAD_ROWS), ("events/1", 10), ("events/0", 600)]
