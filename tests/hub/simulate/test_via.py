"""The same seed through every door gives the same answers."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.errors import SettingsError
from hub.simulate import Simulation, SimulationConfig, simulate
from hub.simulate.via import VIA, speech
from tests.hub.running import Opened, count, opened, settings_of

CONFIG = SimulationConfig(
    seed=7,
    rate=20,
    start=datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=10),
    duration=timedelta(seconds=60),
    scenario="token_leak",
)
WIDE = {"from": "now-2h", "to": "now+1h"}
QUESTIONS: list[dict[str, Any]] = [
    {"measures": ["events", "users", "sessions", "traces"], "dimensions": ["type"]},
    {"measures": ["requests", "errors", "input_tokens", "output_tokens", "cache_read_input_tokens"]},
    {"measures": ["cost_usd", "unpriced_requests"], "dimensions": ["model", "provider"]},
    {"measures": ["events"], "dimensions": ["project", "environment"]},
    {"measures": ["guardrail_checks", "guardrail_block_rate"], "dimensions": ["policy", "stage"]},
]


async def answers(hub: Opened, via: str) -> list[Any]:
    """What a tenant of its own is answered once the simulation has come in through one door."""
    await hub.client.post("/v1/tenants", json={"id": via, "name": via})
    body = {"tenant": via, "role": "admin", "scopes": ["ingest", "query", "admin"]}
    key = (await hub.client.post("/v1/keys", json=body)).json()["key"]
    outcome = await simulate(CONFIG, url="http://hub", key=key, via=via, transport=httpx.ASGITransport(hub.app))
    assert outcome.totals["default"].rejected == 0, outcome.totals["default"].examples
    assert outcome.totals["default"].accepted == outcome.events
    async with hub.as_somebody(key) as client:
        assert await count(client, outcome.events) == outcome.events
        told = [(await client.post("/v1/query", json={**one, "time": WIDE})).json()["rows"] for one in QUESTIONS]
    assert all(told)
    return told


async def test_the_same_seed_gives_the_same_answers_through_every_door(tmp_path: Path) -> None:
    async with opened(settings_of(tmp_path)) as hub:
        told = {via: await answers(hub, via) for via in VIA}
    expected = [[[near(value) for value in row] for row in rows] for rows in told["events"]]
    for via in VIA:
        assert told[via] == expected, via


def near(value: Any) -> Any:
    return pytest.approx(value, rel=1e-9) if isinstance(value, float) else value


def test_every_door_says_every_event() -> None:
    batch = [event for batch in Simulation(CONFIG).batches(5000) for event in batch.events]
    for speak in VIA.values():
        lines = [body.content for body in speak(batch)]
        assert all(event["id"].encode() in b"".join(lines) for event in batch[:50])


def test_a_door_nobody_knows_is_named() -> None:
    with pytest.raises(SettingsError, match="the doors are events, cloudevents, adapters"):
        speech("fax")


async def test_files_hold_events_only(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="to a hub"):
        await simulate(CONFIG, out=tmp_path / "a.ndjson", via="adapters")
