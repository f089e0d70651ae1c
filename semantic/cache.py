"""A short memory of answers, and one flight for equal questions asked at the same time."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

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
