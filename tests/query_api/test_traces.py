"""Traces and events over HTTP."""

from collections import defaultdict
from uuid import UUID

import httpx
import pyarrow as pa
import pytest

from storage.warehouse.client import Warehouse
from tests.semantic.rows import NOW, Event

WIDE = {"from": "now-4d", "limit": "1000"}


def by_trace(events: list[Event]) -> dict[str, list[Event]]:
    traces: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if "trace_id" in event:
            traces[event["trace_id"].hex()].append(event)
    return traces


async def test_search_finds_every_trace(acme: httpx.AsyncClient, events: list[Event]) -> None:
    body = (await acme.get("/v1/traces", params=WIDE)).json()
    wanted = by_trace(events)
    found = {trace["trace_id"]: trace for trace in body["traces"]}
    assert sorted(found) == sorted(wanted)
    for trace_id, trace in found.items():
        rows = wanted[trace_id]
        assert trace["spans"] == len(rows)
        assert trace["errors"] == sum(row.get("status") == "error" for row in rows)
        costs = [float(row["cost_usd"]) for row in rows if "cost_usd" in row]
        assert trace["cost_usd"] == (pytest.approx(sum(costs)) if costs else None)
    starts = [trace["start"] for trace in body["traces"]]
    assert starts == sorted(starts, reverse=True)


@pytest.mark.parametrize("order", ["start:asc", "duration_ms:desc", "spans:asc", "total_tokens:desc", "cost_usd:desc"])
async def test_pages_in_any_order(acme: httpx.AsyncClient, events: list[Event], order: str) -> None:
    params = WIDE | {"limit": "60", "order": order}
    found: list[str] = []
    while True:
        body = (await acme.get("/v1/traces", params=params)).json()
        found += [trace["trace_id"] for trace in body["traces"]]
        if body["cursor"] is None:
            break
        params["cursor"] = body["cursor"]
    assert sorted(found) == sorted(by_trace(events))


async def test_search_by_filters(acme: httpx.AsyncClient, events: list[Event]) -> None:
    params = WIDE | {"filter": "model:eq:gpt-4o", "errors": "true", "min_duration_ms": "1"}
    body = (await acme.get("/v1/traces", params=params)).json()
    wanted = {
        key
        for key, rows in by_trace(events).items()
        if any(row.get("model") == "gpt-4o" for row in rows) and any(row.get("status") == "error" for row in rows)
    }
    assert {trace["trace_id"] for trace in body["traces"]} <= wanted
    assert body["traces"]


async def test_one_trace(acme: httpx.AsyncClient, events: list[Event]) -> None:
    trace_id, rows = next(iter(by_trace(events).items()))
    body = (await acme.get(f"/v1/traces/{trace_id}")).json()
    assert body["trace_id"] == trace_id
    spans, waiting = [], list(body["spans"])
    while waiting:
        spans.append(waiting.pop())
        waiting += spans[-1]["children"]
    assert sorted(span["id"] for span in spans) == sorted(str(UUID(bytes=row["id"])) for row in rows)
    assert set(spans[0]) == {
        *("span_id", "parent_span_id", "id", "name", "type", "start", "duration_ms", "status", "cost_usd", "data"),
        "children",
    }


async def test_no_such_trace(acme: httpx.AsyncClient) -> None:
    assert (await acme.get(f"/v1/traces/{'f' * 32}")).status_code == 404
    assert (await acme.get(f"/v1/traces/{'0' * 32}")).status_code == 404
    assert (await acme.get("/v1/traces/xyz")).status_code == 422
    assert (await acme.get("/v1/traces", params={"order": "fun"})).status_code == 422


async def test_one_event(acme: httpx.AsyncClient, events: list[Event]) -> None:
    event = next(event for event in events if event["type"] == "evaluation.score" and "score" in event)
    body = (await acme.get(f"/v1/events/{UUID(bytes=event['id'])}")).json()
    assert (body["type"], body["source"]) == (event["type"], event["source"])
    assert body["data"]["evaluator"] == event["name"]
    assert body["data"]["judge_model"] in ("judge-a", "judge-b")
    assert body["data"]["score"] == event["score"]
    assert body["attributes"] == event["attributes"]


async def test_no_such_event(acme: httpx.AsyncClient) -> None:
    assert (await acme.get("/v1/events/0192f0c1-0000-7000-8000-000000000000")).status_code == 404
    assert (await acme.get("/v1/events/17")).status_code == 422


async def test_contents_come_with_the_event(acme: httpx.AsyncClient, events: list[Event], warehouse: Warehouse) -> None:
    row = {
        "tenant": ["acme"],
        "time": pa.array([NOW], pa.timestamp("us", tz="UTC")),
        "body": ['{"comment": "well done"}'],
    }
    warehouse.insert("payloads", pa.table({**row, "id": pa.array([events[0]["id"]], pa.binary(16))}))
    body = (await acme.get(f"/v1/events/{UUID(bytes=events[0]['id'])}")).json()
    assert body["data"]["comment"] == "well done"
