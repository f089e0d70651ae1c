"""What is happening right now, handed to whoever watches: bounded, in the process, nothing is kept.

After a block is stored the streams publish, for each tenant that is watched and each second of receipt in the block,
``{"time", "events", "requests", "errors", "input_tokens", "output_tokens", "cost_usd", "duration_ms_count",
"duration_ms_sum"}``; several blocks may have points of the same second: add them.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

#: Points that may wait for one subscriber; the oldest go first.
_WAITING: Final = 120


class Subscription:
    """One watcher's points, oldest first: ``async for point in subscription``. Close it, or use it with ``with``."""

    def __init__(self, feed: "LiveFeed", tenant: str, size: int) -> None:
        self._feed, self.tenant = feed, tenant
        self._points: deque[Mapping[str, Any]] = deque(maxlen=size)
        self._arrived = asyncio.Event()
        self._closed = False
        self.dropped = 0

    def __aiter__(self) -> "Subscription":
        return self

    async def __anext__(self) -> Mapping[str, Any]:
        while not self._points:
            if self._closed:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        return self._points.popleft()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """No more points; those that wait are still handed out."""
        self._feed.remove(self)
        self._closed = True
        self._arrived.set()

    def push(self, points: Sequence[Mapping[str, Any]]) -> int:
        """Add points; how many older ones had to go for them."""
        over = max(0, len(self._points) + len(points) - (self._points.maxlen or 0))
        self._points.extend(points)
        self.dropped += over
        self._arrived.set()
        return over


class LiveFeed:
    """Fans points out to the subscribers of their tenant. Used on one event loop; never blocks, never waits."""

    def __init__(self, size: int = _WAITING) -> None:
        self._size = size
        self._subscribers: dict[str, set[Subscription]] = {}
        self.dropped = 0

    @property
    def tenants(self) -> frozenset[str]:
        """Tenants that somebody watches: points of others need not be made."""
        return frozenset(self._subscribers)

    @property
    def watchers(self) -> int:
        """Subscriptions that are open."""
        return sum(map(len, self._subscribers.values()))

    def subscribe(self, tenant: str) -> Subscription:
        """Watch a tenant from now on."""
        subscription = Subscription(self, tenant, self._size)
        self._subscribers.setdefault(tenant, set()).add(subscription)
        return subscription

    def publish(self, tenant: str, points: Sequence[Mapping[str, Any]]) -> None:
        """Hand points to a tenant's subscribers; who is too slow loses the oldest, which is counted."""
        for subscription in self._subscribers.get(tenant, ()):
            self.dropped += subscription.push(points)

    def remove(self, subscription: Subscription) -> None:
        """Forget a subscription."""
        mine = self._subscribers.get(subscription.tenant, set())
        mine.discard(subscription)
        if not mine:
            self._subscribers.pop(subscription.tenant, None)

    def close(self) -> None:
        """End all subscriptions."""
        for subscription in [one for some in self._subscribers.values() for one in some]:
            subscription.close()
