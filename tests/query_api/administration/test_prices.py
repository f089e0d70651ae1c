"""``/v1/prices``: a tenant's own prices, and the table behind them."""

from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from access.service import Access
from core.clock import ManualClock

Client = httpx.AsyncClient
PRICE = {"model": "llama-*", "input_price_usd_per_mtok": "0.1", "output_price_usd_per_mtok": "0.4"}


@dataclass
class Answer:
    model: str
    source: str


class Table:
    version = "9"

    def lookup(self, tenant: str, model: str, provider: str | None = None) -> Answer | None:
        return Answer(model, f"{tenant}/{provider}") if model == "gpt-4o" else None


async def made(client: Client, **more: Any) -> dict[str, Any]:
    answer = await client.post("/v1/prices", json=PRICE | more)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_price_is_set_replaced_and_taken_away(
    admin: Client, viewer: Client, access: Access, clock: ManualClock
) -> None:
    price = await made(admin)
    path = f"/v1/prices/{price['id']}"
    found = access.prices.lookup("a", "any", "Llama-3", clock.now())
    assert found is not None
    assert found.rates()["output_usd_per_mtok"] == 0.4
    assert (await admin.put(path, json=PRICE | {"batch_discount": 0.5})).status_code == 200
    assert (await viewer.get(path)).json()["batch_discount"] == "0.5"
    assert (await viewer.get("/v1/prices")).json()["own"][0]["id"] == price["id"]
    assert (await viewer.delete(path)).status_code == 403
    assert (await admin.delete(path)).status_code == 204
    assert access.prices.current("a") == ()
    for method in ("GET", "DELETE"):
        assert (await admin.request(method, path)).status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"model": ""},
        {"output_price_usd_per_mtok": None},
        {"input_price_usd_per_mtok": None, "output_price_usd_per_mtok": None},
        {"input_price_usd_per_mtok": -1},
        {"input_price_usd_per_mtok": "NaN"},
        {"batch_discount": 1.5},
        {"output_tokens_per_gpu_hour": 5},
        {"gpu_hour_usd": 2, "output_tokens_per_gpu_hour": 5},
        {"valid_from": "2026-11-20"},
        {"valid_from": "0001-01-01T00:00:00+14:00"},
        {"colour": "red"},
    ],
)
async def test_wrong_prices_are_refused(admin: Client, change: dict[str, Any]) -> None:
    assert (await admin.post("/v1/prices", json=PRICE | change)).status_code == 422


async def test_two_tenants_never_see_each_other(admin: Client, other: Client) -> None:
    path = f"/v1/prices/{(await made(admin))['id']}"
    assert (await other.get("/v1/prices")).json() == {"own": [], "table": None}
    answers = [await other.get(path), await other.put(path, json=PRICE), await other.delete(path)]
    assert [answer.status_code for answer in answers] == [404] * 3


async def test_the_table_answers_what_it_has(app: FastAPI, viewer: Client) -> None:
    app.state.price_table = Table()
    assert (await viewer.get("/v1/prices")).json()["table"] == {"version": "9"}
    found = await viewer.get("/v1/prices/lookup", params={"model": "gpt-4o", "provider": "openai"})
    assert found.json()["price"] == {"model": "gpt-4o", "source": "a/openai"}
    assert (await viewer.get("/v1/prices/lookup", params={"model": "new"})).json()["price"] is None
