"""``/v1/keys``: who may make which key, and what becomes of it."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from access.principal import RateLimit
from access.service import Access
from core.clock import ManualClock

Client = httpx.AsyncClient


async def made(client: Client, **body: Any) -> dict[str, Any]:
    answer = await client.post("/v1/keys", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_key_is_made_as_the_contract_says(hub: Client, access: Access) -> None:
    body = {"tenant": "a", "role": "developer", "scopes": ["ingest", "query"], "expires": "2027-01-01T00:00:00+01:00"}
    key = await made(hub, **body)
    principal = await access.authenticate(key["key"])
    assert (principal.tenant, principal.role, principal.scopes) == ("a", "developer", {"ingest", "query"})
    assert key["expires"] == "2026-12-31T23:00:00Z"
    assert key["active"]
    again = await hub.get(f"/v1/keys/{key['id']}")
    assert "key" not in again.json()
    assert key["key"] not in (await hub.get("/v1/keys", params={"tenant": "a"})).text


async def test_left_open_is_the_own_tenant_and_the_scopes_of_the_role(admin: Client) -> None:
    key = await made(admin, role="developer", name="door", expires="90d", events_per_second=100)
    assert (key["tenant"], key["scopes"], key["name"]) == ("a", ["ingest", "query"], "door")
    assert key["expires"] == "2027-02-18T12:00:00Z"
    assert key["events_per_second"] == 100


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"role": "owner"}, 422, "role"),
        ({"scopes": ["write"]}, 422, "scopes.0"),
        ({"scopes": []}, 422, "scopes"),
        ({"role": "viewer", "scopes": ["ingest"]}, 422, "scopes"),
        ({"expires": "soon"}, 422, "expires"),
        ({"expires": "2026-11-20T11:59:59Z"}, 422, "expires"),
        ({"expires": "2026-12-20T11:59:59"}, 422, "expires"),
        ({"expires": "9999-12-31T23:59:59-12:00"}, 422, "expires"),
        ({"expires": "99999w", "events_per_second": 0}, 422, "events_per_second"),
        ({"surprise": 1}, 422, "surprise"),
        ({"name": "a\x00b"}, 422, "name"),
        ({"tenant": "b"}, 403, None),
        ({"tenant": "nobody"}, 403, None),
        ({"role": "admin", "scopes": ["hub"]}, 403, None),
    ],
)
async def test_wrong_bodies_are_refused(admin: Client, body: dict[str, Any], status: int, field: str | None) -> None:
    answer = await admin.post("/v1/keys", json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    if field:
        assert answer.json()["field"] == field


async def test_a_hub_key_is_told_of_a_tenant_that_is_not(hub: Client) -> None:
    answer = await hub.post("/v1/keys", json={"tenant": "nobody", "role": "viewer"})
    assert answer.status_code == 422
    assert answer.json()["field"] == "tenant"


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_viewers_and_developers_manage_nothing(viewer: Client, developer: Client, method: str) -> None:
    for client in (viewer, developer):
        for path in ("/v1/keys", "/v1/tenants", "/v1/users"):
            assert (await client.request(method, path, json={"id": "x"})).status_code == 403
        assert (await client.get("/v1/audit")).status_code == 403
        assert (await client.post("/v1/prices", json={})).status_code == 403


async def test_nobody_grants_more_than_they_have(client_for: Any, clock: ManualClock) -> None:
    ends = clock.now() + timedelta(days=1)
    narrow = await client_for("a", "admin", "admin", rate_limit=RateLimit(10, 100), expires_at=ends)
    assert (await narrow.post("/v1/keys", json={"role": "viewer", "scopes": ["query"]})).status_code == 403
    grant = {"role": "admin", "scopes": ["admin"]}
    assert (await narrow.post("/v1/keys", json={**grant, "expires": "2d"})).status_code == 403
    assert (await narrow.post("/v1/keys", json={**grant, "requests_per_second": 11})).status_code == 403
    key = await made(narrow, **grant, events_per_second=50)
    assert (key["requests_per_second"], key["events_per_second"]) == (10, 50)
    assert key["expires"] == "2026-11-21T12:00:00Z"


async def test_a_key_is_rotated_and_revoked(admin: Client, access: Access) -> None:
    first = await made(admin, role="viewer")
    second = (await admin.post(f"/v1/keys/{first['id']}/rotate")).json()
    third = await admin.post(f"/v1/keys/{second['id']}/rotate", json={"grace_seconds": 60})
    assert third.status_code == 201
    assert (await access.authenticate(second["key"])).role == "viewer"
    assert (await admin.post(f"/v1/keys/{first['id']}/rotate")).status_code == 409
    for _ in range(2):
        assert (await admin.delete(f"/v1/keys/{second['id']}")).status_code == 204
    assert (await admin.get(f"/v1/keys/{second['id']}")).json()["active"] is False
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/rotate")):
        assert (await admin.request(method, f"/v1/keys/nothing{path}")).status_code == 404


async def test_a_lesser_admin_cannot_take_over_a_greater_key(admin: Client, hub: Client) -> None:
    greater = await made(hub, tenant="a", role="admin", scopes=["hub", "admin"])
    assert (await admin.post(f"/v1/keys/{greater['id']}/rotate")).status_code == 403
    assert (await admin.delete(f"/v1/keys/{greater['id']}")).status_code == 403
    denied = [e for e in (await admin.get("/v1/audit")).json()["entries"] if e["outcome"] == "denied"]
    assert [entry["action"] for entry in denied] == ["key.revoke", "key.rotate"]


async def test_two_tenants_never_see_each_other(admin: Client, other: Client, hub: Client) -> None:
    key = await made(admin, role="viewer")
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/rotate")):
        assert (await other.request(method, f"/v1/keys/{key['id']}{path}")).status_code == 404
    assert key["id"] not in (await other.get("/v1/keys")).text
    assert (await other.get("/v1/keys", params={"tenant": "a"})).status_code == 403
    assert key["id"] in (await hub.get("/v1/keys", params={"tenant": "a"})).text
    assert key["id"] in (await admin.get("/v1/keys")).text


async def test_a_revoked_key_is_refused_with_the_next_request(admin: Client) -> None:
    assert (await admin.delete(f"/v1/keys/{admin.headers['X-Test-Key']}")).status_code == 204
    answer = await admin.get("/v1/keys")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
