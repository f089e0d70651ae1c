"""Keeps the rollups close behind the events: folds what has been stored since, every few seconds."""

import contextlib
import logging
import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from core.clock import Clock
from core.errors import HubError, Retryable
from storage.warehouse.client import INSERT_SETTINGS, Warehouse
from storage.warehouse.rollups import LANE_BITS, MARK, ONE_BLOCK, ROLLUPS, STAGINGS, Rollup, last_of, mark

logger = logging.getLogger(__name__)

_WAITING: Final = """
SELECT position, count(), toUnixTimestamp64Micro(min(time)), toUnixTimestamp64Micro(max(time)) FROM events
WHERE position > {low:UInt64} AND position <= {high:UInt64}
GROUP BY position ORDER BY position LIMIT 4096
"""
_BEHIND: Final = """
SELECT max(position), count(), toUnixTimestamp64Micro(min(time)) FROM events
WHERE position > {low:UInt64} AND position <= {high:UInt64}
"""
#: Empties a staging table of a round, and of what others have left there and will not come back for.
_EMPTY: Final = "ALTER TABLE {} DELETE WHERE round = {{round:UUID}} OR made < now() - INTERVAL 1 HOUR"
_AT_ONCE: Final = {"mutations_sync": 1}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RollerConfig:
    """When a fold is due, and how large it may be.

    Parameters
    ----------
    seconds, rows
        A fold is due when the first event behind the rollups is so old, or when so many are behind.
    round_rows
        Events of one fold of live traffic.
    spread, spread_rows, spread_fine_rows
        Events further apart in time than ``spread`` are no live traffic: nearly each begins a state of several
        kilobytes in the rollups finer than an hour, so a fold takes fewer of those, and still fewer into fine ones.
    """

    seconds: float = 15.0
    rows: int = 1_000_000
    round_rows: int = 1_200_000
    spread: timedelta = timedelta(minutes=15)
    spread_rows: int = 400_000
    spread_fine_rows: int = 20_000


@dataclass(frozen=True, slots=True)
class Level:
    """How far the rollups are.

    Parameters
    ----------
    since
        The earliest time of an event that is stored and perhaps in no rollup; None when all of them are.
    marks
        Rollup → the position that it reaches, by lane. Empty where that is not known: a fold is under way, or
        another process folds.
    version
        Changes with every fold: see :meth:`Roller.holds`.
    lagging
        Rollups that are new, or were emptied, and are still being filled: nearly all events are behind them.
    """

    since: datetime | None
    marks: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    version: int = 0
    lagging: frozenset[str] = frozenset()


#: What holds whoever folds, and whatever is under way.
UNKNOWN: Final = Level(_EPOCH)


@dataclass(slots=True)
class _Stored:
    """Events that are stored and perhaps not in the rollups yet."""

    position: int
    rows: int
    earliest: datetime
    since: float


@dataclass(frozen=True, slots=True)
class _Round:
    """Events of one fold: up to position ``high``, and whether they are spread over time."""

    high: int
    wide: bool


@dataclass(slots=True)
class _Lane:
    """One lane of the log: positions handed out, stored, and rolled up by table.

    Rollups below ``reached``, where another was when the lane was taken up, are being filled.
    """

    taken: int
    through: dict[str, int]
    stored: int
    reached: int
    waiting: deque[_Stored] = field(default_factory=deque)


