"""The hub in one process, broken in every way that a machine breaks: nothing is lost, nothing counts twice."""

import asyncio
import gzip
from pathlib import Path

import httpx
import pytest

from broker.factory import open_log
from broker.log import NewRecord
from broker.topics import EVENTS
from core.clock import SystemClock
from tests.chaos.conftest import Extent
from tests.chaos.disks import small_disk
from tests.chaos.garbage import again, counted, dead_letters, garbage, good_records
from tests.chaos.ledger import Ledger
from tests.chaos.scene import on_embedded

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


async def test_kill_9_at_random_moments(tmp_path: Path, extent: Extent) -> None:
    chance = extent.random("kill")
    async with on_embedded("kill -9", tmp_path, Ledger(extent.seed)) as scene:
        recoveries = scene.figures["ready_s"] = []
        for number in range(extent.rounds(4, 20)):
            await asyncio.sleep(chance.uniform(0.05, 4.0))
            scene.hub.kill()
            if number % 4 == 3:  # dead again before it was ready
                scene.hub.asked.spawn()
                await asyncio.sleep(chance.uniform(0.2, 3.0))
                scene.hub.kill()
            await asyncio.to_thread(scene.hub.start)
            recoveries.append(round(scene.hub.asked.seconds_to_ready, 2))


async def test_sigterm_under_load(tmp_path: Path, extent: Extent) -> None:
    chance = extent.random("sigterm")
    async with on_embedded("SIGTERM under load", tmp_path, Ledger(extent.seed + 1)) as scene:
        for _ in range(extent.rounds(2, 10)):
            await asyncio.sleep(chance.uniform(0.5, 3.0))
            await asyncio.to_thread(scene.hub.stop)  # ends with status 0
            await asyncio.to_thread(scene.hub.start)


async def test_clients_that_repeat_everything(tmp_path: Path, extent: Extent) -> None:
    async with on_embedded(
        "clients repeat every request", tmp_path, Ledger(extent.seed + 2), again=1.0, remix=0.5, pause=0.01
    ) as scene:
        for _ in range(extent.rounds(1, 5)):
            await asyncio.sleep(3)
            scene.hub.kill()
            await asyncio.to_thread(scene.hub.start)
        await asyncio.sleep(2)
        scene.figures["duplicates"] = sum(scene.hub.asked.told("llm_hub_streams_duplicates_total").values())


async def test_garbage_between_good_records(tmp_path: Path, extent: Extent) -> None:
    chance = extent.random("garbage")
    async with on_embedded("garbage in the log", tmp_path, Ledger(extent.seed + 3), size=(20, 200)) as scene:
        log = open_log(f"sqlite:////{str(tmp_path / 'data' / 'log.db').lstrip('/')}", clock=SystemClock())
        await log.start()
        try:
            wrong = 0
            for _ in range(extent.rounds(2, 10)):
                good = await good_records(log)
                bad = garbage(chance, good)
                chance.shuffle(bad)
                for record in bad:
                    await log.append([record, *again([chance.choice(good)])])
                wrong += len(bad)
                await scene.acknowledged(20)
            await counted(log, wrong)
            scene.figures |= {"garbage": wrong, "dead_letters": await dead_letters(log)}
        finally:
            await log.stop()
    assert scene.figures["dead_letters"] == wrong


async def test_oversized(tmp_path: Path, extent: Extent) -> None:
    chance = extent.random("oversized")
    async with on_embedded("oversized bodies and records", tmp_path, Ledger(extent.seed + 4)) as scene:
        headers = {"Authorization": f"Bearer {scene.keys['acme']}", "Content-Type": "application/x-ndjson"}
        url = scene.hub.urls[0] + "/v1/events"
        batch = scene.ledger.batch("acme", 1)
        large = {**batch.events[0], "data": {**batch.events[0]["data"], "input_messages": "x" * (17 << 20)}}
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            for body, more in (
                (str(large).encode(), {}),
                (gzip.compress(bytes(65 << 20), 1), {"Content-Encoding": "gzip"}),
            ):
                try:
                    answer = await client.post(url, content=body, headers=headers | more)
                    scene.figures.setdefault("answers", []).append(answer.status_code)
                    assert answer.status_code == 413, answer.text
                except httpx.WriteError:  # refused before all of it was sent
                    scene.figures.setdefault("answers", []).append("closed")
        log = open_log(f"sqlite:////{str(tmp_path / 'data' / 'log.db').lstrip('/')}", clock=SystemClock())
        await log.start()
        try:
            for size in (40 << 20, 63 << 20):  # the log takes up to 64 MiB, and a dead letter is larger than its record
                await log.append([NewRecord(EVENTS, 0, None, chance.randbytes(size))])
            await counted(log, 2)
        finally:
            await log.stop()


async def test_log_disk_full(tmp_path: Path, extent: Extent) -> None:
    with small_disk(tmp_path / "disk", 96) as disk:
        settings = {"LLM_HUB_BROKER_URL": f"sqlite:////{str(disk.folder / 'log.db').lstrip('/')}"}
        async with on_embedded("the log's disk is full", tmp_path, Ledger(extent.seed + 5), settings) as scene:
            for _ in range(extent.rounds(2, 5)):
                disk.fill()
                await scene.answered("503", 8)
                await asyncio.sleep(extent.seconds(1, 20))
                disk.free()
                await scene.acknowledged(20)
            disk.fill()
            await scene.answered("503", 8)
            scene.hub.kill()
            disk.free()
            await asyncio.to_thread(scene.hub.start)
