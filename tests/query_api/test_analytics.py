"""The named analytics: every one answers, pages, filters, and tells mistakes."""

import httpx
import pytest

from query_api.analytics import ANALYTICS
from tests.semantic.naive import NAIVE
from tests.semantic.rows import Event

NAMES = [analysis.name for analysis in ANALYTICS]
WIDE = {"from": "now-4d"}


@pytest.mark.parametrize("name", NAMES)
async def test_answers(acme: httpx.AsyncClient, name: str) -> None:
    answer = await acme.get(f"/v1/analytics/{name}", params=WIDE)
    assert answer.status_code == 200, answer.text
    assert answer.json()["rows"]


@pytest.mark.parametrize("name", NAMES)
async def test_over_time(acme: httpx.AsyncClient, name: str) -> None:
    params = WIDE | {"granularity": "1d", "by": "", "compare": "previous_period"}
    body = (await acme.get(f"/v1/analytics/{name}", params=params)).json()
    assert len(body["rows"]) == 5
    assert body["columns"][0]["name"] == "time"


async def test_pages_hold_every_row_once(acme: httpx.AsyncClient, events: list[Event]) -> None:
    params = WIDE | {"limit": "7"}
    rows: list[list[object]] = []
    while True:
        body = (await acme.get("/v1/analytics/users", params=params)).json()
        rows += body["rows"]
        if body["meta"]["cursor"] is None:
            break
        params["cursor"] = body["meta"]["cursor"]
    users = {event["user_id"] for event in events if "user_id" in event}
    assert sorted(row[0] for row in rows) == sorted(users)
    assert sum(row[3] for row in rows) == NAIVE["total_tokens"]([event for event in events if "user_id" in event])


async def test_filters(acme: httpx.AsyncClient, events: list[Event]) -> None:
    params = [("from", "now-4d"), ("filter", "model:in:gpt-4o,llama"), ("filter", "environment:not_exists")]
    body = (await acme.get("/v1/analytics/tokens", params=params)).json()
    chosen = [event for event in events if event.get("model") in ("gpt-4o", "llama") and "environment" not in event]
    assert {row[0]: row[1] for row in body["rows"]} == {
        model: NAIVE["total_tokens"]([event for event in chosen if event["model"] == model])
        for model in ("gpt-4o", "llama")
    }


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"filter": "model"}, "filter.0"),
        ({"filter": "modle:in:x"}, "filters.0.field"),
        ({"filter": "model:is:x"}, "filter.0"),
        ({"filter": "duration_ms:gt:soon"}, "filters.0.values"),
        ({"from": "soon"}, "time.from"),
        ({"by": "modle"}, "dimensions.0"),
        ({"granularity": "often"}, "granularity"),
        ({"limit": "0"}, "limit"),
        ({"cursor": "!"}, "cursor"),
        ({"cursor": "WzEsMl0"}, "cursor"),
        ({"cursor": "WzEsMiwiMyJd"}, "cursor"),
        ({"compare": "yesterday"}, "compare"),
    ],
)
async def test_mistakes(acme: httpx.AsyncClient, params: dict[str, str], field: str) -> None:
    answer = await acme.get("/v1/analytics/costs", params=params)
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"] == field


async def test_models_without_a_price(acme: httpx.AsyncClient, events: list[Event]) -> None:
    body = (await acme.get("/v1/prices/unpriced", params=WIDE)).json()
    assert {row[0] for row in body["rows"]} == {"llama"}
    assert sum(row[2] for row in body["rows"]) == NAIVE["unpriced_requests"](events)
