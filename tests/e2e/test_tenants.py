"""Two tenants never see each other: every route of the application is tried with the other tenant's key."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import httpx
import pytest
from fastapi import FastAPI

from query_api.analytics import ANALYTICS
from tests.hub.running import PATIENCE, Opened, an_event, client_of, count, opened, settings_of

#: In everything that the first tenant writes, and in nothing that the second one does.
MARK = "zebra7f3a"
#: Its id, which anybody may guess.
OWNER = "quagga-labs"
TRACE, EVENT = "5ec2e7" * 5 + "ab", "5ec2e75e-c2e7-4ec2-8ec2-e75ec2e75ec2"

#: Routes that need no credential.
OPEN = {
    ("GET", "/"),
    ("GET", "/docs"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/openapi.json"),
    ("GET", "/sign-in"),
    ("GET", "/static/{name:path}"),
    ("POST", "/sign-out"),
}


@dataclass
class Try:
    """One request that the other tenant makes; ``{…}`` in the path are ids of the first tenant."""

    path: str = ""
    query: dict[str, Any] = field(default_factory=dict)
    body: Any = None
    form: dict[str, str] | None = None
    headers: dict[str, str] = field(default_factory=dict)


DAY = {"from": "now-1d", "to": "now+1d"}
SPY = [
    {"field": "tenant", "op": "in", "values": [OWNER]},
    {"field": "model", "op": "contains", "values": [MARK]},
]
QUESTIONS = [
    {"measures": ["events", "cost_usd", "users"], "dimensions": ["model", "user_id", "session_id"], "time": DAY},
    {"measures": ["events"], "dimensions": ["tenant"], "time": DAY},
    {"measures": ["events"], "dimensions": ["attributes.note", "name", "project"], "time": DAY},
    {"measures": ["requests"], "dimensions": ["model"], "granularity": "1m", "time": {"from": "now-5m", "to": "now"}},
    *({"measures": ["events"], "filters": [one], "dimensions": ["model"], "time": DAY} for one in SPY),
    {"measures": ["events"], "time": DAY, "tenant": OWNER},
]
FILTERS = {"from": "now-1d", "to": "now+1d", "filter": f"model:contains:{MARK}"}
PRICE = {"model": "plain", "input_price_usd_per_mtok": 1, "output_price_usd_per_mtok": 1}
SPAN = {"traceId": "ab" * 16, "spanId": "cd" * 8, "name": "mine"}
SPANS = {"resourceSpans": [{"scopeSpans": [{"spans": [SPAN]}]}]}

#: Doors: whoever has a key may send, and what is sent belongs to the key's tenant.
SENDING = {
    ("PUT", "/v1/schemas/{event_type}"),
    ("POST", "/v1/events"),
    ("POST", "/v1/adapters/{module}"),
    ("POST", "/api/public/ingestion"),
    ("POST", "/api/public/scores"),
}

#: Method and path of a route → what is tried there. A route that is missing here fails the test.
RECIPES: dict[tuple[str, str], list[Try]] = {
    **{route: [Try()] for route in OPEN},
    ("GET", "/static/{name:path}"): [
        Try("/static/app.js"),
        Try("/static/../../etc/passwd"),
        Try("/static/..%2fhub.db"),
    ],
    ("GET", "/sign-in"): [Try(), Try(query={"token": "x" * 40})],
    ("POST", "/sign-in"): [Try(form={"key": "lh_wrong"})],
    ("GET", "/metrics"): [Try()],
    ("POST", "/v1/events"): [
        Try(body=an_event(tenant=OWNER, id=EVENT)),
        Try(body=[an_event(data={"model": "m", "tenant": OWNER})], headers={"X-Tenant": OWNER}),
        Try(body=[an_event()], headers={"Idempotency-Key": f"{MARK}-key"}),
    ],
    ("POST", "/v1/adapters/{module}"): [
        Try("/v1/adapters/audit", body={"tenant": OWNER, "labels": {"tenant": OWNER}}),
        Try("/v1/adapters/openai", body={"response": {"model": "m", "usage": {}}, "tenant": OWNER}),
    ],
    ("POST", "/api/public/ingestion"): [
        Try(body={"batch": [{"id": "i", "type": "trace-create", "body": {"id": TRACE, "name": "n", "tenant": OWNER}}]}),
        Try(body={"batch": [{"id": "j", "type": "span-update", "body": {"id": EVENT, "traceId": TRACE, "output": 1}}]}),
        Try(body={"batch": [{"id": "k", "type": "span-update"}]}),
    ],
    ("POST", "/api/public/scores"): [
        Try(body={"name": "tone", "value": 1, "traceId": TRACE, "observationId": EVENT, "tenant": OWNER}),
        Try(body={"name": "tone"}),
    ],
    **{
        ("POST", path): [Try(body=SPANS, headers={"X-Tenant": OWNER}), Try(body={"resourceSpans": MARK[:5]})]
        for path in (
            "/v1/traces",
            "/api/public/otel/v1/traces",
            "/v1/private/otel/v1/traces",
            "/i/v0/ai/otel",
            "/i/v0/ai/otel/v1/traces",
        )
    },
    ("POST", "/v1/logs"): [Try(body={"resourceLogs": []}, headers={"X-Tenant": OWNER})],
    ("POST", "/v1/metrics"): [Try(body={"resourceMetrics": []}, headers={"X-Tenant": OWNER})],
    ("POST", "/v1/query"): [Try(body=question) for question in QUESTIONS],
    ("GET", "/v1/query/catalog"): [Try()],
    **{
        ("GET", f"/v1/analytics/{one.name}"): [
            Try(query={"from": "now-1d", "to": "now+1d"}),
            Try(query=FILTERS),
            Try(query={"from": "now-1d", "by": "user_id,model", "tenant": OWNER}),
        ]
        for one in ANALYTICS
    },
    ("GET", "/v1/traces"): [
        Try(query={"from": "now-1d", "to": "now+1d"}),
        Try(query={"from": "now-1d", "tenant": OWNER}),
        Try(query=FILTERS),
    ],
    ("GET", "/v1/traces/{trace_id}"): [Try("/v1/traces/{trace}")],
    ("GET", "/v1/events/{event_id}"): [Try("/v1/events/{event}")],
    ("GET", "/v1/exports"): [
        Try(query={"from": "now-1d", "to": "now+1d", "format": "jsonl"}),
        Try(query={"from": "now-1d", "to": "now+1d", "format": "csv", "columns": "id,model,body,data,attributes"}),
        Try(query={**FILTERS, "format": "csv"}),
        Try(query={"from": "now-1d", "columns": "tenant,id"}),
    ],
    ("POST", "/v1/exports"): [Try(body={"question": question, "format": "csv"}) for question in QUESTIONS],
    ("GET", "/v1/prices"): [Try()],
    ("POST", "/v1/prices"): [Try(body=PRICE), Try(body={**PRICE, "tenant": OWNER})],
    ("GET", "/v1/prices/lookup"): [Try(query={"model": "{model}"})],
    ("GET", "/v1/prices/unpriced"): [Try(query={"from": "now-1d", "to": "now+1d"})],
    ("GET", "/v1/prices/{price_id}"): [Try("/v1/prices/{price}")],
    ("PUT", "/v1/prices/{price_id}"): [Try("/v1/prices/{price}", body=PRICE)],
    ("DELETE", "/v1/prices/{price_id}"): [Try("/v1/prices/{price}")],
    ("GET", "/v1/schemas"): [Try()],
    ("GET", "/v1/schemas/{event_type}"): [Try("/v1/schemas/llm.request"), Try("/v1/schemas/{own_type}")],
    ("PUT", "/v1/schemas/{event_type}"): [
        Try("/v1/schemas/mine.own", body={"type": "object"}),
        Try("/v1/schemas/llm.own", body={"type": "object"}),
    ],
    ("DELETE", "/v1/schemas/{event_type}"): [Try("/v1/schemas/{own_type}")],
    ("GET", "/v1/tenants"): [Try()],
    ("POST", "/v1/tenants"): [Try(body={"id": "another"}), Try(body={"id": OWNER})],
    ("GET", "/v1/tenants/{tenant_id}"): [Try("/v1/tenants/{tenant}")],
    ("PATCH", "/v1/tenants/{tenant_id}"): [Try("/v1/tenants/{tenant}", body={"name": "taken"})],
    ("DELETE", "/v1/tenants/{tenant_id}"): [Try("/v1/tenants/{tenant}")],
    ("GET", "/v1/keys"): [Try(), Try(query={"tenant": OWNER})],
    ("POST", "/v1/keys"): [
        Try(body={"tenant": OWNER, "role": "viewer", "scopes": ["query"]}),
        Try(body={"role": "admin", "scopes": ["query", "hub"]}),
        Try(body={"role": "viewer", "scopes": ["query"]}),
    ],
    ("GET", "/v1/keys/{key_id}"): [Try("/v1/keys/{key}")],
    ("POST", "/v1/keys/{key_id}/rotate"): [Try("/v1/keys/{key}/rotate", body={})],
    ("DELETE", "/v1/keys/{key_id}"): [Try("/v1/keys/{key}")],
    ("GET", "/v1/users"): [Try()],
    ("POST", "/v1/users"): [
        Try(body={"email": "eve@example.com"}),
        Try(body={"email": "eve2@example.com", "tenant": OWNER}),
    ],
    ("GET", "/v1/users/{user_id}"): [Try("/v1/users/{user}")],
    ("PATCH", "/v1/users/{user_id}"): [Try("/v1/users/{user}", body={"disabled": True})],
    ("DELETE", "/v1/users/{user_id}"): [Try("/v1/users/{user}")],
    ("POST", "/v1/users/{user_id}/sign-in-link"): [Try("/v1/users/{user}/sign-in-link", body={})],
    ("GET", "/v1/dead-letters"): [
        Try(query={"state": "all"}),
        Try(query={"tenant": OWNER}),
        Try(query={"tenant": ""}),
        Try(query={"state": "all", "reason": MARK}),
    ],
    ("POST", "/v1/dead-letters/replay"): [Try(body={}), Try(body={"tenant": OWNER})],
    ("DELETE", "/v1/dead-letters"): [Try(query={"all": True}), Try(query={"tenant": OWNER})],
    ("GET", "/v1/dead-letters/{letter_id}"): [Try("/v1/dead-letters/{letter}")],
    ("POST", "/v1/dead-letters/{letter_id}/replay"): [Try("/v1/dead-letters/{letter}/replay", body={})],
    ("DELETE", "/v1/dead-letters/{letter_id}"): [Try("/v1/dead-letters/{letter}")],
    ("GET", "/v1/audit"): [Try(), Try(query={"tenant": OWNER})],
    ("GET", "/v1/audit/verify"): [Try()],
    ("GET", "/v1/admin/reprocess"): [Try()],
    ("POST", "/v1/admin/reprocess"): [
        Try(body={"from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z", "tenants": [OWNER], "dry_run": True})
    ],
    ("POST", "/v1/admin/backup"): [Try(), Try(query={"tenant": OWNER})],
}
#: Tried in a test of its own: it never ends.
ENDLESS = ("GET", "/v1/live")
#: What the whole hub counts, for whoever runs it.
OPERATOR = ("GET", "/metrics")


def routes_of(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Method and path of every route, those of included routers too."""
    for route in _walk(app.routes):
        for method in route.methods - {"HEAD", "OPTIONS"}:
            yield method, route.path


