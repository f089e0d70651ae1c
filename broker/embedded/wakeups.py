"""Waking readers when their partitions grow, from whichever thread that is learnt."""

import asyncio
import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping


class Wakeups:
    """Readers that wait at the end of partitions. Thread-safe; any number of event loops."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], frozenset[int]] = {}
        self._lock = threading.Lock()

    def register(self, partition_ids: Iterable[int]) -> "asyncio.Future[None]":
        """A future that is done as soon as one of the partitions grows; hand it to :meth:`forget` afterwards."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._lock:
            self._waiting[future] = frozenset(partition_ids)
        return future

    def forget(self, future: "asyncio.Future[None]") -> None:
        """The waiter has gone."""
        with self._lock:
            self._waiting.pop(future, None)

    def notify(self, partition_ids: Iterable[int]) -> None:
        """These partitions have grown."""
        grown = frozenset(partition_ids)
        with self._lock:
            due = [future for future, wanted in self._waiting.items() if not grown.isdisjoint(wanted)]
            for future in due:
                del self._waiting[future]
        settle(dict.fromkeys(due))

    def notify_all(self) -> None:
        """Wake everybody, for example because the log stops."""
        with self._lock:
            due, self._waiting = list(self._waiting), {}
        settle(dict.fromkeys(due))


def settle(outcomes: "Mapping[asyncio.Future[None], None]") -> None:
    """Finish futures of any loop from any thread, with one hop for each loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = defaultdict(list)
    for future in outcomes:
        by_loop[future.get_loop()].append(future)
    for loop, futures in by_loop.items():
        with contextlib.suppress(RuntimeError):  # that loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_finish, futures)


def _finish(futures: "list[asyncio.Future[None]]") -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
