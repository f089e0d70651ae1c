"""A tenant that is deleted, and a retention that is changed, through HTTP and the hub's own background part."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from core.clock import ManualClock, SystemClock
from storage.warehouse.retention import TENANT_TABLES
from tests.hub.running import PATIENCE, Opened, an_event, client_of, count, opened, settings_of

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
FOLD = timedelta(seconds=5)
QUESTION = {
    "measures": ["events", "input_tokens", "cost_usd", "latency_p95", "users"],
    "dimensions": ["model"],
    "time": {"from": "now-60d", "to": "now+1d"},
}


class Hours(SystemClock):
    """The machine's clock, but whoever sleeps for a minute or longer is woken by the test."""

    def __init__(self) -> None:
        self._slow = ManualClock(datetime.now(UTC))
        self._ahead = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self._ahead

    def monotonic(self) -> float:
        return super().monotonic() + self._ahead.total_seconds()

    async def sleep(self, seconds: float) -> None:
        await (self._slow.sleep(seconds) if seconds >= 60 else super().sleep(seconds))

    def advance(self, time: timedelta) -> None:
        """Move on, and wake whoever was to be woken by then."""
        self._ahead += time
        self._slow.advance(time.total_seconds())


async def until(condition: Callable[[], Any], clock: Hours, step: timedelta) -> None:
    """Let time pass until something has happened."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            clock.advance(step)
            await asyncio.sleep(0.1)


def rows(hub: Opened, tenant: str) -> dict[str, int]:
    """How many rows of a tenant are in each table."""
    found = {}
    for table in TENANT_TABLES:
        text = f"SELECT count() FROM {table} WHERE tenant = {{tenant:String}}"
        found[table] = int(hub.hub.warehouse.query(text, {"tenant": tenant}).scalar())
    return found


def marks(hub: Opened) -> dict[str, dict[int, int]]:
    """How far each rollup says that it reaches, by partition."""
    text = "SELECT toUnixTimestamp(time), max(through) FROM {} WHERE tenant = '' GROUP BY time"
    found = {name: hub.hub.warehouse.query(text.format(name)).rows for name in TENANT_TABLES if "rollup" in name}
    return {name: {int(time): int(through) for time, through in rows} for name, rows in found.items()}


async def tenant(hub: Opened, name: str, *ages: int) -> str:
    """A tenant with events so many days old, each with contents; its key."""
    made = await hub.client.post("/v1/tenants", json={"id": name})
    assert made.status_code == 201, made.text
    body = {"tenant": name, "role": "admin", "scopes": ["ingest", "query", "admin"]}
    key = str((await hub.client.post("/v1/keys", json=body)).json()["key"])
    async with client_of(hub.app, key) as client:
        for age in ages:
            await send(client, datetime.now(UTC) - age * DAY)
        await count(client, len(ages))
    return key


async def send(client: Any, time: datetime) -> None:
    """One event with contents."""
    data = {
        "model": "gpt-4o",
        "input_tokens": 7,
        "output_tokens": 3,
        "duration_ms": 12.0,
        "input_messages": [{"role": "user", "content": "hello"}],
    }
    answer = await client.post("/v1/events", json=[an_event(data=data, user_id="u-1", time=time.isoformat())])
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1), answer.text


def old(hub: Opened, tenant: str, days: int) -> int:
    """How many rows of a tenant are older than so many days, in all tables."""
    text = "SELECT count() FROM {} WHERE tenant = {{tenant:String}} AND time < now() - INTERVAL {{days:UInt16}} DAY"
    values = {"tenant": tenant, "days": days}
    return sum(int(hub.hub.warehouse.query(text.format(table), values).scalar()) for table in TENANT_TABLES)


async def test_a_deleted_tenant_leaves_nothing_and_nobody_else_notices(tmp_path: Path) -> None:
    clock = Hours()
    async with opened(settings_of(tmp_path, partitions=2), clock) as hub:
        gone, stays = await tenant(hub, "gone", 0, 3), await tenant(hub, "stays", 0, 3)
        await until(lambda: not hub.hub.roller.rows_behind(), clock, FOLD)
        async with client_of(hub.app, gone) as leaving, client_of(hub.app, stays) as staying:
            assert all(rows(hub, "gone").values())
            before = (await staying.post("/v1/query", json=QUESTION)).json()["rows"], rows(hub, "stays")
            through = marks(hub)
            await send(leaving, datetime.now(UTC))  # still on its way when the tenant goes
            assert (await hub.client.delete("/v1/tenants/gone")).status_code == 204
            assert (await leaving.post("/v1/query", json=QUESTION)).status_code == 401
            refused = await hub.client.post("/v1/tenants", json={"id": "gone"})
            assert refused.status_code == 409
            assert "still being erased" in refused.json()["detail"]
            await until(lambda: not sum(rows(hub, "gone").values()), clock, MINUTE)
            async with asyncio.timeout(PATIENCE):
                while await hub.hub.access.erasures.open():
                    clock.advance(MINUTE)
                    await asyncio.sleep(0.02)
            assert not sum(rows(hub, "gone").values())
            for table, reached in marks(hub).items():
                assert all(reached[partition] >= position for partition, position in through[table].items())
            assert ((await staying.post("/v1/query", json=QUESTION)).json()["rows"], rows(hub, "stays")) == before
        async with client_of(hub.app, await tenant(hub, "gone", 0)) as client:  # somebody else's from now on
            assert (await client.post("/v1/query", json=QUESTION)).json()["rows"][0][:3] == ["gpt-4o", 1, 7]
        assert "llm_hub_keeping_failures_total{" not in (await hub.client.get("/metrics")).text


async def test_a_patched_retention_takes_effect_on_stored_rows(tmp_path: Path) -> None:
    clock = Hours()
    async with opened(settings_of(tmp_path), clock) as hub:
        acme, stays = await tenant(hub, "acme", 0, 20), await tenant(hub, "stays", 0, 20)
        await until(lambda: not hub.hub.roller.rows_behind(), clock, FOLD)
        before = rows(hub, "stays")
        async with client_of(hub.app, acme) as client, client_of(hub.app, stays) as staying:
            assert await count(client, 2) == 2
            assert old(hub, "acme", 17) > 4
            days = {"events": 15, "payloads": 400, "rollups": 15}
            changed = await client.patch("/v1/tenants/acme", json={"settings": {"retention_days": days}})
            assert changed.status_code == 200, changed.text
            await until(lambda: not old(hub, "acme", 17), clock, timedelta(minutes=20))
            kept = "SELECT DISTINCT toUnixTimestamp(expires_at) - toUnixTimestamp(time) FROM {} WHERE tenant = 'acme'"
            for table in ("events", "payloads"):
                assert hub.hub.warehouse.query(kept.format(table)).rows == [(15 * 86_400,)]
            assert await count(client, 1) == 1
            assert await count(staying, 2) == 2
        assert rows(hub, "stays") == before