def _walk(routes: Iterable[Any]) -> Iterator[Any]:
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is None:
            yield route
        else:
            yield from _walk(inner.routes)


@dataclass
class World:
    """Two tenants in one hub: what the first has, and the clients of both."""

    app: FastAPI
    first: httpx.AsyncClient
    second: httpx.AsyncClient
    second_key: str
    ids: dict[str, str]
    secrets: tuple[str, ...]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened(settings_of(tmp_path)) as hub:
        first_key, second_key = await new_tenant(hub, OWNER), await new_tenant(hub, "second")
        async with client_of(hub.app, first_key) as first, client_of(hub.app, second_key) as second:
            ids = await furnish(first) | {"key": first_key.split("_")[1]}
            answer = await second.post("/v1/events", json=[an_event(data={"model": "mine"}, user_id="me")])
            assert answer.status_code == 202
            await count(first, 3)
            await count(second, 1)
            secrets = (MARK, OWNER, first_key, *ids.values())
            yield World(hub.app, first, second, second_key, ids, secrets)


async def new_tenant(hub: Opened, name: str) -> str:
    """A tenant with a key that may do everything in it."""
    assert (
        await hub.client.post("/v1/tenants", json={"id": name, "name": MARK if name == OWNER else name})
    ).status_code == 201
    body = {"tenant": name, "role": "admin", "scopes": ["ingest", "query", "admin"], "name": f"of {name}"}
    answer = await hub.client.post("/v1/keys", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["key"])


