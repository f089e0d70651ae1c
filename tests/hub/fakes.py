"""A clock that moves as soon as somebody sleeps, and a hub that is only a function."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import httpx

from core.clock import ManualClock

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


class JumpingClock(ManualClock):
    """Sleeping moves it on at once; ``slept`` says how long."""

    def __init__(self, start: datetime = NOW) -> None:
        super().__init__(start)
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)


class FakeHub:
    """Takes every body once per idempotency key; ``troubles`` are what the first posts get instead.

    ``taken`` holds what was taken (time of the clock, request); ``keys`` counts how often each key came.
    """

    def __init__(self, *troubles: httpx.Response | Exception, clock: ManualClock | None = None) -> None:
        self.taken: list[tuple[float, httpx.Request]] = []
        self.keys: dict[str, int] = {}
        self.answer: Callable[[httpx.Request], httpx.Response] = take_all
        self._troubles: Iterator[httpx.Response | Exception] = iter(troubles)
        self._clock = clock

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        key = request.headers["Idempotency-Key"]
        known = self.keys.get(key, 0)
        self.keys[key] = known + 1
        trouble = next(self._troubles, None)
        if isinstance(trouble, Exception):
            raise trouble
        if trouble is not None:
            return trouble
        if known and any(taken.headers["Idempotency-Key"] == key for _, taken in self.taken):
            return httpx.Response(202, json={"accepted": 0, "rejected": 0, "duplicates": rows(request), "errors": []})
        self.taken.append((self._clock.monotonic() if self._clock else 0.0, request))
        return self.answer(request)

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self)

    @property
    def lines(self) -> list[bytes]:
        return [line for _, request in self.taken for line in request.content.splitlines()]


def rows(request: httpx.Request) -> int:
    return request.content.count(b"\n")


def take_all(request: httpx.Request) -> httpx.Response:
    return httpx.Response(202, json={"accepted": rows(request), "rejected": 0, "duplicates": 0, "errors": []})
