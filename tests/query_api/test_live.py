"""``/v1/live``: points, latest events, heartbeat, resumption, and an end."""

import asyncio
import json
from collections import Counter
from datetime import timedelta

import pytest
from fastapi import FastAPI

from broker.live import LiveFeed
from core.errors import Retryable
from query_api.endpoints.live import MAX_STREAMS, MEMORY, Stream, _Body, _resume
from query_api.window import build, parse_filter
from semantic import traces
from semantic.times import micros
from tests.query_api.conftest import client_of
from tests.semantic.rows import NOW


def stream(app: FastAPI, tenant: str = "acme", *filters: str, **more: float) -> Stream:
    texts = [parse_filter(text, index) for index, text in enumerate(filters)]
    chosen = build({"measures": ["events"], "filters": texts}).filters
    since = NOW - timedelta(seconds=1)
    return Stream(app.state.semantic, app.state.clock, tenant, chosen, since, look_seconds=0.01, **more)


async def messages(watching: Stream, feed: LiveFeed, most: int) -> list[bytes]:
    found: list[bytes] = []
    async for message in _Body(watching, feed, Counter()):
        found.append(message)
        if len(found) == most:
            feed.close()
    return found


async def watched(feed: LiveFeed) -> None:
    while "acme" not in feed.tenants:  # noqa: ASYNC110 - the feed tells nobody who watches
        await asyncio.sleep(0)


async def test_points_and_events(app: FastAPI) -> None:
    feed = LiveFeed()
    watching = asyncio.create_task(messages(stream(app), feed, 3))
    await watched(feed)
    feed.publish("rival", [{"time": "x", "events": 9}])
    feed.publish("acme", [{"time": "2026-11-20T12:34:56Z", "events": 3}])
    retry, second, events = (await watching)[:3]
    assert retry == b"retry: 2000\n\n"
    assert second.splitlines()[1:] == [b"event: second", b'data: {"time":"2026-11-20T12:34:56Z","events":3}', b""]
    number, name, data, *_ = events.decode().splitlines()
    assert (number, name) == (f"id: {micros(NOW)}", "event: events")
    assert len(json.loads(data.removeprefix("data: "))) == 25


async def test_filters_hold_for_events(app: FastAPI) -> None:
    found = await messages(stream(app, "acme", "model:eq:llama"), LiveFeed(), 2)
    data = json.loads(found[1].decode().splitlines()[2].removeprefix("data: "))
    assert {event["data"]["model"] for event in data} == {"llama"}


async def test_heartbeat_when_nothing_happens(app: FastAPI) -> None:
    found = await messages(stream(app, "nobody", heartbeat_seconds=0), LiveFeed(), 3)
    assert found[1:] == [b": still here\n\n"] * 2


async def test_a_busy_engine_is_passed_over(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    async def busy(*_: object) -> None:
        raise Retryable("busy")

    monkeypatch.setattr(traces, "latest", busy)
    assert (await messages(stream(app, heartbeat_seconds=0), LiveFeed(), 2))[1] == b": still here\n\n"


def test_resumption() -> None:
    recent = NOW - timedelta(seconds=20)
    assert _resume(str(micros(recent)), NOW) == recent
    assert _resume("17", NOW) == NOW - MEMORY
    assert _resume(str(micros(NOW) + 10**9), NOW) == NOW
    for text in (None, "x", "-1", "²", "9" * 30):
        assert _resume(text, NOW) == NOW - timedelta(seconds=5)


async def test_streams_are_counted_and_given_back(app: FastAPI) -> None:
    feed, open_streams = LiveFeed(), Counter[str]()
    body = aiter(_Body(stream(app), feed, open_streams))
    await anext(body)
    assert open_streams == {"acme": 1}
    await body.aclose()
    assert open_streams == {}
    assert not feed.tenants


async def test_too_many_streams_and_wrong_filters(app: FastAPI) -> None:
    async with client_of(app, "lh_acme") as client:
        assert (await client.get("/v1/live", params={"filter": "modle:in:x"})).status_code == 422
        assert (await client.get("/v1/live", params={"filter": "model:regex:("})).status_code == 422
        app.state.live_streams = Counter({"acme": MAX_STREAMS})
        answer = await client.get("/v1/live")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
        app.state.live_streams = Counter()


async def test_over_http(app: FastAPI) -> None:
    async def end() -> None:
        await watched(app.state.live)
        app.state.live.close()

    ending = asyncio.create_task(end())
    async with client_of(app, "lh_acme") as client:
        answer = await client.get("/v1/live")
    await ending
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.startswith("retry: 2000")
