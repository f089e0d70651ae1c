"""History that is priced anew has the figures of a fresh ingest, in raw rows and in every rollup, whatever dies."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.errors import Retryable
from hub.cli import execute
from storage.warehouse.rollups import ROLLUPS
from tests.hub.backup.test_backup import EVENT, Broken, rolled
from tests.hub.running import PATIENCE, Opened, an_event, opened, served, settings_of

NOW = datetime.now(UTC).replace(microsecond=0)
SPAN = {"from": (NOW - timedelta(days=80)).isoformat(), "to": (NOW + timedelta(days=1)).isoformat()}
PRICE = {"model": "gpt-4o*", "input_price_usd_per_mtok": 77, "output_price_usd_per_mtok": 3, "batch_discount": "0.5"}


def calls() -> Iterator[dict[str, Any]]:
    """Calls of several months in every way that they can be priced, and events that have no price."""
    for number in range(40):
        # contents leave after a month
        days = (number * 2) % 70 if number % 11 else 1
        time = NOW - timedelta(days=days, seconds=number)
        data: dict[str, Any] = {
            "provider": ("openai", "anthropic")[number % 7 == 0],
            "model": ("gpt-4o", "gpt-4o-mini", "my-own", "o3")[number % 4],
            "input_tokens": 1000 + number,
            "output_tokens": 10 * number,
            "cache_read_input_tokens": 100 * (number % 3),
            "duration_ms": 5.0 + number,
            "batch": number % 5 == 0,
        }
        if number % 9 == 0:
            data["cost_usd"] = 0.25
        if number % 11 == 0:  # no tokens: by the text
            del data["input_tokens"], data["output_tokens"], data["cache_read_input_tokens"]
            data |= {"input_messages": "x" * 400, "output_messages": "y" * 80}
        kind = "tool.call" if number % 13 == 0 else "llm.request"
        if kind == "tool.call":
            data = {"tool_name": "t", "cost_usd": 0.5}
        yield an_event(type=kind, id=EVENT % number, time=time.isoformat(), user_id=f"u-{number % 3}", data=data)


def figures(hub: Opened) -> dict[str, list[Any]]:
    """Costs of raw rows, and of each rollup by all its dimensions; rows of nothing are left out."""
    raw = (
        "SELECT id, cost_usd, hub_cost_usd, reported_cost_usd, cost_source, price_version, input_tokens FROM events "
        "ORDER BY id"
    )
    found = {"events": hub.hub.warehouse.query(raw).rows}
    for one in ROLLUPS:
        names = ", ".join(("tenant", "time", *sorted(one.dimensions)))
        sums = "sum(events), sum(cost_usd), sum(priced), sum(unpriced), sum(input_tokens)"
        text = f"SELECT {names}, {sums} FROM {one.name} WHERE tenant != '' GROUP BY {names} ORDER BY {names}"
        found[one.name] = hub.hub.warehouse.query(text).rows
    return found


async def filled(hub: Opened, *, price: bool) -> None:
    if price:
        assert (await hub.client.post("/v1/prices", json=PRICE)).status_code == 201
    await hub.send(*calls())
    async with asyncio.timeout(PATIENCE):
        while int(hub.hub.warehouse.query("SELECT count() FROM events").scalar()) < 40:  # noqa: ASYNC110 - the streams store them
            await asyncio.sleep(0.02)
    await rolled(hub)


async def done(hub: Opened) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await hub.client.get("/v1/admin/reprocess")).json()["running"]:  # noqa: ASYNC110 - the hub is at it
            await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What a hub has that knew the price from the beginning."""

    async def fresh() -> dict[str, list[Any]]:
        async with opened(settings_of(tmp_path_factory.mktemp("fresh"))) as hub:
            await filled(hub, price=True)
            return figures(hub)

    return asyncio.run(fresh())


