"""Events of types that a tenant has made: checked by its schema at every door, kept like all others."""

import json
from typing import Any

import httpx
import orjson
import pyarrow as pa
import pytest

from core.clock import ManualClock
from core.metrics import Metrics
from ingest.batch import Decoded
from ingest.decode.arrow import decode_arrow
from ingest.decode.json import decode_json
from ingest.decode.ndjson import decode_ndjson
from ingest.intake import Intake
from ingest.limits import Limits
from schemas.custom import compiled
from tests.ingest.fakes import FakeLog, reverse, sample

CART = {
    "type": "object",
    "properties": {"items": {"type": "integer", "minimum": 1}, "coupon": {"type": "string"}, "note": {}},
    "required": ["items"],
}
OWN = compiled("shop.cart", {(1, 0): CART, (2, 0): {**CART, "required": ["items", "coupon"]}})


@pytest.fixture
async def intake(log: FakeLog, clock: ManualClock, metrics: Metrics, limits: Any) -> Any:
    types = {"acme": {"shop.cart": OWN}}
    intake = Intake(log, clock, metrics, reverse, limits=limits, types=lambda tenant: types.get(tenant, {}))
    yield intake
    await intake.stop()


def cart(**changes: Any) -> dict[str, Any]:
    event = sample(type="shop.cart", id=None, **changes)
    event["data"] = changes.get("data", {"items": 2, "coupon": "c"})
    return event


ROWS = [
    cart(),
    cart(data={"items": 0, "coupon": "c"}),
    cart(data={"items": 1}),
    cart(data={"items": 1}, schema_version="1.0"),
    cart(data={"items": 1, "coupon": "c", "more": {"a": 1}}, schema_version="2.7"),
    cart(schema_version="3.0"),
    sample(),
]
WRONG = [(1, "data.items"), (2, "data.coupon"), (5, "schema_version")]


async def test_rows_are_checked_and_kept(client: httpx.AsyncClient, log: FakeLog) -> None:
    answer = (await client.post("/v1/events", json=ROWS)).json()
    assert (answer["accepted"], answer["rejected"]) == (4, 3)
    assert [(error["index"], error["field"]) for error in answer["errors"]] == WRONG
    assert "known are 1.x, 2.x" in answer["errors"][2]["reason"]
    kept = [row for row in log.events() if row["type"] == "shop.cart"]
    assert [row["schema_version"] for row in kept] == ["2.0", "1.0", "2.7"]
    assert json.loads(kept[2]["data"]) == {"coupon": "c", "items": 1, "more": {"a": 1}}


async def test_nobody_else_has_the_type(client: httpx.AsyncClient) -> None:
    answer = (await client.post("/v1/events", json=[cart()], headers={"x-api-key": "lh_other"})).json()
    assert answer["rejected"] == 1
    near = (await client.post("/v1/events", json=[cart() | {"type": "shop.cat"}])).json()
    assert "did you mean 'shop.cart'" in near["errors"][0]["reason"]


async def test_cloudevents(client: httpx.AsyncClient, log: FakeLog) -> None:
    cloud = {"specversion": "1.0", "id": "1", "source": "s", "type": "com.acme.shop.cart"}
    bodies = [{**cloud, "data": {"items": 1, "coupon": "c"}}, {**cloud, "data": {"items": 0, "coupon": "c"}}]
    headers = {"content-type": "application/cloudevents-batch+json"}
    answer = (await client.post("/v1/events", content=orjson.dumps(bodies), headers=headers)).json()
    assert (answer["accepted"], [error["field"] for error in answer["errors"]]) == (1, ["data.items"])
    assert log.events()[0]["type"] == "shop.cart"


@pytest.mark.parametrize("copies", [1, 100])
async def test_every_form_says_the_same(intake: Intake, copies: int) -> None:
    rows = ROWS * copies
    arrival = intake.arrival("acme", "events", "k")
    lines = b"\n".join(map(orjson.dumps, rows))
    columns = {name: [row.get(name) for row in rows] for name in ("type", "source", "time", "schema_version")}
    table = pa.table({**columns, "data": [json.dumps(row["data"]) for row in rows]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    limits = Limits()
    found: list[Decoded] = [
        decode_json(orjson.dumps(rows), arrival, limits),
        decode_ndjson(lines, arrival, limits),
        decode_arrow(sink.getvalue().to_pybytes(), arrival, limits),
    ]
    for decoded in found:
        assert (decoded.table.num_rows, len(decoded.rejected)) == (4 * copies, 3 * copies)
        assert [(row.index, row.field) for row in decoded.rejected[:3]] == WRONG
    first, *others = [sorted(one.table.column("schema_version").to_pylist()) for one in found]
    assert all(other == first for other in others)


async def test_fields_with_a_column_fill_it(client: httpx.AsyncClient, log: FakeLog) -> None:
    data = {"items": 1, "coupon": "c", "duration_ms": 12.5, "status": "error", "feature": "shop", "model": 7}
    assert (await client.post("/v1/events", json=cart(data=data))).json()["accepted"] == 1
    (row,) = log.events()
    assert (row["duration_ms"], row["status"], row["feature"]) == (12.5, "error", "shop")
    assert json.loads(row["data"]) == {"coupon": "c", "items": 1, "model": 7}
