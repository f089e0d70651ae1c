"""A scenario: clients send, the body breaks things, and afterwards everything must be there, once."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.chaos.hubs import PATIENCE, AnyHub, embedded, tenant_keys
from tests.chaos.ledger import Ledger
from tests.chaos.questions import checked, measured
from tests.chaos.senders import Outcomes, Sender, crowd, load

TENANTS = ("default", "acme")


@dataclass
class Scene:
    """What a scenario's body works with.

    ``figures`` it writes into are printed and stored with what was found.
    """

    hub: AnyHub
    ledger: Ledger
    keys: dict[str, str]
    outcomes: Outcomes
    clients: Sequence[Sender]
    figures: dict[str, Any] = field(default_factory=dict)

    async def acknowledged(self, more: int, seconds: float = PATIENCE) -> None:
        """Until so many more requests have been acknowledged."""
        wanted = self.outcomes.attempts["202"] + more
        async with asyncio.timeout(seconds):
            while self.outcomes.attempts["202"] < wanted:  # noqa: ASYNC110 - counted by the clients
                await asyncio.sleep(0.02)

    async def answered(self, status: str, more: int = 1, seconds: float = PATIENCE) -> None:
        """Until so many more answers of a status have come."""
        wanted = self.outcomes.attempts[status] + more
        async with asyncio.timeout(seconds):
            while self.outcomes.attempts[status] < wanted:  # noqa: ASYNC110 - counted by the clients
                await asyncio.sleep(0.02)


@asynccontextmanager
async def scene(
    name: str, hub: AnyHub, ledger: Ledger, keys: dict[str, str], folder: Path, *, stop: bool, **clients: Any
) -> AsyncIterator[Scene]:
    """Run a scenario on a hub; ``stop`` it before the comparison where nobody else can read its warehouse."""
    pause = clients.pop("pause", 0.02)
    senders = crowd(hub.urls, keys, ledger, **{"again": 0.1, **clients})
    async with load(senders, pause) as outcomes:
        there = Scene(hub, ledger, keys, outcomes, senders)
        await there.acknowledged(len(senders))
        yield there
        await there.acknowledged(len(senders))
    found = await asyncio.to_thread(checked, hub, ledger, keys, folder, stop=stop)
    assert outcomes.given_up == 0
    measured(name, seed=ledger.seed, **there.figures, attempts=outcomes.attempts, **found)


@asynccontextmanager
async def on_embedded(
    name: str, folder: Path, ledger: Ledger, settings: dict[str, str] | None = None, **clients: Any
) -> AsyncIterator[Scene]:
    """A scenario on an embedded hub of its own."""
    with embedded(folder, **(settings or {})) as hub:
        keys = await asyncio.to_thread(tenant_keys, hub, TENANTS)
        async with scene(f"embedded: {name}", hub, ledger, keys, folder, stop=True, **clients) as there:
            yield there


class Watch(threading.Thread):
    """Memory and handles of processes, looked at again and again."""

    def __init__(self, processes: Sequence[Any], every: float = 0.5) -> None:
        super().__init__(name="memory and handles")
        self._processes, self._every, self._over = processes, every, threading.Event()
        self.samples: list[tuple[float, float, int]] = []

    def run(self) -> None:
        began = time.monotonic()
        while not self._over.wait(self._every):
            resident = sum(one.resident_mb() for one in self._processes)
            handles = sum(one.handles() for one in self._processes)
            self.samples.append((time.monotonic() - began, resident, handles))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self.join()

    def part(self, first: float, last: float) -> tuple[float, float]:
        """Median memory and handles between two shares of the time."""
        chosen = self.samples[int(first * len(self.samples)) : int(last * len(self.samples))]
        middle = len(chosen) // 2
        return sorted(one[1] for one in chosen)[middle], sorted(one[2] for one in chosen)[middle]
