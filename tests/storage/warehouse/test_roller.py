"""Rollups follow the events: exactly, whoever folds, whatever fails, and seen at any moment."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.topics import code, lane
from core.clock import ManualClock
from core.errors import Retryable
from storage.warehouse.client import Warehouse
from storage.warehouse.roller import UNKNOWN, Roller, RollerConfig
from storage.warehouse.rollups import ACCURACY, LANE_BITS, LEVELS, MARK, ROLLUPS, STAGINGS, behind, mark
from tests.storage.warehouse.rows import EMBEDDED, EVERY_TABLE, NOW, events, numbered, roller, totals

CONFIG = RollerConfig(seconds=5, rows=1000, round_rows=300, spread_rows=300, spread_fine_rows=40)

#: Every event is history: each rollup reads the events for itself.
APART = RollerConfig(seconds=5, rows=1000, spread=timedelta(-1), spread_rows=300, spread_fine_rows=300)


def put(warehouse: Warehouse, rolling: Roller, rows: pa.Table, partition: int = 0) -> int:
    """Store rows as one insert; its position."""
    position = rolling.take(partition, 1)[0]
    warehouse.insert("events", numbered(rows, position))
    rolling.stored(partition, position, rows.num_rows, NOW - timedelta(seconds=49))
    return position


def counts(warehouse: Warehouse) -> set[int]:
    """Events in each of the rollups."""
    return {int(warehouse.query(f"SELECT sum(events) FROM {rollup.name}").scalar()) for rollup in ROLLUPS}


def staged(warehouse: Warehouse) -> int:
    """Rows in the staging tables."""
    return sum(int(warehouse.query(f"SELECT count() FROM {staging.name}").scalar()) for staging in STAGINGS)


def parts(warehouse: Warehouse, table: str) -> int:
    text = "SELECT count() FROM system.parts WHERE active AND database = currentDatabase() AND table = {t:String}"
    return int(warehouse.query(text, {"t": table}).scalar())


def test_a_fold_is_due_when_it_is_old_or_large(warehouse: Warehouse) -> None:
    clock = ManualClock(NOW)
    rolling = Roller(warehouse, clock, CONFIG)
    rolling.resume(0, complete=True)
    assert rolling.due_in() is None
    put(warehouse, rolling, events(0, 10))
    clock.advance(2)
    assert rolling.due_in() == 3.0
    put(warehouse, rolling, events(10, 990))
    assert rolling.due_in() == 0.0
    assert rolling.rows_behind() == 1000
    rolling.roll()
    assert (rolling.due_in(), rolling.rows_behind(), counts(warehouse)) == (None, 0, {1000})


def test_a_fold_is_one_part_with_its_mark(warehouse: Warehouse) -> None:
    rolling = Roller(warehouse, ManualClock(NOW), CONFIG)
    rolling.resume(2, complete=True)
    position = put(warehouse, rolling, events(0, 100), partition=2)
    assert rolling.roll() == len(ROLLUPS)
    for rollup in ROLLUPS:
        assert parts(warehouse, rollup.name) == 1
        marks = warehouse.query(f"SELECT toUnixTimestamp(time), through FROM {rollup.name} WHERE tenant = ''").rows
        assert marks == [(MARK + 2, position)]
    warehouse.command("OPTIMIZE TABLE rollup_users_1d FINAL")
    assert warehouse.query("SELECT max(through) FROM rollup_users_1d").scalar() == position


def test_rounds_are_bounded(warehouse: Warehouse) -> None:
    rolling = Roller(warehouse, ManualClock(NOW), CONFIG)
    rolling.resume(0, complete=True)
    for number in range(4):
        put(warehouse, rolling, events(number * 150, 150))
    assert rolling.roll() == 2 * len(ROLLUPS)
    for hour in range(4):
        put(warehouse, rolling, events(1000 + hour * 20, 20, time=NOW - timedelta(hours=hour)))
    fine = sum(rollup.seconds < 3600 for rollup in ROLLUPS)
    assert rolling.roll() == 2 * fine + (len(ROLLUPS) - fine)
    assert counts(warehouse) == {680}


def test_what_a_rollup_would_forget_at_once_is_left_out(warehouse: Warehouse) -> None:
    rolling = Roller(warehouse, ManualClock(NOW), CONFIG)
    rolling.resume(0, complete=True)
    put(warehouse, rolling, events(0, 10, time=NOW - timedelta(days=10)))
    put(warehouse, rolling, events(10, 10))
    rolling.roll()
    held = {rollup.name: warehouse.query(f"SELECT sum(events) FROM {rollup.name}").scalar() for rollup in ROLLUPS}
    short = {rollup.name for rollup in ROLLUPS if rollup.retention and rollup.retention < timedelta(days=10)}
    assert held == {rollup.name: 10 if rollup.name in short else 20 for rollup in ROLLUPS}
    assert short


def test_only_whole_blocks_are_folded(warehouse: Warehouse) -> None:
    rolling = Roller(warehouse, ManualClock(NOW), CONFIG)
    rolling.resume(0, complete=True)
    first, _ = rolling.take(0, 2)
    warehouse.insert("events", numbered(events(0, 50), first))
    assert (rolling.due_in(), rolling.roll(), counts(warehouse)) == (None, 0, {0})
    after = Roller(warehouse, ManualClock(NOW), CONFIG)
    after.resume(0, complete=False)
    assert (after.due_in(), after.roll()) == (None, 0)
    position = put(warehouse, after, events(50, 50))
    assert position > first
    after.roll()
    assert counts(warehouse) == {100}


def test_a_new_process_goes_on_where_the_marks_say(warehouse: Warehouse) -> None:
    first = Roller(warehouse, ManualClock(NOW), CONFIG)
    first.resume(0, complete=True)
    put(warehouse, first, events(0, 100))
    first.roll()
    position = put(warehouse, first, events(100, 100))
    second = Roller(warehouse, ManualClock(NOW), CONFIG)
    assert second.level([0]) == UNKNOWN, "as long as it does not know, any event may be behind"
    second.resume(0, complete=True)
    assert (second.rows_behind(), second.due_in()) == (100, 0.0)
    assert second.level([0]).since == NOW - timedelta(seconds=49)
    assert second.take(0, 1)[0] == position + 1
    second.roll()
    assert (counts(warehouse), second.level([0]).since) == ({200}, None)


def test_two_that_fold_the_same_count_it_once(warehouse: Warehouse) -> None:
    one, other = (Roller(warehouse, ManualClock(NOW), CONFIG) for _ in range(2))
    one.resume(0, complete=True)
    put(warehouse, one, events(0, 100))
    other.resume(0, complete=True)
    put(warehouse, one, events(100, 100))
    other.roll()
    one.roll()
    assert counts(warehouse) == {200}


def test_a_rollup_that_was_emptied_is_filled_again(warehouse: Warehouse) -> None:
    rolling = roller(warehouse)
    rolling.resume(0, complete=True)
    for number in range(3):
        put(warehouse, rolling, events(number * 100, 100))
        rolling.roll()
    warehouse.command("TRUNCATE TABLE rollup_1h")
    assert len({*totals(warehouse).values()}) == 1
    assert counts(warehouse) == {300}


def test_a_rollup_that_is_being_filled_is_said(warehouse: Warehouse) -> None:
    first = roller(warehouse)
    first.resume(0, complete=True)
    for number in range(3):
        put(warehouse, first, events(number * 100, 100))
        first.roll()
    assert first.level([0]).lagging == frozenset()
    warehouse.command("TRUNCATE TABLE rollup_6h")
    second = roller(warehouse)
    second.resume(0, complete=True)
    assert second.level([0]).lagging == {"rollup_6h"}
    put(warehouse, second, events(300, 100))
    assert second.level([0]).lagging == {"rollup_6h"}, "what is stored since is behind all of them"
    second.roll()
    assert (second.level([0]).lagging, counts(warehouse)) == (frozenset(), {400})


class _Fails:
    """A warehouse whose statement number ``at`` fails before or after it is done; None: is done."""

    def __init__(self, inner: Warehouse, at: int, *, after: bool | None) -> None:
        self.inner, self.at, self.after = inner, at, after
        self.config, self.query = inner.config, inner.query

    def command(self, sql: str, parameters: Any, *, settings: Any) -> None:
        self.at -= 1
        if self.at == 0 and self.after is False:
            raise Retryable("down")
        self.inner.command(sql, parameters, settings=settings)
        if self.at == 0 and self.after:
            raise Retryable("answer lost")


@EMBEDDED
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("config", [CONFIG, APART])
@pytest.mark.parametrize("at", range(1, len(ROLLUPS) + 1))
def test_a_fold_that_fails_is_made_again(warehouse: Warehouse, at: int, config: RollerConfig, *, after: bool) -> None:
    at += len(STAGINGS) if config is CONFIG else 0
    failing: Any = _Fails(warehouse, at, after=after)
    rolling = Roller(failing, ManualClock(NOW), config)
    rolling.resume(0, complete=True)
    put(warehouse, rolling, events(0, 100))
    with pytest.raises(Retryable):
        rolling.roll()
    assert rolling.rows_behind() == 100
    assert rolling.level([0]).marks == {}, "nobody knows whether the fold was made"
    position = put(warehouse, rolling, events(100, 100))
    rolling.roll()
    assert (counts(warehouse), rolling.rows_behind()) == ({200}, 0)
    assert list(rolling.level([0]).marks.values()) == [{0: position}] * len(ROLLUPS)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, len(STAGINGS) + 1))
def test_a_staging_that_fails_is_made_again(warehouse: Warehouse, at: int, *, after: bool) -> None:
    failing: Any = _Fails(warehouse, at, after=after)
    rolling = Roller(failing, ManualClock(NOW), CONFIG)
    rolling.resume(0, complete=True)
    put(warehouse, rolling, events(0, 100))
    with pytest.raises(Retryable):
        rolling.roll()
    assert (counts(warehouse), rolling.rows_behind(), staged(warehouse)) == ({0}, 100, 0)
    rolling.roll()
    assert (counts(warehouse), rolling.rows_behind(), staged(warehouse)) == ({100}, 0, 0)


def test_what_cannot_be_emptied_is_emptied_later(warehouse: Warehouse) -> None:
    failing: Any = _Fails(warehouse, len(STAGINGS) + len(ROLLUPS) + 1, after=False)
    rolling = Roller(failing, ManualClock(NOW), CONFIG)
    rolling.resume(0, complete=True)
    put(warehouse, rolling, events(0, 100))
    rolling.roll()
    assert (counts(warehouse), rolling.rows_behind()) == ({100}, 0)
    assert staged(warehouse) > 0
    for staging in STAGINGS:
        warehouse.command(
            f"ALTER TABLE {staging.name} UPDATE made = made - 3601 WHERE 1", settings={"mutations_sync": 1}
        )
    put(warehouse, rolling, events(100, 100))
    rolling.roll()
    assert (counts(warehouse), staged(warehouse)) == ({200}, 0)


def test_a_staging_that_somebody_empties_folds_nothing(warehouse: Warehouse) -> None:
    """A mark without its rows would be events that no answer counts."""

    class Emptied(_Fails):
        def command(self, sql: str, parameters: Any, *, settings: Any) -> None:
            super().command(sql, parameters, settings=settings)
            if self.at == 0:
                for staging in STAGINGS:
                    self.inner.command(f"TRUNCATE TABLE {staging.name}")

    emptied: Any = Emptied(warehouse, len(STAGINGS) + 3, after=None)
    rolling = Roller(emptied, ManualClock(NOW), CONFIG)
    rolling.resume(0, complete=True)
    put(warehouse, rolling, events(0, 100))
    with pytest.raises(Retryable, match=f"{ROLLUPS[3].name} did not take"):
        rolling.roll()
    marks = [warehouse.query(f"SELECT max(through) FROM {rollup.name}").scalar() > 0 for rollup in ROLLUPS]
    assert marks == [True] * 3 + [False] * (len(ROLLUPS) - 3)
    rolling.roll()
    assert counts(warehouse) == {100}


def test_a_rollup_is_the_same_whichever_way_it_was_folded(warehouse: Warehouse) -> None:
    def held() -> dict[str, list[tuple[Any, ...]]]:
        found = {}
        for rollup in ROLLUPS:
            keys = ", ".join(("tenant", "time", *sorted(rollup.dimensions)))
            reads = {"count": "sum({})", "sum": "sum({})", "unique": "uniqMerge({})"}
            reads["quantiles"] = f"quantilesDDMerge({ACCURACY}, {', '.join(map(str, LEVELS))})({{}})"
            values = ", ".join(reads[kept.function].format(kept.column) for kept in rollup.kept)
            where = "max(through), max(expires_at)" if rollup.retention is None else "max(through)"
            text = f"SELECT {keys}, {values}, {where} FROM {rollup.name} GROUP BY {keys} ORDER BY ALL"
            found[rollup.name] = warehouse.query(text).rows
        return found

    answers = []
    for config in (CONFIG, APART):
        _empty(warehouse)
        rolling = Roller(warehouse, ManualClock(NOW), config)
        for partition in (0, 3):
            rolling.resume(partition, complete=True)
            for number in range(4):
                rows = events(number * 70, 70, tenant=f"t{number % 3}", session_id=f"s-{number}")
                put(warehouse, rolling, rows, partition)
        rolling.roll()
        answers.append(held())
    assert repr(answers[0]) == repr(answers[1]), "in text, as no NaN is equal to another"
    assert all(len(rows) > 2 for rows in answers[0].values())


def test_a_level_holds_until_the_next_fold(warehouse: Warehouse) -> None:
    rolling = roller(warehouse)
    for partition in (0, 1):
        rolling.resume(partition, complete=True)
    before = rolling.level([0, 1])
    position = put(warehouse, rolling, events(0, 10))
    assert rolling.holds(before)
    rolling.roll()
    assert not rolling.holds(before)
    after = rolling.level([0, 1])
    assert (after.since, after.marks["rollup_1h"]) == (None, {0: position, 1: 0})
    assert rolling.holds(after)


def test_a_rollup_that_takes_nothing_is_said(warehouse: Warehouse) -> None:
    class Deaf(_Fails):
        def command(self, sql: str, parameters: Any, *, settings: Any) -> None: ...

    deaf: Any = Deaf(warehouse, 0, after=False)
    rolling = Roller(deaf, ManualClock(NOW), CONFIG)
    rolling.resume(0, complete=True)
    put(warehouse, rolling, events(0, 1))
    with pytest.raises(Retryable, match="rollup_10s"):
        rolling.roll()


def test_positions_without_rows_are_passed(warehouse: Warehouse) -> None:
    rolling = Roller(warehouse, ManualClock(NOW), CONFIG)
    rolling.resume(0, complete=True)
    rolling.stored(0, rolling.take(0, 1)[0], 5, NOW)
    assert rolling.roll() == 0
    assert rolling.rows_behind() == 0
    put(warehouse, rolling, events(0, 10))
    rolling.roll()
    assert counts(warehouse) == {10}


@pytest.fixture
def clean(migrated: Warehouse) -> Iterator[Warehouse]:
    yield migrated
    _empty(migrated)


def _empty(warehouse: Warehouse) -> None:
    for table in EVERY_TABLE:
        warehouse.command(f"TRUNCATE TABLE {table}")


STEPS = st.lists(st.sampled_from(["put 0", "put 1", "late 0", "roll", "restart"]), min_size=1, max_size=14)


@EMBEDDED
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_rollup_and_what_is_behind_are_all_events(clean: Warehouse, steps: list[str]) -> None:
    _empty(clean)
    config, stored = RollerConfig(seconds=0, round_rows=25), 0
    rolling = Roller(clean, ManualClock(NOW), config)
    for partition in (0, 1):
        rolling.resume(partition, complete=True)
    for step in steps:
        name, _, partition = step.partition(" ")
        if name == "roll":
            rolling.roll()
        elif name == "restart":
            rolling = Roller(clean, ManualClock(NOW), config)
            for number in (0, 1):
                rolling.resume(number, complete=True)
        else:
            age = timedelta(hours=30 if name == "late" else 0)
            put(clean, rolling, events(stored, 10, time=NOW - age), int(partition))
            stored += 10
        for rollup in ROLLUPS:
            kept = clean.query(f"SELECT sum(events) FROM {rollup.name}").scalar()
            late = clean.query(
                f"SELECT count() FROM events WHERE {behind({0: mark(rollup.name, 0), 1: mark(rollup.name, 1)})}"
            ).scalar()
            assert kept + late == stored


@EMBEDDED
@pytest.mark.slow
def test_an_answer_is_exact_at_any_moment(warehouse: Warehouse) -> None:
    """While events are stored and folded: the mark that a question reads belongs to the rows that it reads."""
    rolling = roller(warehouse)
    rolling.resume(0, complete=True)
    text = f"""SELECT sum(n) FROM (
        SELECT sum(events) AS n FROM rollup_1m WHERE tenant = 'acme'
        UNION ALL SELECT count() AS n FROM events WHERE tenant = 'acme' AND {behind({0: mark("rollup_1m", 0)})})"""
    stored, wrong, done = [0], [], threading.Event()

    def ask(pause_ms: int) -> None:
        while not done.is_set():
            least = stored[0]
            # the pause stands between the snapshots of the tables
            seen = warehouse.query(text, settings={"merge_tree_storage_snapshot_sleep_ms": pause_ms}).scalar()
            if seen % 20 or not least <= seen <= stored[0] + 20:
                wrong.append((least, seen, stored[0]))

    asking = [threading.Thread(target=ask, args=(pause,)) for pause in (0, 7, 30)]
    for thread in asking:
        thread.start()
    try:
        for number in range(60):
            put(warehouse, rolling, events(number * 20, 20))
            stored[0] += 20
            if number % 3 == 2:
                rolling.roll()
    finally:
        done.set()
        for thread in asking:
            thread.join()
    assert wrong == []
    assert stored[0] == 1200


def test_lanes_do_not_touch() -> None:
    one, two = behind({0: mark("rollup_1h", 0), 1: mark("rollup_1h", 1)})[1:-1].split(" OR ")
    assert f"position <= {(1 << LANE_BITS) - 1}" in one
    assert f"greatest({1 << LANE_BITS}, " in two
    assert f"toDateTime({MARK + 1}, 'UTC')" in two


def test_the_last_lane_of_all_is_rolled_up(warehouse: Warehouse) -> None:
    """Its positions end with the largest signed number there is."""
    name = next(f"r{number}" for number in range(1000) if code(f"r{number}") == 31)
    last = lane(f"{name}.hub.events", 1023)
    assert last == (1 << 15) - 1
    rolling = roller(warehouse)
    for number in (0, last):
        rolling.resume(number, complete=True)
        put(warehouse, rolling, events(number % 100, 50), number)
    marks = {number: mark("rollup_1m", number) for number in (0, last)}
    text = f"SELECT count() FROM events WHERE {behind(marks)}"
    assert warehouse.query(text).scalar() == 100
    rolling.roll()
    assert (warehouse.query(text).scalar(), counts(warehouse)) == (0, {100})
    again = roller(warehouse)
    again.resume(last, complete=True)
    assert again.take(last, 1)[0] == put(warehouse, rolling, events(60, 1), last)
