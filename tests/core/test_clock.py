"""Clocks: the machine's own, and the one that tests move."""

import asyncio
from datetime import UTC, datetime

from core.clock import Clock, ManualClock, SystemClock

START = datetime(2026, 11, 20, tzinfo=UTC)


async def test_the_system_clock_goes_on_by_itself() -> None:
    clock: Clock = SystemClock()
    before, then = clock.monotonic(), clock.now()
    assert then.tzinfo is UTC
    await clock.sleep(0.001)
    assert clock.monotonic() > before
    assert clock.now() >= then


async def test_a_manual_clock_wakes_who_is_due_and_nobody_else() -> None:
    clock = ManualClock(START)
    early, late = (asyncio.create_task(clock.sleep(seconds)) for seconds in (5, 50))
    await asyncio.sleep(0)
    clock.advance(4.9)
    await asyncio.sleep(0)
    assert not early.done()
    clock.advance(0.1)
    await early
    assert not late.done()
    assert clock.monotonic() == 5
    clock.advance(60)
    await late
    assert (clock.now() - START).total_seconds() == 65