async def test_as_if_the_price_had_always_been(tmp_path: Path, wanted: dict[str, list[Any]]) -> None:
    async with opened(settings_of(tmp_path)) as hub:
        await filled(hub, price=False)
        before = figures(hub)
        assert before != wanted
        assert (await hub.client.post("/v1/prices", json=PRICE)).status_code == 201
        tried = await hub.client.post("/v1/admin/reprocess", json={**SPAN, "dry_run": True})
        assert tried.status_code == 200, tried.text
        told = tried.json()["figures"]
        assert (told["events"], told["usd_before"]) != (0, told["usd_after"])
        assert figures(hub) == before

        other = {**SPAN, "tenants": ["nobody"]}
        assert (await hub.client.post("/v1/admin/reprocess", json=other)).status_code == 202
        await done(hub)
        assert figures(hub) == before

        begun = await hub.client.post("/v1/admin/reprocess", json=SPAN)
        assert (begun.status_code, begun.json()["running"]) == (202, True)
        assert (await hub.client.post("/v1/admin/reprocess", json=SPAN)).status_code == 409
        assert (await hub.client.post("/v1/admin/backup")).status_code == 409
        await done(hub)
        now = figures(hub)
        for table, rows in wanted.items():
            assert now[table] == rows, table
        again = (await hub.client.post("/v1/admin/reprocess", json={**SPAN, "dry_run": True})).json()["figures"]
        assert (again["changed"], again["usd_before"]) == (0, told["usd_after"])
        wrong = await hub.client.post("/v1/admin/reprocess", json={"from": SPAN["to"], "to": SPAN["from"]})
        assert wrong.status_code == 422


async def test_killed_anywhere_it_goes_on_and_counts_once(tmp_path: Path, wanted: dict[str, list[Any]]) -> None:
    settings = settings_of(tmp_path)
    async with opened(settings) as hub:
        await filled(hub, price=False)
        assert (await hub.client.post("/v1/prices", json=PRICE)).status_code == 201
    good = [1, 4, 9, 14, 15, 16, 17, 25, 33, 40]
    async with opened(settings) as hub:
        await rolled(hub)
        part = hub.app.state.reprocess
        await part.stop()
        await part.begin(NOW - timedelta(days=80), NOW + timedelta(days=1))
        command = hub.hub.warehouse.command
        for after in good:  # each attempt gets so much further that every statement is the last one once
            hub.hub.warehouse.command = Broken(command, after)  # type: ignore[method-assign]
            try:
                await part._go_on()
            except Retryable:
                continue
            break
        hub.hub.warehouse.command = command  # type: ignore[method-assign]
        half = await part.state()
        await hub.send(an_event(id=EVENT % 90, time=NOW.isoformat(), data={"model": "gpt-4o", "input_tokens": 1}))
        assert half is None or half["step"] >= 0
    async with opened(settings) as hub:  # a new process finds it
        await done(hub)
        async with asyncio.timeout(PATIENCE):
            while int(hub.hub.warehouse.query("SELECT count() FROM events").scalar()) < 41:  # noqa: ASYNC110 - the streams do
                await asyncio.sleep(0.05)
        await rolled(hub)
        late = "SELECT count(), sum(cost_usd) FROM events WHERE toString(id) = {id:String}"
        assert hub.hub.warehouse.query(late, {"id": EVENT % 90}).rows[0][0] == 1
        found, others = figures(hub), {"events": wanted["events"]}
        assert [row for row in found["events"] if str(row[0]) != EVENT % 90] == others["events"]
        raw = hub.hub.warehouse.query("SELECT sum(cost_usd), countIf(cost_source = 'unpriced') FROM events").rows
        for one in ROLLUPS:
            if one.retention is None or one.retention > timedelta(days=80):
                text = f"SELECT sum(cost_usd), sum(unpriced) FROM {one.name}"
                assert hub.hub.warehouse.query(text).rows == raw, one.name


def test_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "data"
    with served(folder):
        span = ["--from", SPAN["from"], "--to", SPAN["to"], "--data-dir", str(folder)]
        assert execute(["reprocess", *span, "--dry-run"]) == 0
        assert "0 of 0 calls change: 0 → 0 USD" in capsys.readouterr().out
        assert execute(["reprocess", *span, "--tenant", "default", "--model", "gpt-4o"]) == 0
        assert "0 of 0 calls change" in capsys.readouterr().out
