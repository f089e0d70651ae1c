"""Deduplication against a naive rule, whatever the blocks are."""

import uuid
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.steps.dedupe import Deduper, Window, duplicates_by_tenant

_T0 = datetime(2026, 11, 20, tzinfo=UTC)
_Event = tuple[str, int, int]  # tenant, id, second


def _table(events: list[_Event]) -> pa.Table:
    return pa.table(
        {
            "tenant": pa.array([tenant for tenant, _, _ in events], pa.string()),
            "id": pa.array([uuid.UUID(int=number).bytes for _, number, _ in events], pa.binary(16)),
            "received_at": pa.array(
                [_T0 + timedelta(seconds=second) for _, _, second in events], pa.timestamp("us", tz="UTC")
            ),
        }
    )


def _naive(events: list[_Event], window: Window) -> list[bool]:
    last: dict[tuple[str, int], tuple[int, int, int]] = {}
    seen: dict[str, int] = {}
    answers = []
    for row, (tenant, number, second) in enumerate(events):
        sequence = seen.get(tenant, 0)
        seen[tenant] = sequence + 1
        before = last.get((tenant, number))
        answers.append(
            before is not None
            and second - before[0] <= window.seconds
            and sequence - before[1] <= window.events
            and row - before[2] <= window.total
        )
        last[tenant, number] = (second, sequence, row)
    return answers


_events = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 12), st.integers(0, 3)), min_size=1, max_size=120
)


@settings(deadline=None, max_examples=150)
@given(
    steps=_events,
    cuts=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    window=st.builds(Window, seconds=st.integers(1, 12), events=st.integers(1, 15), total=st.integers(1, 30)),
)
def test_equals_the_naive_rule_for_any_blocks(steps: list[_Event], cuts: list[int], window: Window) -> None:
    second, events = 0, []
    for tenant, number, step in steps:
        second += step
        events.append((tenant, number, second))
    deduper, answers, start, turn = Deduper(window), [], 0, 0
    while start < len(events):
        size = cuts[turn % len(cuts)]
        answers += deduper.repeated(_table(events[start : start + size])).tolist()
        start, turn = start + size, turn + 1
    assert answers == _naive(events, window)


def test_restored_from_the_tail_decides_the_same() -> None:
    window = Window(seconds=10, events=50, total=60)
    events = [("a", number % 37, number // 4) for number in range(400)]
    whole = Deduper(window)
    expected = whole.repeated(_table(events))[300:]
    restored = Deduper(window)
    restored.repeated(_table(events[220:300]))  # more than 10 seconds and 60 events
    assert restored.repeated(_table(events[300:])).tolist() == expected.tolist()


def test_same_id_of_two_tenants_is_two_events() -> None:
    repeated = Deduper(Window()).repeated(_table([("a", 1, 0), ("b", 1, 0), ("a", 1, 1), ("b", 1, 1)]))
    assert repeated.tolist() == [False, False, True, True]


def test_counts_by_tenant() -> None:
    table = _table([("a", 1, 0), ("b", 1, 0), ("a", 1, 1), ("a", 1, 1)])
    assert dict(duplicates_by_tenant(table, Deduper(Window()).repeated(table))) == {"a": 2}


def test_many_tenants() -> None:
    deduper = Deduper(Window())
    events = [(f"t{number}", number, 0) for number in range(40)]
    assert not deduper.repeated(_table(events)).any()
    assert deduper.repeated(_table(events)).all()


def test_memory_is_bounded() -> None:
    assert Deduper(Window()).nbytes < 64e6


@pytest.mark.parametrize("limits", [{"seconds": -1}, {"events": -1}, {"total": 0}])
def test_window_must_be_sensible(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        Window(**limits)


@pytest.mark.parametrize(("limits", "open_"), [({"seconds": 0}, False), ({"events": 0}, False), ({}, True)])
def test_a_limit_of_zero_turns_it_off(limits: dict[str, int], open_: bool) -> None:
    assert Window(**limits).is_open is open_


def test_empty_block() -> None:
    assert Deduper(Window()).repeated(_table([])).tolist() == []
