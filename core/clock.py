"""Time as a parameter: whatever decides by time takes a :class:`Clock`."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from. Implementations never block."""

    def now(self) -> datetime:
        """The wall clock, UTC, aware."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards, for durations and deadlines."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return once ``seconds`` have passed on this clock."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that a test moves by hand.

    Examples
    --------
    >>> clock = ManualClock(datetime(2026, 11, 20, tzinfo=UTC))
    >>> clock.advance(90)
    >>> clock.now().isoformat()
    '2026-11-20T00:01:30+00:00'
    """

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        due = asyncio.Event()
        self._sleepers.append((self._elapsed + seconds, due))
        await due.wait()

    def advance(self, seconds: float) -> None:
        """Move both clocks on and wake whoever was to be woken by then."""
        self._now += timedelta(seconds=seconds)
        self._elapsed += seconds
        for at, due in self._sleepers:
            if at <= self._elapsed:
                due.set()
        self._sleepers = [sleeper for sleeper in self._sleepers if sleeper[0] > self._elapsed]