async def furnish(client: httpx.AsyncClient) -> dict[str, str]:
    """Everything that a tenant can have, each with the mark; the ids."""
    common = {"trace_id": TRACE, "user_id": f"u-{MARK}", "session_id": f"s-{MARK}", "project": f"p-{MARK}"}
    messages = [{"role": "user", "content": f"the secret is {MARK}"}]
    data = {"model": f"model-{MARK}", "input_tokens": 4, "error_type": MARK, "status": "error", "note": MARK}
    events = [
        an_event(id=EVENT, attributes={"note": MARK}, data={**data, "input_messages": messages}, **common),
        an_event(type="tool.call", data={"tool_name": f"tool-{MARK}", "arguments": {"x": MARK}}, **common),
        an_event(type="log.record", data={"body": MARK, "logger": MARK}, source=MARK, **common),
        {"type": MARK},
    ]
    answer = await client.post("/v1/events", json=events, headers={"Idempotency-Key": f"{MARK}-key"})
    assert answer.json()["accepted"] == 3, answer.text
    price = await client.post("/v1/prices", json={**PRICE, "model": f"own-{MARK}"})
    user = await client.post("/v1/users", json={"email": f"{MARK}@example.com", "name": MARK})
    assert (price.status_code, user.status_code) == (201, 201), price.text + user.text
    (letter,) = (await client.get("/v1/dead-letters")).json()["letters"]
    own = {"type": "object", "description": MARK}
    assert (await client.put(f"/v1/schemas/{MARK}.own", json=own)).status_code == 201
    return {
        "own_type": f"{MARK}.own",
        "letter": letter["id"],
        "price": price.json()["id"],
        "user": user.json()["id"],
        "trace": TRACE,
        "event": EVENT,
        "tenant": OWNER,
        "model": f"own-{MARK}",
    }


