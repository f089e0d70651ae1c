"""More ways to break the hub in many processes; too long for CI: ``python -m pytest tests/chaos/by_hand.py``."""

import asyncio

import pytest

from broker.factory import open_log
from core.clock import SystemClock
from tests.chaos.conftest import Extent
from tests.chaos.garbage import again, counted, dead_letters, garbage, good_records
from tests.chaos.hubs import until
from tests.chaos.test_scaled import Field, field
from tests.servers.clickhouse import Mode

__all__ = ["field"]  # the fixture

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.kafka]


async def test_all_processes_killed_at_once(field: Field, extent: Extent) -> None:
    chance = extent.random("all")
    async with field.trouble("kill -9 of every process"):
        for _ in range(extent.rounds(1, 5)):
            await asyncio.sleep(chance.uniform(0.5, 3))
            for one in field.hub.processes:
                one.kill()
            await asyncio.to_thread(field.hub.start_all, field.hub.processes)


async def test_broker_stopped_and_killed(field: Field, extent: Extent) -> None:
    async with field.trouble("the broker stopped, and killed") as there:
        for end in (field.hub.kafka.stop, field.hub.kafka.kill):
            await asyncio.to_thread(end)
            await asyncio.sleep(extent.seconds(3, 60))
            await asyncio.to_thread(field.hub.kafka.start)
            seconds = await asyncio.to_thread(until, field.all_taken_up)
            there.figures[f"workers_back_after_{end.__name__}_s"] = round(seconds, 1)


@pytest.mark.parametrize("mode", ["refuse", "hang", "error", "lose"])
async def test_clickhouse_misbehaves(field: Field, extent: Extent, mode: Mode) -> None:
    seconds = extent.seconds(4, 60)
    async with field.trouble(f"ClickHouse: {mode} for {seconds:g} s") as there:
        await asyncio.to_thread(field.hub.clickhouse.misbehave, mode, seconds)
        await asyncio.sleep(seconds)
        most = max(worker.resident_mb("VmHWM") for worker in field.hub.streams)
        there.figures["worker_most_mb"] = round(most)


async def test_garbage_between_good_records(field: Field, extent: Extent) -> None:
    chance, wrong = extent.random("garbage"), 0
    log = open_log(field.hub.settings["LLM_HUB_BROKER_URL"], clock=SystemClock())
    await log.start()
    try:
        async with field.trouble("garbage in the log", size=(20, 200)) as there:
            for _ in range(extent.rounds(1, 10)):
                good = await good_records(log)
                bad = garbage(chance, good)
                chance.shuffle(bad)
                for record in bad:
                    await log.append([record, *again([chance.choice(good)])])
                wrong += len(bad)
                await there.acknowledged(20)
            await counted(log, wrong)
            there.figures |= {"garbage": wrong, "dead_letters": await dead_letters(log)}
            assert there.figures["dead_letters"] == wrong
    finally:
        await log.stop()


async def test_rolling_upgrade_and_a_restart_of_postgresql(field: Field, extent: Extent) -> None:
    """Every process stopped and started, one after the other, and PostgreSQL too, behind clients that fail over."""
    async with field.trouble("rolling upgrade, PostgreSQL restarted", size=(1, 20), again=0.0) as there:
        for one in [*field.hub.ingest, *field.hub.streams, field.hub.asked]:
            assert await asyncio.to_thread(one.stop) == 0, one.log
            await asyncio.to_thread(one.start)
        await asyncio.to_thread(field.hub.postgres.stop)
        await asyncio.sleep(extent.seconds(1, 10))
        await asyncio.to_thread(field.hub.postgres.start)
        await there.acknowledged(50)
        there.figures |= {"raw_success": round(there.outcomes.raw_success, 5), "success": there.outcomes.success}
        assert there.outcomes.success >= 0.9999
