"""Token buckets: how many requests and events a second a key may send."""

import math
from collections import OrderedDict
from dataclasses import dataclass

from access.principal import Principal
from core.clock import Clock
from core.errors import TooManyRequests

#: Buckets kept at most; the one unused for longest goes first, and would be full again by then.
_MOST_BUCKETS = 20_000


@dataclass(slots=True)
class _Bucket:
    level: float
    at: float


class Limits:
    """The buckets of one process. A bucket holds one second's worth, and is full at the start.

    An amount above one second's worth is let through once the bucket is full and leaves it in debt, so that a
    large batch is slowed down rather than refused for ever. Not thread-safe: belongs to the event loop.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from core.clock import ManualClock
    >>> from access.principal import Principal, RateLimit, Role
    >>> clock = ManualClock(datetime(2026, 11, 20, tzinfo=UTC))
    >>> limits = Limits(clock)
    >>> caller = Principal("t", "k", Role.VIEWER, frozenset(), RateLimit(requests_per_second=1))
    >>> limits.take_request(caller)
    >>> limits.take_request(caller)
    Traceback (most recent call last):
    ...
    core.errors.TooManyRequests: This key may send 1 requests a second; try again in 1.0 s.
    >>> clock.advance(1)
    >>> limits.take_request(caller)
    """

    def __init__(self, clock: Clock, most: int = _MOST_BUCKETS) -> None:
        self._clock = clock
        self._most = most
        self._buckets: OrderedDict[tuple[str, str], _Bucket] = OrderedDict()

    def take_request(self, principal: Principal) -> None:
        """Count one request; raises :class:`TooManyRequests` with the seconds to wait."""
        rate = principal.rate_limit.requests_per_second
        if rate is not None:
            self._take((principal.key_id, "requests"), 1, rate)

    def take_events(self, principal: Principal, count: int) -> None:
        """Count the events of one body, all or none; raises :class:`TooManyRequests`."""
        rate = principal.rate_limit.events_per_second
        if rate is not None and count > 0:
            self._take((principal.key_id, "events"), count, rate)

    def _take(self, name: tuple[str, str], amount: float, rate: float) -> None:
        capacity = max(1.0, rate)
        bucket = self._bucket(name, capacity, rate)
        missing = min(amount, capacity) - bucket.level
        if missing > 1e-9:
            wait = missing / rate
            raise TooManyRequests(
                f"This key may send {rate:g} {name[1]} a second; try again in {wait:.1f} s.",
                retry_after=math.ceil(wait),
            )
        bucket.level -= amount

    def _bucket(self, name: tuple[str, str], capacity: float, rate: float) -> _Bucket:
        now = self._clock.monotonic()
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket(capacity, now)
            while len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(name)
        bucket.level = min(capacity, bucket.level + (now - bucket.at) * rate)
        bucket.at = now
        return bucket
