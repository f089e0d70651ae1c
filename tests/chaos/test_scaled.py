"""The hub in many processes on Kafka, PostgreSQL and ClickHouse: a worker dies, nothing is lost, nothing comes twice.

One hub for all scenarios, also those of ``by_hand.py``: each sends its own events, waits until they are there, and
compares all that was ever sent.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chaos.conftest import Extent
from tests.chaos.hubs import Scaled, scaled, tenant_keys, until
from tests.chaos.ledger import Ledger
from tests.chaos.scene import TENANTS, Scene, scene

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.kafka]

PARTITIONS = 6


@dataclass
class Field:
    """A hub, and everything that was ever sent to it."""

    hub: Scaled
    ledger: Ledger
    keys: dict[str, str]
    folder: Path

    @asynccontextmanager
    async def trouble(self, name: str, **clients: object) -> AsyncIterator[Scene]:
        """A scenario; meanwhile processes that end by themselves are started anew, as Kubernetes does."""
        before = {one.folder.name: one.ended_by_itself for one in self.hub.processes}
        with self.hub.supervised():
            async with scene(
                f"scaled: {name}", self.hub, self.ledger, self.keys, self.folder, stop=False, pause=0.05, **clients
            ) as there:
                yield there
                ended = {one.folder.name: one.ended_by_itself - before[one.folder.name] for one in self.hub.processes}
                there.figures["ended_by_themselves"] = {name: times for name, times in ended.items() if times}

    def all_taken_up(self) -> bool:
        """Whether each partition has a worker that looks after it."""
        return len(self.hub.taken_up()) == PARTITIONS


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory, extent: Extent) -> Iterator[Field]:
    folder = tmp_path_factory.mktemp("scaled")
    with scaled(folder, partitions=PARTITIONS) as hub:
        yield Field(hub, Ledger(extent.seed + 100), tenant_keys(hub, TENANTS), folder)


async def test_one_of_three_workers_killed(field: Field, extent: Extent) -> None:
    chance = extent.random("worker")
    async with field.trouble("kill -9 of one of three workers") as there:
        takeovers = there.figures["takeover_s"] = []
        for _ in range(extent.rounds(1, 20)):
            await asyncio.to_thread(until, field.all_taken_up)
            await asyncio.sleep(chance.uniform(0, 2))
            worker = chance.choice(field.hub.streams)
            worker.kill()
            takeovers.append(round(await asyncio.to_thread(until, field.all_taken_up), 1))
            await asyncio.to_thread(worker.start)
