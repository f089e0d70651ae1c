"""``/v1/users``: the people of a tenant, and how they sign in."""

from typing import Any

import httpx
import pytest

from access.service import Access
from core.errors import Unauthenticated

Client = httpx.AsyncClient


async def made(client: Client, email: str = "eve@example.com", role: str = "viewer") -> dict[str, Any]:
    answer = await client.post("/v1/users", json={"email": email, "name": "Eve", "role": role})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_user_is_made_changed_and_deleted(admin: Client) -> None:
    user = await made(admin, "Eve@Example.com")
    assert user["email"] == "eve@example.com"
    path = f"/v1/users/{user['id']}"
    assert (await admin.patch(path, json={"role": "developer", "name": "E"})).json()["role"] == "developer"
    assert (await admin.get(path)).json()["name"] == "E"
    assert len((await admin.get("/v1/users")).json()["users"]) == 1
    assert (await admin.delete(path)).status_code == 204
    assert (await admin.get(path)).status_code == 404
    assert (await admin.delete(path)).status_code == 404


async def test_an_address_is_taken_once_in_a_tenant(admin: Client, other: Client) -> None:
    await made(admin)
    assert (await admin.post("/v1/users", json={"email": "EVE@example.com"})).status_code == 409
    await made(other)


@pytest.mark.parametrize("body", [{}, {"email": "eve"}, {"email": "a b@c"}, {"email": "e@x", "role": "root"}])
async def test_wrong_users_are_refused(admin: Client, body: dict[str, Any]) -> None:
    assert (await admin.post("/v1/users", json=body)).status_code == 422


async def test_two_tenants_never_see_each_other(admin: Client, other: Client) -> None:
    path = f"/v1/users/{(await made(admin))['id']}"
    assert (await other.get("/v1/users")).json() == {"users": []}
    answers = [
        await other.get(path),
        await other.patch(path, json={"name": "x"}),
        await other.delete(path),
        await other.post(f"{path}/sign-in-link"),
    ]
    assert [answer.status_code for answer in answers] == [404] * 4


async def test_a_link_signs_in_once_and_disabling_signs_out(admin: Client, access: Access) -> None:
    user = await made(admin)
    link = await admin.post(f"/v1/users/{user['id']}/sign-in-link")
    assert link.status_code == 201
    token = link.json()["path"].removeprefix("/sign-in?token=")
    cookie = await access.sessions.exchange(token)
    principal = await access.authenticate_session(cookie)
    assert (principal.tenant, principal.key_id, principal.scopes) == ("a", f"user:{user['id']}", {"query"})
    with pytest.raises(Unauthenticated):
        await access.sessions.exchange(token)
    await admin.patch(f"/v1/users/{user['id']}", json={"disabled": True})
    with pytest.raises(Unauthenticated):
        await access.authenticate_session(cookie)
    assert (await admin.post(f"/v1/users/{user['id']}/sign-in-link")).status_code == 409
    await admin.patch(f"/v1/users/{user['id']}", json={"disabled": False})
    assert (await access.authenticate_session(cookie)).role == "viewer"


async def test_a_narrow_key_makes_no_wide_user(client_for: Any, admin: Client) -> None:
    narrow = await client_for("a", "admin", "admin", "query")
    user = await made(narrow)
    path = f"/v1/users/{user['id']}"
    assert (await narrow.patch(path, json={"role": "developer"})).status_code == 403
    assert (await narrow.post("/v1/users", json={"email": "x@y", "role": "admin"})).status_code == 403
    await admin.patch(path, json={"role": "admin"})
    assert (await narrow.post(f"{path}/sign-in-link")).status_code == 403
    assert (await narrow.delete(path)).status_code == 403
