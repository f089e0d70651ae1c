"""Health and metrics."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from core.errors import Retryable
from query_api import health
from query_api.health import Finding
from tests.query_api.conftest import METRICS_KEY, client_of


async def test_live(app: FastAPI) -> None:
    async with client_of(app, "none") as client:
        assert (await client.get("/health/live")).json() == {"status": "ok"}


async def test_a_process_that_only_a_restart_cures_is_not_alive(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = {"streams": lambda: Finding(False, "stalled", "nothing moves"), "others": lambda: None}
    monkeypatch.setitem(app.state._state, "lives", stuck)
    async with client_of(app, "none") as client:
        answer = await client.get("/health/live")
    assert answer.status_code == 503
    assert answer.json() == {"status": "failed", "detail": "nothing moves"}


async def test_ready_tells_each_part(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow() -> Finding:
        return Finding(True, "running", "all partitions")

    monkeypatch.setitem(app.state._state, "checks", {"streams": slow, "disk": lambda: None})
    async with client_of(app, "none") as client:
        answer = await client.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json()["checks"]["streams"] == {"status": "ok", "state": "running", "detail": "all partitions"}
    assert set(answer.json()["checks"]) == {"streams", "disk"}


def _broken() -> None:
    raise ZeroDivisionError


def _down() -> None:
    raise Retryable("the log is down")


async def _stuck() -> None:
    await asyncio.Event().wait()


async def test_not_ready(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PATIENCE", 0.01)
    checks = {
        "broken": _broken,
        "down": _down,
        "stuck": _stuck,
        "waiting": lambda: Finding(False, "waiting", "for the log"),
    }
    monkeypatch.setitem(app.state._state, "checks", checks)
    async with client_of(app, "none") as client:
        answer = await client.get("/health/ready")
    assert answer.status_code == 503
    details = {name: part["detail"] for name, part in answer.json()["checks"].items() if part["status"] != "ok"}
    assert details == {
        "broken": "ZeroDivisionError",
        "down": "the log is down",
        "stuck": "does not answer",
        "waiting": "for the log",
    }


@pytest.mark.parametrize(
    ("host", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.7"}, 401),
        ("203.0.113.7", {}, 401),
        ("203.0.113.7", {"X-API-Key": "lh_sender"}, 403),
        ("203.0.113.7", {"X-API-Key": "lh_acme"}, 200),
        ("somewhere", {}, 401),
        ("203.0.113.7", {"Authorization": f"Bearer {METRICS_KEY}"}, 200),
        ("203.0.113.7", {"Authorization": f"Bearer {METRICS_KEY}x"}, 401),
        ("203.0.113.7", {"Authorization": "Bearer "}, 401),
    ],
)
async def test_metrics(app: FastAPI, host: str, headers: dict[str, str], status: int) -> None:
    transport = httpx.ASGITransport(app, client=(host, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://hub", headers=headers) as client:
        answer = await client.get("/metrics")
    assert answer.status_code == status
    if status == 200:
        assert "llm_hub_" in answer.text
        assert "llm_gateway_token_usage" in answer.text


async def test_the_metrics_key_opens_nothing_else(app: FastAPI) -> None:
    async with client_of(app, METRICS_KEY) as client:
        assert (await client.get("/v1/query/catalog")).status_code == 401
