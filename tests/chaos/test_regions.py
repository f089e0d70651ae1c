"""Two regions joined by MirrorMaker 2, one of them killed: the other is exact meanwhile, and both are in the end."""

import asyncio
import random
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.chaos.compare import compare
from tests.chaos.conftest import Extent
from tests.chaos.hubs import PATIENCE, Embedded, until
from tests.chaos.ledger import Batch, Ledger
from tests.chaos.questions import agree, measured, settle, visible
from tests.chaos.senders import FORMS, Outcomes, Sender, load
from tests.servers.kafka import Kafka
from tests.servers.mirror import Mirror
from tests.servers.process import Unavailable

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.kafka]

PARTITIONS = 2


class Region:
    """A broker, a hub that reads it and what is mirrored to it, and the MirrorMaker that writes there."""

    def __init__(self, folder: Path, name: str, other: str, key: str) -> None:
        folder.mkdir(parents=True)
        self.name, self.folder = name, folder
        self.kafka = Kafka(folder / "kafka")
        settings = {
            "LLM_HUB_BROKER_URL": f"kafka://{self.kafka.servers}",
            "LLM_HUB_PARTITIONS": str(PARTITIONS),
            "LLM_HUB_REGION": name,
            "LLM_HUB_MIRRORS": other,
            "LLM_HUB_ADMIN_KEY": key,
        }
        self.hub = Embedded(folder / "data", settings, key)
        self.mirror: Mirror | None = None

    def start(self) -> None:
        """All of it; its MirrorMaker needs both brokers."""
        self.kafka.start()
        self.hub.asked.start()
        if self.mirror is not None:
            self.mirror.start()

    def kill(self) -> None:
        """All of it at once."""
        self.hub.kill()
        self.kafka.kill()
        if self.mirror is not None:
            self.mirror.kill()

    def drained(self) -> bool:
        """Whether all that is in its log is stored, of both topics."""
        lag = self.hub.asked.told("llm_hub_streams_lag_records{")
        return len(lag) == 2 * PARTITIONS and not any(lag.values())


@contextmanager
def joined(folder: Path) -> Iterator[tuple[Region, Region, dict[str, str]]]:
    """Two running regions, mirrored both ways, and the key of the tenant that both know."""
    key = f"lh_{secrets.token_hex(8)}_{secrets.token_hex(32)}"
    eu, us = Region(folder / "eu", "eu", "us", key), Region(folder / "us", "us", "eu", key)
    servers = {region.name: region.kafka.servers for region in (eu, us)}
    with ExitStack() as stack:
        try:
            for region in (eu, us):
                stack.callback(region.kill)
                region.start()
            for region in (eu, us):
                region.mirror = Mirror(region.folder / "mirror", region.name, servers)
                region.mirror.start()
        except Unavailable as missing:
            pytest.skip(str(missing))
        yield eu, us, {"default": key}


class OnKafka(Sender):
    """Knows that a request which Kafka did not answer for, and the hub refused, may have been kept all the same."""

    def _acknowledged(self, batch: Batch, answer: httpx.Response, sure: bool, took: float) -> None:
        super()._acknowledged(batch, answer, False, took)


class Travelling(OnKafka):
    """Repeats in another region what one has acknowledged, as after an answer that was lost."""

    async def _until_acknowledged(
        self, client: httpx.AsyncClient, batch: Batch, body: bytes, headers: dict[str, str], *, first: bool = True
    ) -> bool:
        if not first:
            self._at = (self._at + 1) % len(self.urls)
        return await super()._until_acknowledged(client, batch, body, headers, first=first)


class Crowd:
    """Clients of one region, or of both, with a ledger of their own."""

    def __init__(self, seed: int, keys: Mapping[str, str], *regions: Region) -> None:
        self.ledger, self.outcomes = Ledger(seed), Outcomes()
        urls = [url for region in regions for url in region.hub.urls]
        kind, again = (Travelling, 0.7) if len(urls) > 1 else (OnKafka, 0.1)
        self.senders = [
            kind(urls, key, tenant, form, self.ledger, self.outcomes, 100 * seed + number, again=again, patience=600)
            for tenant, key in keys.items()
            for number, form in enumerate(FORMS)
        ]

    async def acknowledged(self, more: int) -> None:
        """Until so many more requests have been acknowledged."""
        wanted = self.outcomes.attempts["202"] + more
        async with asyncio.timeout(PATIENCE):
            while self.outcomes.attempts["202"] < wanted:  # noqa: ASYNC110 - counted by the clients
                await asyncio.sleep(0.02)


