"""Through every other door, into the warehouse, and out of a question; each tenant sees its own."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.test_tenants import new_tenant
from tests.hub.running import PATIENCE, Opened, client_of, count, opened, settings_of
from tests.ingest.scrape.test_scrape import page

WIDE = {"from": "now-1d", "to": "now+1d"}
LANGFUSE = "/api/public/ingestion"


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Opened]:
    async with opened(settings_of(tmp_path)) as hub:
        yield hub


def now(seconds: float = 0.0) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


async def ask(client: httpx.AsyncClient, *measures: str, by: str = "model") -> dict[str, list[Any]]:
    question = {"measures": list(measures), "dimensions": [by], "time": WIDE}
    answer = await client.post("/v1/query", json=question)
    assert answer.status_code == 200, answer.text
    return {row[0]: row[1:] for row in answer.json()["rows"]}


async def test_a_call_costs_the_same_through_every_door(hub: Opened) -> None:
    usage = {"prompt_tokens": 812, "completion_tokens": 96, "prompt_tokens_details": {"cached_tokens": 512}}
    data = {"provider": "openai", "model": "gpt-4o", "input_tokens": 812, "output_tokens": 96}
    data["cache_read_input_tokens"] = 512
    cloud = {"specversion": "1.0", "id": "1", "source": "gateway", "type": "llm.request", "data": data}
    row = {"kind": "call", "timestamp": now(), "provider": "openai", "model": "gpt-4o"}
    row["usage"] = {"input": 812, "output": 96, "cache_read": 512}
    seconds = {"startTime": time.time() - 1, "endTime": time.time()}
    flat = {"model": "gpt-4o", "custom_llm_provider": "openai", "prompt_tokens": 812, "completion_tokens": 96}
    generation = {"id": "g", "model": "gpt-4o", "startTime": now(-1), "endTime": now()}
    generation["usageDetails"] = {"input": 300, "input_cached_tokens": 512, "output": 96}
    batch = {"batch": [{"id": "i", "type": "generation-create", "timestamp": now(), "body": generation}]}
    sent = [
        ("/v1/events", cloud, {"Content-Type": "application/cloudevents+json"}),
        ("/v1/adapters/gateway", row, {}),
        ("/v1/adapters/openai", {"response": {"model": "gpt-4o", "usage": usage}}, {}),
        ("/v1/adapters/litellm", {**flat, **seconds, "metadata": {"usage_object": usage}}, {}),
        (LANGFUSE, batch, {}),
    ]
    for path, body, headers in sent:
        answer = await hub.client.post(path, json=body, headers=headers)
        assert answer.status_code in (202, 207), answer.text
    await hub.count(len(sent))
    found = await ask(hub.client, "requests", "input_tokens", "cache_read_input_tokens", "output_tokens", "cost_usd")
    cost = (300 * 2.5 + 512 * 1.25 + 96 * 10) / 1e6
    assert found == {"gpt-4o": [5, 5 * 812, 5 * 512, 5 * 96, pytest.approx(5 * cost)]}


async def test_two_tenants_never_meet(hub: Opened) -> None:
    keys = [await new_tenant(hub, name) for name in ("acme", "globex")]
    for name, key in zip(("acme", "globex"), keys, strict=True):
        async with client_of(hub.app, None) as client:
            pair = base64.b64encode(f"pk:{key}".encode()).decode()
            body = {"id": "shared", "traceId": "t", "name": name, "startTime": now(), "endTime": now()}
            batch = {"batch": [{"id": "i", "type": "span-create", "timestamp": now(), "body": body}]}
            told = await client.post(LANGFUSE, json=batch, headers={"Authorization": f"Basic {pair}"})
            assert [one["status"] for one in told.json()["successes"]] == [201]
        async with client_of(hub.app, key) as client:
            row = {
                "id": "shared",
                "timestamp": now(),
                "policy": {"name": name},
                "decision": "allow",
                "tenant": "globex",
            }
            assert (await client.post("/v1/adapters/guardrails", json=row)).json()["accepted"] == 1
            cloud = {"specversion": "1.0", "id": "1", "source": "s", "type": "job.run", "tenant": "globex"}
            cloud["data"] = {"job": name, "state": "started"}  # type: ignore[assignment]
            headers = {"Content-Type": "application/cloudevents+json"}
            assert (await client.post("/v1/events", json=cloud, headers=headers)).json()["accepted"] == 1
    for name, key in zip(("acme", "globex"), keys, strict=True):
        async with client_of(hub.app, key) as client:
            assert await count(client, 3) == 3
            assert set(await ask(client, "events", by="name")) == {name}


async def test_a_worker_is_scraped(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = page().encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
        writer.write(head + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    targets = f"http://127.0.0.1:{port}/metrics, nobody=http://127.0.0.1:{port}/metrics"
    async with server, opened(settings_of(tmp_path, scrape_targets=targets)) as hub:
        async with asyncio.timeout(PATIENCE):
            await hub.count(1)
        found = await ask(hub.client, "queue_depth_avg", "running_avg", by="worker")
        assert found == {f"127.0.0.1:{port}/0": [3, 18]}
        metrics = (await hub.client.get("/metrics")).text
        assert f'llm_hub_scrapes_total{{outcome="no_tenant",target="127.0.0.1:{port}"}} 1.0' in metrics
