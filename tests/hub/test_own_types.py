"""Event types of a tenant's own in a whole hub: made, sent, counted, found again."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.hub.running import Opened, an_event, opened, settings_of

CART = {
    "type": "object",
    "description": "A cart that was left behind.",
    "properties": {"items": {"type": "integer", "minimum": 1}, "coupon": {"type": "string"}},
    "required": ["items"],
}
DAY = {"from": "now-1d", "to": "now+1d"}


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Opened]:
    async with opened(settings_of(tmp_path)) as hub:
        yield hub


async def test_from_the_schema_to_the_answer(hub: Opened) -> None:
    client = hub.client
    made = await client.put("/v1/schemas/shop.cart_left", json=CART)
    assert (made.status_code, made.json()["version"], made.json()["own"]) == (201, "1.0", True)
    assert (await client.put("/v1/schemas/shop.cart_left", json=CART)).status_code == 200
    event_id = "5ec2e75e-c2e7-4ec2-8ec2-e75ec2e75ec2"
    good = an_event(type="shop.cart_left", id=event_id, data={"items": 3, "coupon": "x", "duration_ms": 5.5})
    told = await hub.send(good, an_event(type="shop.cart_left", data={"items": 0}), an_event())
    assert (told["accepted"], told["errors"][0]["field"]) == (2, "data.items")
    await hub.count(2)
    question = {"measures": ["events"], "dimensions": ["type"], "time": DAY}
    rows = (await client.post("/v1/query", json=question)).json()["rows"]
    assert sorted(rows) == [["llm.request", 1], ["shop.cart_left", 1]]
    only = [{"field": "type", "op": "in", "values": ["shop.cart_left"]}]
    rows = (await client.post("/v1/query", json={**question, "dimensions": [], "filters": only})).json()["rows"]
    assert rows == [[1]]
    event = (await client.get(f"/v1/events/{event_id}")).json()
    assert (event["schema_version"], event["data"]) == ("1.0", {"items": 3, "coupon": "x", "duration_ms": 5.5})

    assert (await client.put("/v1/schemas/shop.cart_left", json={**CART, "required": ["coupon"]})).status_code == 409
    newer = {**CART, "properties": {**CART["properties"], "lost_usd": {"type": "number"}}}  # type: ignore[dict-item]
    assert (await client.put("/v1/schemas/shop.cart_left", json=newer)).json()["versions"] == ["1.0", "1.1"]
    listed = (await client.get("/v1/schemas")).json()["schemas"]
    assert listed[-1]["type"] == "shop.cart_left"
    assert all("versions" in one for one in listed)
    old = (await client.get("/v1/schemas/shop.cart_left?version=1.0")).json()
    new = (await client.get("/v1/schemas/shop.cart_left")).json()
    assert (set(new["properties"]["data"]["properties"]) - set(old["properties"]["data"]["properties"])) == {"lost_usd"}
    assert new["properties"]["type"] == {"const": "shop.cart_left", "description": "Event type."}
    assert (await client.get("/v1/schemas/shop.cart_left?version=7.0")).status_code == 404
    assert (await client.get("/v1/schemas/llm.request?version=7.0")).status_code == 404

    assert (await client.delete("/v1/schemas/shop.cart_left")).status_code == 204
    assert (await hub.send(good))["rejected"] == 1
    assert (await client.delete("/v1/schemas/llm.request")).status_code == 404