def together(*crowds: Crowd, perhaps: Crowd | None = None) -> Ledger:
    """One ledger of all; of ``perhaps`` some may be there."""
    ledger = Ledger(0)
    for crowd in crowds:
        for tenant, rows in crowd.ledger.acknowledged.items():
            ledger.acknowledged.setdefault(tenant, {}).update(rows)
        assert not any(crowd.ledger.perhaps.values())
    for some in (perhaps.ledger.acknowledged, perhaps.ledger.perhaps) if perhaps else ():
        for tenant, rows in some.items():
            ledger.perhaps.setdefault(tenant, {}).update(rows)
    return ledger


async def test_one_of_two_regions_is_killed(tmp_path: Path, extent: Extent) -> None:
    with joined(tmp_path) as (eu, us, keys):
        assert eu.mirror is not None
        chance = extent.random("regions")
        seeds = iter(range(extent.seed * 10, extent.seed * 10 + 9))
        figures: dict[str, Any] = {}

        # both take events in, some clients send to both, and a MirrorMaker dies and repeats itself
        first = [Crowd(next(seeds), keys, *regions) for regions in ((eu,), (us,), (eu, us))]
        async with load([one for crowd in first for one in crowd.senders]):
            for _ in range(extent.rounds(1, 5)):
                await _go_on(chance, first)
                eu.mirror.kill()
                await _go_on(chance, first)
                await asyncio.to_thread(eu.mirror.start)
        before = together(*first)
        for region in (eu, us):
            await asyncio.to_thread(settle, region.hub, before, keys)
            await asyncio.to_thread(agree, region.hub, before, keys)

        # one is killed with its MirrorMaker; what it took in and nobody copied is not in the other, all else is
        living, dying = Crowd(next(seeds), keys, eu), Crowd(next(seeds), keys, us, eu)
        async with load([*living.senders, *dying.senders]):
            await _go_on(chance, [living, dying])
            await asyncio.to_thread(us.kill)
            await _go_on(chance, [living, dying])
        meanwhile = together(*first, living, perhaps=dying)
        await asyncio.to_thread(until, lambda: _has(eu, meanwhile, keys), PATIENCE)
        await asyncio.to_thread(eu.hub.stop)
        found = await asyncio.to_thread(compare, eu.hub.warehouse_url, meanwhile, tmp_path)
        assert found["trouble"] == [], found
        await asyncio.to_thread(eu.hub.asked.start)

        # it comes back: both have everything, once
        await asyncio.to_thread(us.start)
        everything = together(*first, living, dying)
        for region in (eu, us):
            await asyncio.to_thread(settle, region.hub, everything, keys)
            await asyncio.to_thread(until, region.drained, PATIENCE)
            await asyncio.to_thread(agree, region.hub, everything, keys)
            figures[f"repeated_in_{region.name}"] = sum(
                region.hub.asked.told("llm_hub_streams_duplicates_total").values()
            )
        for region in (eu, us):
            await asyncio.to_thread(region.hub.stop)
            found = await asyncio.to_thread(compare, region.hub.warehouse_url, everything, tmp_path)
            assert found["trouble"] == [], (region.name, found)
        assert all(crowd.outcomes.given_up == 0 for crowd in (*first, living, dying))
        measured("two regions, one killed", seed=extent.seed, **figures, **found)


async def _go_on(chance: random.Random, crowds: list[Crowd]) -> None:
    await asyncio.gather(*(crowd.acknowledged(chance.randint(10, 30)) for crowd in crowds))


def _has(region: Region, ledger: Ledger, keys: Mapping[str, str]) -> bool:
    """Whether it shows what must be there, and has stored all that has arrived."""
    return all(visible(region.hub, key) >= ledger.count(tenant) for tenant, key in keys.items()) and region.drained()