async def attempt(client: httpx.AsyncClient, method: str, path: str, one: Try, ids: dict[str, str]) -> httpx.Response:
    """Make one request."""
    query = {name: str(value).format_map(_Same(ids)) for name, value in one.query.items()}
    url = (one.path or path).format_map(ids)
    return await client.request(method, url, params=query, json=one.body, data=one.form, headers=one.headers)


class _Same(dict[str, str]):
    """Names that are no ids stay as they are."""

    def __missing__(self, name: str) -> str:
        return "{" + name + "}"


def said_by_the_caller(answer: httpx.Response) -> str:
    """What the caller wrote, and may so be quoted."""
    request = answer.request
    return unquote(str(request.url)) + request.content.decode() + str(request.headers)


def test_every_route_has_a_recipe_and_every_recipe_a_route() -> None:
    from dashboard.pages import router
    from hub.web import build_web
    from ingest.doors import DOORS
    from query_api.endpoints import ENDPOINTS

    known = {*RECIPES, ENDLESS}
    assert set(routes_of(build_web("0", [*DOORS, *ENDPOINTS, router], {}))) == known


async def test_the_other_tenant_s_key_finds_nothing_and_changes_nothing(world: World) -> None:
    before, said = await possessions(world), ""
    # Last what the second tenant writes: it may quote the first in its own events.
    for (method, path), tries in sorted(RECIPES.items(), key=lambda recipe: recipe[0] in SENDING):
        for one in tries:
            answer = await attempt(world.second, method, path, one, world.ids)
            assert answer.status_code < 500, (method, path, one, answer.text)
            if (method, path) == OPERATOR:
                continue
            said += said_by_the_caller(answer).replace(MARK, "")  # may be in its own audit log from now on
            quoted = answer.text if MARK not in said_by_the_caller(answer) else answer.text.replace(MARK, "")
            leaked = [secret for secret in world.secrets if secret in quoted and secret not in said]
            assert leaked == [], (method, path, one, answer.text[:500])
            if one.path and method != "GET" and (method, path) not in SENDING:
                assert answer.status_code in (403, 404), (method, path, one, answer.status_code)
    assert await possessions(world) == before
    mine = await world.second.post("/v1/query", json={"measures": ["events"], "dimensions": ["model"], "time": DAY})
    assert ["mine", 1] in mine.json()["rows"]


