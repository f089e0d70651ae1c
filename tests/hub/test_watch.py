"""Every request is counted by its route, and by nothing that a sender chooses."""

import asyncio
from typing import Any

import httpx
from fastapi import APIRouter
from starlette.responses import StreamingResponse

from core.metrics import Metrics
from hub.web import build_web
from tests.hub.running import client_of


def router() -> APIRouter:
    router = APIRouter()

    @router.get("/things/{name}")
    async def thing(name: str) -> str:
        return name

    @router.get("/break")
    async def breaks() -> None:
        raise ZeroDivisionError

    @router.get("/stream")
    async def streams() -> StreamingResponse:
        async def parts() -> Any:
            for _ in range(3):
                yield b"part"
                await asyncio.sleep(0)

        return StreamingResponse(parts())

    return router


async def test_requests_by_route_method_and_status() -> None:
    metrics = Metrics()
    async with client_of(build_web("1", [router()], {"metrics": metrics}), None) as client:
        for name in range(30):
            await client.get(f"/things/{name}")
        await client.post("/things/a")
        await client.request("BREW", "/things/a")
        for name in range(30):
            await client.get(f"/nowhere/{name}")
        await client.get("/break")
        assert (await client.get("/stream")).text == "partpartpart"
    found = counts(metrics)
    assert found.pop(("/things/{name}", "other", "405")) == 1
    assert found == {
        ("/things/{name}", "GET", "200"): 30,
        ("/things/{name}", "POST", "405"): 1,
        ("none", "GET", "404"): 30,
        ("/break", "GET", "500"): 1,
        ("/stream", "GET", "200"): 1,
    }
    assert metrics.registry.get_sample_value("llm_hub_http_open") == 0


async def test_what_is_no_request_passes_by() -> None:
    app = build_web("1", [], {})
    async with app.router.lifespan_context(app):
        assert (await client_of(app, None).get("/docs")).status_code == 200
    transport = httpx.ASGITransport(app)
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": "websocket", "path": "/", "headers": [], "query_string": b""}, receive, send)
    assert sent[0]["type"] == "websocket.close"
    await transport.aclose()


def counts(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Requests by route, method and status."""
    return {
        (sample.labels["route"], sample.labels["method"], sample.labels["status"]): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "llm_hub_http_seconds_count"
    }