class Roller:
    """Hands out the positions of events and folds them into the rollups. Blocking; safe to share between threads.

    A fold of a rollup begins where its mark says the one before ended, and is one block whose token is that beginning.
    Whatever dies in between, and whoever else folds the same lane, a beginning is folded once. Nothing has to be
    remembered elsewhere: a rollup that is new, or was emptied, is filled from the events by the same way.

    Parameters
    ----------
    warehouse
        An open, migrated warehouse.
    clock
        Decides when a fold is due.
    config, rollups
        Sizes, and what to fold.
    shard_of
        Where the tables of a lane are, in a cluster; all are in ``warehouse`` without it.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        clock: Clock,
        config: RollerConfig | None = None,
        rollups: Sequence[Rollup] = ROLLUPS,
        shard_of: Callable[[int], Warehouse] | None = None,
    ) -> None:
        self._warehouse, self._clock, self._rollups = warehouse, clock, tuple(rollups)
        self._shard_of = shard_of or (lambda _: warehouse)
        self.config = config or RollerConfig()
        self._lanes: dict[int, _Lane] = {}
        self._version = 0
        self._uncertain: set[tuple[str, int]] = set()
        self._lock = threading.Lock()
        self._rolling = threading.Lock()

    def resume(self, lane: int, *, complete: bool) -> None:
        """Take a lane up where the warehouse has it: when it is assigned, before :meth:`take`.

        Parameters
        ----------
        complete
            Whether all that is stored of it may be folded: no block of it was left half way.
        """
        first, last = lane << LANE_BITS, last_of(lane)
        through = {rollup.name: self._mark(rollup, lane) for rollup in self._rollups}
        low = max(first, min(through.values()))
        highest, rows, earliest = self._shard_of(lane).query(_BEHIND, {"low": low, "high": last}).rows[0]
        taken = max(highest, *through.values(), first)
        state = _Lane(taken, through, taken if complete else low, max(through.values()))
        if rows:
            moment = _EPOCH + timedelta(microseconds=earliest)
            state.waiting.append(_Stored(taken, rows, moment, self._clock.monotonic() - self.config.seconds))
        with self._lock:
            self._lanes[lane] = state

    def take(self, lane: int, count: int) -> range:
        """Positions for the next ``count`` inserts of a lane."""
        if lane not in self._lanes:
            self.resume(lane, complete=False)
        with self._lock:
            state = self._lanes[lane]
            state.taken += count
            return range(state.taken - count + 1, state.taken + 1)

    def stored(self, lane: int, position: int, rows: int, earliest: datetime) -> None:
        """All inserts of a lane up to ``position`` are done."""
        with self._lock:
            state = self._lanes[lane]
            state.stored = max(state.stored, position)
            if rows:
                state.waiting.append(_Stored(position, rows, earliest, self._clock.monotonic()))

    def level(self, lanes: Sequence[int]) -> Level:
        """How far the rollups are, without asking the warehouse; for a process that does all the folding.

        Parameters
        ----------
        lanes
            All that there are: as long as not each of them is taken up, any event may be behind.
        """
        with self._lock:
            if not self._lanes.keys() >= set(lanes):
                return UNKNOWN
            since = min((item.earliest for state in self._lanes.values() for item in state.waiting), default=None)
            lagging = frozenset(
                name for state in self._lanes.values() for name, place in state.through.items() if place < state.reached
            )
            if self._uncertain:
                return Level(since, lagging=lagging)
            marks = {
                rollup.name: {lane: self._lanes[lane].through[rollup.name] for lane in lanes}
                for rollup in self._rollups
            }
            return Level(since, marks, self._version, lagging)

    def holds(self, level: Level) -> bool:
        """Whether nothing was folded since: what was read by the marks of this level is exact."""
        with self._lock:
            return level.version == self._version

    def rows_behind(self) -> int:
        """Events that are stored and not in the rollups."""
        with self._lock:
            return sum(item.rows for state in self._lanes.values() for item in state.waiting)

    def due_in(self) -> float | None:
        """Seconds until a fold is due, 0 when one is; None while there is nothing to fold."""
        now = self._clock.monotonic()
        waits: list[float] = []
        with self._lock:
            for state in self._lanes.values():
                ready = [item for item in state.waiting if item.position <= state.stored]
                if ready:
                    full = sum(item.rows for item in ready) >= self.config.rows
                    waits.append(0.0 if full else max(0.0, ready[0].since + self.config.seconds - now))
        return min(waits, default=None)

    def roll(self) -> int:
        """Fold all that is stored now; the number of folds.

        Raises
        ------
        core.errors.HubError
            The warehouse does not answer. What was folded stays folded; call again later.
        """
        with self._rolling:
            with self._lock:
                lanes = [(lane, state, state.stored) for lane, state in self._lanes.items()]
            return sum(self._roll(lane, state, stored) for lane, state, stored in lanes)

    def _roll(self, lane: int, state: _Lane, stored: int) -> int:
        folds = self._roll_together(lane, state, stored)
        for rollup in self._rollups:
            while (low := max(state.through[rollup.name], lane << LANE_BITS)) < stored:
                found = self._round(lane, low, stored, fine=rollup.seconds < 3600)
                if found is None:
                    state.through[rollup.name] = stored  # nothing is there: expired, or positions of a lost attempt
                    break
                self._fold(rollup, lane, state, found.high)
                folds += 1
        with self._lock:
            while state.waiting and state.waiting[0].position <= stored:
                state.waiting.popleft()
        return folds

    def _roll_together(self, lane: int, state: _Lane, stored: int) -> int:
        """Fold live traffic into rollups that are equally far, from one reading; the number of folds.

        What is spread over time is left: a staging table would hold a state of several kilobytes for nearly each event.
        So is what another failure has left behind in some of the rollups.
        """
        folds = 0
        while len(places := set(state.through.values())) == 1:
            low = max(*places, lane << LANE_BITS)
            found = self._round(lane, low, stored, fine=True) if low < stored else None
            if found is None or found.wide:
                break
            number, shard = str(uuid.uuid4()), self._shard_of(lane)
            try:
                for staging in STAGINGS:
                    values = {"low": low, "high": found.high, "mark": MARK + lane, "since": 0, "round": number}
                    shard.command(staging.stage, values, settings=self._settings())
                for rollup in self._rollups:
                    self._fold(rollup, lane, state, found.high, number)
                    folds += 1
            finally:
                with contextlib.suppress(HubError):  # what stays, goes with the first round after an hour
                    for staging in STAGINGS:
                        shard.command(_EMPTY.format(staging.name), {"round": number}, settings=_AT_ONCE)
        return folds

    def _round(self, lane: int, low: int, stored: int, *, fine: bool) -> _Round | None:
        """The next fold; None when nothing lies behind ``low``. ``fine``: into buckets shorter than an hour."""
        spread_rows = self.config.spread_fine_rows if fine else self.config.spread_rows
        found: _Round | None = None
        rows, first, last = 0, 0, 0
        waiting = self._shard_of(lane).query(_WAITING, {"low": low, "high": stored})
        for position, count, earliest, latest in waiting.rows:
            first, last = (min(first, earliest), max(last, latest)) if found else (earliest, latest)
            wide = timedelta(microseconds=last - first) > self.config.spread
            if found and rows + count > (spread_rows if wide else self.config.round_rows):
                break
            rows += count
            found = _Round(position, wide)
        return found

    def _fold(self, rollup: Rollup, lane: int, state: _Lane, high: int, staged: str = "") -> None:
        """Fold up to ``high``, and ask how far the rollup reaches now. Until that is known, its mark is uncertain.

        Parameters
        ----------
        staged
            The round of its staging table that holds these events; empty: they are read.
        """
        low = state.through[rollup.name]
        token = {"insert_deduplication_token": f"{rollup.name}/{lane}/{low}"}
        since = 0 if rollup.retention is None else int((self._clock.now() - rollup.retention).timestamp())
        with self._lock:
            self._uncertain.add((rollup.name, lane))
            self._version += 1
        if staged:
            sql, values = rollup.fold_staged, {"round": staged, "since": since}
        else:
            first = max(low, lane << LANE_BITS)
            sql, values = rollup.fold, {"low": first, "high": high, "mark": MARK + lane, "since": since}
        self._shard_of(lane).command(sql, values, settings=self._settings() | token)
        reached = self._mark(rollup, lane)
        with self._lock:
            # the lane may have been taken up anew meanwhile
            through = self._lanes[lane].through
            state.through[rollup.name] = through[rollup.name] = max(reached, through[rollup.name])
            self._uncertain.discard((rollup.name, lane))
            self._version += 1
        if state.through[rollup.name] <= low:
            raise Retryable(f"{rollup.name} did not take the fold of position {low}; it is tried again.")

    def _settings(self) -> dict[str, str | int | float]:
        return {**INSERT_SETTINGS, **ONE_BLOCK, "max_execution_time": self._warehouse.config.insert_seconds}

    def _mark(self, rollup: Rollup, lane: int) -> int:
        """How far a rollup reaches; 0 when it has nothing of the lane."""
        return int(self._shard_of(lane).query(f"SELECT {mark(rollup.name, lane)}").scalar())
