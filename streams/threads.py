"""Blocking work in threads."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def to_the_end(action: Callable[[], T]) -> T:
    """Run in a thread; when cancelled, still wait for its end: what it works on is about to be closed."""
    running = asyncio.ensure_future(asyncio.to_thread(action))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
