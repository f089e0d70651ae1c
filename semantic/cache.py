"""Short memories of answers, and one flight for equal questions asked at the same time."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Final, Generic, TypeVar

from core.clock import Clock

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Answers by key: kept for a moment, and computed once however many ask meanwhile.

    Parameters
    ----------
    clock
        Whose monotonic time decides what is too old.
    size
        Most answers kept; the oldest goes first.
    """

    def __init__(self, clock: Clock, size: int) -> None:
        self._clock, self._size = clock, size
        self._kept: OrderedDict[Hashable, tuple[float, T]] = OrderedDict()
        self._flying: dict[Hashable, asyncio.Task[T]] = {}

    async def get(self, key: Hashable, seconds: float, compute: Callable[[], Awaitable[T]]) -> T:
        """The answer of ``key``: one not older than ``seconds``, else the one being computed, else a new one."""
        kept = self._kept.get(key)
        if kept is not None and self._clock.monotonic() - kept[0] < seconds:
            return kept[1]
        task = self._flying.get(key)
        if task is None:
            task = asyncio.ensure_future(self._fly(key, compute))
            self._flying[key] = task
            task.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(task)

    async def _fly(self, key: Hashable, compute: Callable[[], Awaitable[T]]) -> T:
        began = self._clock.monotonic()
        value = await compute()
        self._kept[key] = (began, value)
        self._kept.move_to_end(key)
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return value

    def _landed(self, key: Hashable, task: asyncio.Task[T]) -> None:
        self._flying.pop(key, None)
        if not task.cancelled():
            task.exception()  # whoever waits has seen it; nobody waiting is no reason to complain


#: Writes that are remembered one by one: minutes of them.
REMEMBERED: Final = 2048


class Writes:
    """What has been written lately: whether what was read of a range is still all there is. Safe for threads."""

    def __init__(self) -> None:
        self._notes: deque[tuple[int, datetime]] = deque(maxlen=REMEMBERED)
        self._generation = 0
        self._noting = Lock()

    @property
    def generation(self) -> int:
        """A number that changes with every write."""
        return self._generation

    def note(self, earliest: datetime) -> None:
        """Events have been stored or deleted, the first of them from ``earliest``."""
        with self._noting:
            self._notes.append((self._generation + 1, earliest))
            self._generation += 1

    def untouched(self, since: int, end: datetime) -> bool:
        """Whether no event before ``end`` was stored after generation ``since``, as far as is remembered."""
        if self._generation - since >= REMEMBERED:
            return False
        return all(earliest >= end for number, earliest in list(self._notes) if number > since)


@dataclass(frozen=True, slots=True)
class _Past(Generic[T]):
    value: T
    generation: int
    end: datetime
    at: float


class PastCache(Generic[T]):
    """What was read of ranges that are over, for as long as no late event changes them.

    Parameters
    ----------
    writes
        Tells of late events.
    clock
        Whose monotonic time decides what is too old.
    size, seconds
        Most values kept, and for how long at most.
    """

    def __init__(self, writes: Writes, clock: Clock, size: int = 256, seconds: float = 120.0) -> None:
        self._writes, self._clock, self._size, self._seconds = writes, clock, size, seconds
        self._kept: OrderedDict[Hashable, _Past[T]] = OrderedDict()

    async def get(self, key: Hashable, end: datetime, read: Callable[[], Awaitable[T]]) -> T:
        """The value of ``key``, which reads nothing from ``end`` on."""
        kept = self._kept.get(key)
        young = kept is not None and self._clock.monotonic() - kept.at < self._seconds
        if kept is not None and young and self._writes.untouched(kept.generation, kept.end):
            self._kept.move_to_end(key)
            return kept.value
        generation, at = self._writes.generation, self._clock.monotonic()
        value = await read()
        self._kept[key] = _Past(value, generation, end, at)
        self._kept.move_to_end(key)
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return value
