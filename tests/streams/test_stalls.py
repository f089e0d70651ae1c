"""A partition in which records wait and nothing moves is noticed, by its lag alone."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Retryable
from storage.warehouse.writer import Block
from streams import runner
from streams.stalls import Stalls
from tests.streams.conftest import Lab, until
from tests.streams.fakes import FakeWriter
from tests.streams.test_streams import _calls

LOOKS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.floats(0, 40)), max_size=30)


@given(LOOKS)
def test_found_is_what_waited_in_one_place_for_so_long(looks: list[tuple[int, int, float]]) -> None:
    stalls, now, since, place = Stalls(60.0), 0.0, 0.0, -1
    for at, waiting, later in looks:
        now += later
        if place != at or not waiting:
            place, since = at, now
        stalls.look("7", at, at + waiting, now)
        assert stalls.found(now) == (["7"] if now - since >= 60 else [])


def test_what_is_excused_begins_anew() -> None:
    stalls = Stalls(60.0)
    for partition in ("1", "2"):
        stalls.look(partition, 0, 5, 0.0)
    stalls.excuse("1")
    assert stalls.found(60.0) == ["2"]
    stalls.excuse()
    assert stalls.found(999.0) == []


async def test_a_worker_that_fetches_nothing_any_more_is_not_alive(lab: Lab) -> None:
    writer = FakeWriter()
    async with lab.streams(writer, stall_s=0.2) as streams:
        await until(lambda: streams.check().ok)
        assert streams.alive() is None
        streams._app.consumer.pause_partitions(streams._app.consumer.assignment())  # as a lost fetcher looks
        await lab.append(_calls(range(3)))
        await until(lambda: streams.alive() is not None)
        assert streams.check().state == "stalled"
        assert "partitions 0 have not moved" in streams.check().detail


async def test_waiting_for_the_warehouse_is_no_stall(lab: Lab) -> None:
    down = asyncio.Event()

    def trouble(_: Block) -> None:
        if not down.is_set():
            raise Retryable("no warehouse")

    writer = FakeWriter(trouble)
    await lab.append(_calls(range(3)))
    async with lab.streams(writer, stall_s=0.05, retry_s=0.02) as streams:
        await until(lambda: writer.attempts >= 15)
        assert streams.check().state == "waiting"
        assert streams.alive() is None
        down.set()
        await until(lambda: streams.check().ok)


async def test_a_worker_of_its_own_ends_to_be_started_anew(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(runner.os, "_exit", ended.append)
    async with lab.streams(FakeWriter(), stall_s=0.1, exit_on_give_up=True) as streams:
        await until(lambda: streams.check().ok)
        streams._app.consumer.pause_partitions(streams._app.consumer.assignment())
        await lab.append(_calls(range(3)))
        await until(lambda: bool(ended))
    assert set(ended) == {70}


async def test_what_is_not_mine_any_more_is_not_reported(lab: Lab) -> None:
    async with lab.streams(FakeWriter()) as streams:
        await until(lambda: streams.check().ok)
        assert _reported(lab) == {"0"}
        mine = streams._mine
        streams._mine = list  # type: ignore[method-assign]
        await until(lambda: _reported(lab) == set())
        streams._mine = mine  # type: ignore[method-assign]
        await until(lambda: _reported(lab) == {"0"})


def _reported(lab: Lab) -> set[str]:
    (family,) = lab.metrics.streams_lag_records.collect()
    return {sample.labels["partition"] for sample in family.samples}
