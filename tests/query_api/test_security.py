"""Two tenants never see each other; hostile text stays text; nothing ends in a 500."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from query_api.endpoints import ENDPOINTS
from semantic.catalogue import describe
from tests.query_api.conftest import client_of
from tests.semantic.rows import Event

#: Endpoints of the hub's own state; the access room's tests hold their tenants apart.
ADMINISTRATION = (
    "/v1/admin",
    "/v1/audit",
    "/v1/dead-letters",
    "/v1/keys",
    "/v1/prices",
    "/v1/schemas",
    "/v1/tenants",
    "/v1/users",
)
OPEN = ("/health/live", "/health/ready", "/metrics")
HOSTILE = (
    "' OR 1=1 --",
    "x'; DROP TABLE events; --",
    "\\' OR ''='",
    "{p0:String}",
    "`tenant`",
    "*/ OR 1=1 /*",
    "\x00",
    "'||(SELECT 1)||'",
    "%' OR '%'='",
    "a\nFORMAT JSON",
    "🤖' OR 1",
)


def questions() -> Iterator[tuple[str, str]]:
    """Method and path of every endpoint that answers about events."""
    for router in ENDPOINTS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            fixed = "{" not in route.path or route.path.startswith(("/v1/traces", "/v1/events"))
            ours = not route.path.startswith(ADMINISTRATION) or route.path == "/v1/prices/unpriced"
            if fixed and ours and route.path not in (*OPEN, "/v1/live", "/v1/query/catalog"):
                yield from ((method, route.path) for method in sorted(route.methods))


ALL = sorted(questions())


async def call(client: httpx.AsyncClient, method: str, path: str, events: list[Event]) -> httpx.Response:
    """The endpoint about everything in the tenant's data."""
    trace = next(event["trace_id"].hex() for event in events if "trace_id" in event)
    path = path.format(trace_id=trace, event_id=UUID(bytes=events[0]["id"]))
    question = {"measures": ["events"], "dimensions": ["id", "user_id"], "time": {"from": "now-4d"}}
    if method == "POST":
        body = question if path == "/v1/query" else {"question": question, "format": "jsonl"}
        return await client.post(path, json=body)
    return await client.get(path, params={"from": "now-4d", "format": "jsonl", "limit": "5000"})


def test_the_list_is_whole() -> None:
    assert {"/v1/query", "/v1/traces", "/v1/traces/{trace_id}", "/v1/events/{event_id}", "/v1/exports"} <= {
        path for _, path in ALL
    }


@pytest.mark.parametrize(("method", "path"), ALL)
async def test_nobody_sees_anothers_events(app: FastAPI, events: list[Event], method: str, path: str) -> None:
    """A tenant without events is answered as if there were none."""
    async with client_of(app, "lh_nobody") as client:
        answer = await call(client, method, path, events)
    if "{" in path:
        assert answer.status_code == 404
        return
    assert answer.status_code == 200, answer.text
    ids = {str(UUID(bytes=event["id"])) for event in events} | {
        event["trace_id"].hex() for event in events if "trace_id" in event
    }
    assert not [one for one in ids if one in answer.text]
    if path.startswith("/v1/analytics"):
        assert all(not any(value for value in row if not isinstance(value, str)) for row in answer.json()["rows"])


@pytest.mark.parametrize(("method", "path"), ALL)
async def test_a_key_is_needed(app: FastAPI, events: list[Event], method: str, path: str) -> None:
    async with client_of(app, "lh_wrong") as client:
        assert (await call(client, method, path, events)).status_code == 401
    async with client_of(app, "lh_sender") as client:
        assert (await call(client, method, path, events)).status_code == 403


async def test_live_needs_a_key(app: FastAPI) -> None:
    async with client_of(app, "lh_sender") as client:
        assert (await client.get("/v1/live")).status_code == 403


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_values_match_nothing(acme: httpx.AsyncClient, text: str) -> None:
    for field in ("model", "user_id", "attributes.region", "attributes." + text, "judge_model", "tool_name"):
        for op in ("in", "eq", "starts_with"):
            filters = [{"field": field, "op": op, "values": [text]}]
            answer = await acme.post("/v1/query", json={"measures": ["events"], "filters": filters})
            assert answer.status_code == 200, answer.text
            assert answer.json()["rows"] == [[0]]


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_names_are_told_or_harmless(acme: httpx.AsyncClient, text: str) -> None:
    for change in (
        {"measures": [text]},
        {"dimensions": [text]},
        {"granularity": text},
        {"time": {"from": text}},
        {"time_zone": text},
        {"order": [{"field": text}]},
        {"currency": text},
        {"filters": [{"field": text, "op": "eq", "values": [1]}]},
        {"filters": [{"field": "model", "op": text, "values": [1]}]},
    ):
        answer = await acme.post("/v1/query", json={"measures": ["events"]} | change)
        assert answer.status_code == 422, (change, answer.text)
    grouped = {"measures": ["events"], "dimensions": ["attributes." + text], "time": {"from": "now-4d"}}
    answer = await acme.post("/v1/query", json=grouped)
    assert answer.status_code == 200
    assert len(answer.json()["rows"]) == 1
    for path in ("/v1/traces/", "/v1/events/"):
        assert (await acme.get(path + quote(text, safe=""))).status_code in (404, 422)


NAMES = [item["name"] for kind in describe().values() for item in kind] + ["attributes.region", "time", "nonsense"]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
BODIES = st.fixed_dictionaries(
    {"measures": st.lists(st.sampled_from(NAMES), max_size=4)},
    optional={
        "dimensions": st.lists(st.sampled_from(NAMES), max_size=3),
        "granularity": st.sampled_from(["1s", "7m", "5h", "1d", "2w", "1M", "auto", "", "0s", "99999h"]) | st.none(),
        "time": st.fixed_dictionaries(
            {},
            optional={
                name: st.sampled_from(["now", "now-1h", "now-2d/d", "now/w", "2026-11-20", "2026-03-29T02:30:00", "x"])
                | st.integers(-(10**18), 10**18)
                for name in ("from", "to")
            },
        ),
        "time_zone": st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns", "Mars"]),
        "filters": st.lists(
            st.fixed_dictionaries(
                {
                    "field": st.sampled_from(NAMES),
                    "op": st.sampled_from(
                        ["in", "not_in", "eq", "ne", "gt", "lte", "contains", "starts_with", "regex", "exists", "no"]
                    ),
                },
                optional={"values": st.lists(SCALARS, max_size=3), "value": SCALARS},
            ),
            max_size=2,
        ),
        "order": st.lists(st.fixed_dictionaries({"field": st.sampled_from(NAMES)}), max_size=2),
        "limit": st.integers(-1, 60_000),
        "compare": st.sampled_from(["previous_period", None, "x"]),
    },
)


def test_whatever_is_asked_is_answered_or_told(app: FastAPI) -> None:
    """No 500, whatever names, types and values come together."""

    @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
    @given(BODIES)
    def ask(body: dict[str, Any]) -> None:
        async def once() -> httpx.Response:
            async with client_of(app, "lh_acme") as client:
                content = json.dumps(body).encode()
                return await client.post("/v1/query", content=content, headers={"Content-Type": "application/json"})

        answer = asyncio.run(once())
        assert answer.status_code in (200, 422), (body, answer.text)

    ask()
