"""``/v1/tenants``: who may make and change which tenant."""

from typing import Any

import httpx
import pytest

from access.service import Access

Client = httpx.AsyncClient


async def test_a_tenant_is_made_read_changed_and_deleted(hub: Client, access: Access) -> None:
    made = await hub.post("/v1/tenants", json={"id": "acme", "name": "Acme"})
    assert made.status_code == 201
    assert made.json()["settings"]["retention_days"]["events"] == 90
    changes = {"settings": {"retention_days": {"events": 7}, "currency": {"code": "EUR", "per_usd": "0.9"}}}
    assert (await hub.patch("/v1/tenants/acme", json=changes)).status_code == 200
    await hub.patch("/v1/tenants/acme", json={"name": "ACME", "settings": {"content_capture": False}})
    found = (await hub.get("/v1/tenants/acme")).json()
    assert found["name"] == "ACME"
    assert found["settings"]["retention_days"] == {**made.json()["settings"]["retention_days"], "events": 7}
    assert access.settings("acme").content_capture is False
    assert access.settings("acme").currency.code == "EUR"
    assert (await hub.delete("/v1/tenants/acme")).status_code == 204
    assert (await hub.get("/v1/tenants/acme")).status_code == 404
    assert access.settings("acme").content_capture is True


@pytest.mark.parametrize("body", [{"id": "a"}, {"id": "default"}])
async def test_a_taken_id_is_a_conflict(hub: Client, body: dict[str, Any]) -> None:
    assert (await hub.post("/v1/tenants", json=body)).status_code == 409


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"id": ""},
        {"id": "a b"},
        {"id": "../x"},
        {"id": "x" * 65},
        {"id": "x\n"},
        {"id": "x", "plan": "gold"},
        {"id": "x", "settings": {"retention": 3}},
        {"id": "x", "settings": {"retention_days": {"events": 0}}},
        {"id": "x", "settings": {"retention_days": {"rollups": 801}}},
        {"id": "x", "settings": {"retention_days": {"traces": 9}}},
        {"id": "x", "settings": {"timezone": "Mars/Olympus"}},
        {"id": "x", "settings": {"timezone": "../../etc/passwd"}},
        {"id": "x", "settings": {"currency": {"code": "euro"}}},
        {"id": "x", "settings": {"redaction": {"patterns": [{"name": "n", "pattern": "("}]}}},
        {"id": "x", "settings": {"redaction": {"patterns": [{"name": "n", "pattern": "(?=x)"}]}}},
        {"id": "x", "settings": {"redaction": {"patterns": [{"name": "n", "pattern": "x*"}]}}},
        {"id": "x", "settings": {"redaction": {"mode": "some"}}},
    ],
)
async def test_wrong_tenants_are_refused(hub: Client, body: dict[str, Any]) -> None:
    answer = await hub.post("/v1/tenants", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"]


async def test_good_settings_are_taken(hub: Client) -> None:
    settings = {
        "timezone": "Europe/Berlin",
        "redaction": {"mode": "all", "kinds": ["ip"], "patterns": [{"name": "order", "pattern": r"ORD-\d+"}]},
    }
    made = await hub.post("/v1/tenants", json={"id": "x", "settings": settings})
    assert made.status_code == 201, made.text
    assert made.json()["settings"]["redaction"] == settings["redaction"]


async def test_an_admin_reaches_the_own_tenant_only(admin: Client) -> None:
    assert [tenant["id"] for tenant in (await admin.get("/v1/tenants")).json()["tenants"]] == ["a"]
    assert (await admin.patch("/v1/tenants/a", json={"name": "Ours"})).json()["name"] == "Ours"
    for tenant in ("b", "nobody"):
        assert (await admin.get(f"/v1/tenants/{tenant}")).status_code == 403
        assert (await admin.patch(f"/v1/tenants/{tenant}", json={})).status_code == 403
        assert (await admin.delete(f"/v1/tenants/{tenant}")).status_code == 403
    assert (await admin.delete("/v1/tenants/a")).status_code == 403
    assert (await admin.post("/v1/tenants", json={"id": "new"})).status_code == 403


async def test_a_hub_key_sees_all_and_deletes_neither_its_own_nor_the_default(hub: Client, client_for: Any) -> None:
    assert [tenant["id"] for tenant in (await hub.get("/v1/tenants")).json()["tenants"]] == ["a", "b", "default"]
    assert (await hub.delete("/v1/tenants/default")).status_code == 409
    elsewhere = await client_for("a", "admin", "hub")
    assert (await elsewhere.delete("/v1/tenants/default")).status_code == 409
    assert (await elsewhere.delete("/v1/tenants/nobody")).status_code == 404
    assert (await elsewhere.patch("/v1/tenants/nobody", json={"settings": {}})).status_code == 404


async def test_the_id_of_a_deleted_tenant_is_free_once_all_is_erased(hub: Client, access: Access) -> None:
    assert (await hub.delete("/v1/tenants/b")).status_code == 204
    refused = await hub.post("/v1/tenants", json={"id": "b"})
    assert (refused.status_code, refused.json()["field"]) == (409, "id")
    assert "was deleted at 2026-11-20 12:00 UTC and its data is still being erased" in refused.json()["detail"]
    assert (await hub.delete("/v1/tenants/b")).status_code == 404
    await access.erasures.close("b")
    assert (await hub.post("/v1/tenants", json={"id": "b"})).status_code == 201


async def test_the_keys_of_a_deleted_tenant_end_at_once(hub: Client, other: Client) -> None:
    assert (await other.get("/v1/keys")).status_code == 200
    assert (await hub.delete("/v1/tenants/b")).status_code == 204
    assert (await other.get("/v1/keys")).status_code == 401
