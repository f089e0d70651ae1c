"""The checks of ``llm-hub doctor``: each finds one thing, and a bad finding says what to do."""

import asyncio

from hub.doctor import machine, running, stores
from hub.doctor.finding import Check, Finding, found
from hub.target import Folder, Running

__all__ = ["CHECKS", "Finding", "examine"]

#: What is checked where no hub answers: the stores are opened directly, whichever they are.
CHECKS: tuple[tuple[str, Check], ...] = (
    ("settings", machine.settings),
    ("clock", machine.clock),
    ("files", machine.files),
    ("disk", machine.disk),
    ("keys", machine.keys),
    ("metadata", stores.metadata),
    ("log", stores.log),
    ("lag", stores.lag),
    ("dead letters", stores.dead_letters),
    ("warehouse", stores.warehouse),
)


async def examine(target: Running | Folder) -> list[Finding]:
    """Every finding about a hub, running or not."""
    if isinstance(target, Running):
        return await asyncio.to_thread(running.examine, target)
    return [await found(part, check, target.settings) for part, check in CHECKS]