async def possessions(world: World) -> list[Any]:
    """What the first tenant has, as it sees it itself."""
    found: list[Any] = []
    for path in (
        "/v1/prices",
        "/v1/users",
        "/v1/tenants/{tenant}",
        "/v1/events/{event}",
        "/v1/prices/{price}",
        "/v1/dead-letters",
        "/v1/schemas/{own_type}",
    ):
        answer = await world.first.get(path.format_map(world.ids))
        assert answer.status_code == 200, answer.text
        assert MARK in answer.text
        found.append(answer.json())
    keys = (await world.first.get("/v1/keys")).json()["keys"]
    found.append([{**key, "last_used_at": None} for key in keys])
    found.append(await count(world.first, 3))
    return found


async def test_without_a_credential_nothing_is_open_but_what_is_meant_to_be(world: World) -> None:
    async with client_of(world.app, None, "203.0.113.9") as nobody:
        for (method, path), tries in RECIPES.items():
            for one in tries:
                answer = await attempt(nobody, method, path, one, world.ids)
                if (method, path) in OPEN:
                    assert answer.status_code < 500
                    assert not [secret for secret in world.secrets if secret in answer.text]
                else:
                    assert answer.status_code == 401, (method, path, answer.status_code, answer.text)
        assert (await nobody.get("/v1/live")).status_code == 401
    async with client_of(world.app, None) as near:
        assert (await near.get("/metrics")).status_code == 200
        assert (await near.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"})).status_code == 401


async def test_what_one_watches_live_is_one_s_own(world: World) -> None:
    shown: list[bytes] = []
    gone = asyncio.Event()
    watching = asyncio.create_task(watch(world.app, world.second_key, shown.append, gone))
    async with asyncio.timeout(PATIENCE):
        while b"retry" not in b"".join(shown):  # noqa: ASYNC110 - it is in somebody else's hands
            await asyncio.sleep(0.01)
        for client, name in ((world.first, f"live-{MARK}"), (world.second, "live-mine")):
            await client.post("/v1/events", json=[an_event(data={"model": name})])
        while b"live-mine" not in b"".join(shown):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    gone.set()
    await asyncio.wait_for(watching, PATIENCE)
    assert MARK.encode() not in b"".join(shown)


async def watch(app: FastAPI, key: str, show: Callable[[bytes], None], gone: asyncio.Event) -> None:
    """``/v1/live`` until ``gone``: httpx would wait for the end of an answer that has none."""
    headers = [(b"authorization", f"Bearer {key}".encode()), (b"host", b"hub")]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/v1/live",
        "raw_path": quote("/v1/live").encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("hub", 80),
    }
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            show(message.get("body", b""))

    await app(scope, receive, send)
