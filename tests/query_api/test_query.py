"""``POST /v1/query`` and its catalogue."""

import httpx
import pytest

from core.clock import ManualClock
from storage.warehouse.client import Warehouse
from storage.warehouse.failures import failure
from storage.warehouse.patience import Breaker
from tests.semantic.naive import NAIVE
from tests.semantic.rows import NOW, Event

QUESTION = {
    "measures": ["requests", "error_rate", "latency_p95", "cost_usd"],
    "dimensions": ["model"],
    "granularity": "1m",
    "time": {"from": "now-1h", "to": "now"},
    "filters": [{"field": "environment", "op": "in", "values": ["production"]}],
    "order": [{"field": "cost_usd", "direction": "desc"}],
    "limit": 100,
    "compare": "previous_period",
}


async def test_the_question_of_the_contract(acme: httpx.AsyncClient) -> None:
    answer = await acme.post("/v1/query", json=QUESTION)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert [column["name"] for column in body["columns"]][:4] == ["time", "model", "requests", "error_rate"]
    assert body["columns"][0]["type"] == "time"
    assert {"elapsed_ms", "rows_read", "source", "watermark"} <= set(body["meta"])
    assert len({row[0] for row in body["rows"]}) == 61


async def test_answers_are_right(acme: httpx.AsyncClient, events: list[Event]) -> None:
    answer = await acme.post("/v1/query", json={"measures": ["events", "total_tokens"], "time": {"from": "now-4d"}})
    assert answer.json()["rows"] == [[len(events), NAIVE["total_tokens"](events)]]


async def test_a_warehouse_that_does_not_answer_is_told_with_when_to_come_again(
    acme: httpx.AsyncClient, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaker = Breaker(ManualClock(NOW), failures=1, seconds=7)

    def gone(*_: object, **__: object) -> None:
        with breaker.call():
            raise failure(ConnectionError("refused"), "query")

    monkeypatch.setattr(warehouse, "query", gone)
    for number, wait in ((1, "1"), (2, "7")):
        answer = await acme.post("/v1/query", json={"measures": ["events"], "time": {"from": f"now-{number}d"}})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, wait)
        assert answer.headers["content-type"] == "application/problem+json"
        assert "refused" not in answer.text


async def test_catalogue(acme: httpx.AsyncClient) -> None:
    body = (await acme.get("/v1/query/catalog")).json()
    assert {"name": "cost_usd", "type": "number", "unit": "USD"}.items() <= next(
        item for item in body["measures"] if item["name"] == "cost_usd"
    ).items()
    assert all(item["description"] for item in body["measures"] + body["dimensions"])


@pytest.mark.parametrize(
    ("change", "field", "nearest"),
    [
        ({"measures": ["latency_95"]}, "measures.0", "latency_p95"),
        ({"dimensions": ["modle"]}, "dimensions.0", "model"),
        ({"filters": [{"field": "enviroment", "op": "in", "values": ["x"]}]}, "filters.0.field", "environment"),
        ({"order": [{"field": "cost"}]}, "order.0.field", "cost_usd"),
        ({"mesures": []}, "mesures", "measures"),
    ],
)
async def test_wrong_names(acme: httpx.AsyncClient, change: dict[str, object], field: str, nearest: str) -> None:
    answer = await acme.post("/v1/query", json=QUESTION | change)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["field"], answer.json()["nearest"]) == (field, nearest)


@pytest.mark.parametrize(
    "change",
    [
        {"measures": []},
        {"measures": "requests"},
        {"granularity": "1x"},
        {"granularity": "1s", "time": {"from": "now-30d"}},
        {"time": {"from": "now", "to": "now-1h"}},
        {"time": {"from": "yesterday"}},
        {"time": {"from": "now-20y"}},
        {"time_zone": "Mars/Olympus"},
        {"filters": [{"field": "duration_ms", "op": "gt", "values": ["fast"]}]},
        {"filters": [{"field": "model", "op": "regex", "values": ["("]}]},
        {"filters": [{"field": "trace_id", "op": "eq", "values": ["xyz"]}]},
        {"filters": [{"field": "duration_ms", "op": "contains", "values": ["1"]}]},
        {"dimensions": ["duration_ms"]},
        {"dimensions": ["input_messages"]},
        {"limit": 0},
        {"currency": "EUR"},
        {"compare": "last_year"},
    ],
)
async def test_wrong_values(acme: httpx.AsyncClient, change: dict[str, object]) -> None:
    answer = await acme.post("/v1/query", json=QUESTION | change)
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"] is not None
