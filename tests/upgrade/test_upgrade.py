"""Data that an earlier release has written open with this one: every figure is what it was, and the hub goes on."""

import asyncio
import json
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from storage.metadata.database import revisions
from storage.warehouse.migrations import MIGRATIONS, check
from tests.hub.backup.test_backup import made, restored
from tests.hub.running import PATIENCE, Opened, opened, settings_of
from tests.upgrade.make import QUESTIONS, event

HERE = Path(__file__).parent
RELEASES = sorted(file.stem for file in HERE.glob("*.json"))


def unpacked(name: str, folder: Path) -> dict[str, Any]:
    """The data folder of a release below ``folder``; what is to be found in it."""
    with tarfile.open(HERE / f"{name}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    for file in ("admin.key", "data.key"):
        (folder / "data" / file).chmod(0o600)
    return dict(json.loads((HERE / f"{name}.json").read_text()))


async def stored(hub: Opened, events: int) -> None:
    """Until so many events are in the warehouse, and all of them in the rollups."""
    behind = "SELECT count() < {events:UInt64} OR count() != (SELECT sum(events) FROM rollup_total_1h) FROM events"
    async with asyncio.timeout(PATIENCE):
        while hub.hub.warehouse.query(behind, {"events": events}).scalar():
            await asyncio.to_thread(hub.hub.roller.roll)
            await asyncio.sleep(0.05)


async def answers(hub: Opened, questions: list[dict[str, Any]]) -> list[Any]:
    found = []
    for question in questions:
        answer = await hub.client.post("/v1/query", json=question)
        assert answer.status_code == 200, answer.text
        found.append(answer.json()["rows"])
    return found


@pytest.mark.parametrize("name", RELEASES)
async def test_a_folder_of_an_earlier_release(name: str, tmp_path: Path) -> None:
    told = unpacked(name, tmp_path)
    settings = settings_of(tmp_path / "data")
    everything = [{**QUESTIONS[0], "time": {"from": "2026-01-01T00:00:00Z", "to": "now+1d"}}]
    async with opened(settings) as hub:
        assert await hub.hub.metadata.current() == revisions()[-1]
        state = check(hub.hub.warehouse)
        assert (state.pending, state.applied[-1]) == ((), MIGRATIONS[-1].number)
        await stored(hub, 202)  # with what was in its log alone
        assert await answers(hub, told["questions"]) == told["answers"]
        trace = (await hub.client.get(f"/v1/traces/{told['trace']['trace_id']}")).json()
        assert trace["cost_usd"] == told["trace"]["cost_usd"]
        assert len(trace["spans"]) == len(told["trace"]["spans"])
        assert (await hub.client.get("/v1/audit/verify")).json()["ok"]
        assert len((await hub.client.get("/v1/prices")).json()["own"]) == 1
        assert len((await hub.client.get("/v1/users")).json()["users"]) == 1
        before_more = await answers(hub, everything)
        await hub.send(event(3, datetime.now(UTC)))
        await stored(hub, 203)
        (after_more,) = await answers(hub, everything)
        assert after_more[0][0] == before_more[0][0][0] + 1 == 203
    backup = tmp_path / "hub.backup"
    await made(settings, backup)
    home = settings_of(tmp_path / "home")
    assert (await restored(home, backup)).events == 203
    async with opened(home) as hub:
        assert await answers(hub, everything) == [after_more]
