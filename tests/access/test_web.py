"""The dependency: every form of header, cookies, forged requests, rate limits."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from access.audit import SYSTEM
from access.keys import NewKey
from access.principal import ROLE_SCOPES, Principal, RateLimit, Role, Scope
from access.service import Access
from access.sessions import SignIn
from access.web import SESSION_COOKIE, actor_of, clear_session_cookie, require, set_session_cookie
from core.clock import ManualClock
from core.errors import HubError

CSRF = {"X-Requested-With": "llm-hub"}


@pytest.fixture
def app(access: Access) -> FastAPI:
    small = FastAPI()
    small.state.access = access
    for scope in Scope:
        _route(small, f"/{scope}", require(scope))
    for role in Role:
        _route(small, f"/role/{role}", require(role=role))

    @small.exception_handler(HubError)
    async def refused(_: Request, error: HubError) -> Response:
        return JSONResponse({"detail": error.detail}, error.status, dict(error.headers))

    return small


def _route(app: FastAPI, path: str, dependency: Any) -> None:
    @app.get(path)
    @app.post(path)
    async def show(request: Request, caller: Annotated[Principal, Depends(dependency)]) -> dict[str, Any]:
        assert request.state.principal is caller
        return {"tenant": caller.tenant, "key": caller.key_id, "actor": actor_of(request, caller).id}


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hub") as opened:
        yield opened


async def key(access: Access, role: Role, *scopes: Scope, limit: RateLimit | None = None) -> str:
    new = NewKey("default", role, frozenset(scopes or ROLE_SCOPES[role]), rate_limit=limit or RateLimit())
    return (await access.keys.create(new, SYSTEM)).secret


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER   {}", "Bearer {} "])
async def test_good_headers(client: httpx.AsyncClient, admin_secret: str, form: str) -> None:
    answer = await client.get("/query", headers={"Authorization": form.format(admin_secret)})
    assert answer.status_code == 200
    assert answer.json()["key"] == answer.json()["actor"]
    assert (await client.get("/query", headers={"X-API-Key": admin_secret})).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", "")],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer ")],
        [("Authorization", "Basic bGg6eA==")],
        [("Authorization", "Token {}")],
        [("Authorization", "{}")],
        [("Authorization", "Bearer{}")],
        [("Authorization", "Bearer {}x")],
        [("Authorization", "Bearer {}, Bearer {}")],
        [("Authorization", "Bearer \u00fc{}")],
        [("Authorization", "Bearer lh_0_0")],
        [("Authorization", "Bearer {}"), ("Authorization", "Bearer {}")],
        [("Authorization", "Bearer {}"), ("X-API-Key", "{}")],
        [("X-API-Key", "")],
        [("X-API-Key", "Bearer {}")],
        [("X-API-Key", "{}"), ("X-API-Key", "{}")],
        [("Cookie", f"{SESSION_COOKIE}=x")],
        [("Cookie", f"{SESSION_COOKIE}=a.b")],
        [("Cookie", f"{SESSION_COOKIE}={{}}")],
    ],
)
async def test_wrong_headers_are_401(
    client: httpx.AsyncClient, admin_secret: str, headers: list[tuple[str, str]]
) -> None:
    sent = [(name.encode(), value.format(admin_secret, admin_secret).encode("latin-1")) for name, value in headers]
    answer = await client.get("/query", headers=sent)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"]
    assert admin_secret not in answer.text


_HEADER = st.binary(max_size=200).filter(lambda value: not set(value) & {0, 10, 13})


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=_HEADER, prefix=st.sampled_from([b"", b"Bearer ", b"bearer lh_", b"Bearer lh_0123456789abcdef_"]))
async def test_no_header_ever_breaks_it(client: httpx.AsyncClient, value: bytes, prefix: bytes) -> None:
    for name in (b"authorization", b"x-api-key", b"cookie"):
        content = prefix + value if name != b"cookie" else SESSION_COOKIE.encode() + b"=" + value
        assert (await client.get("/query", headers=[(name, content)])).status_code == 401


@pytest.mark.parametrize("role", list(Role))
async def test_the_role_matrix(client: httpx.AsyncClient, access: Access, role: Role) -> None:
    headers = {"X-API-Key": await key(access, role)}
    for scope in Scope:
        expected = 200 if scope in ROLE_SCOPES[role] else 403
        assert (await client.get(f"/{scope}", headers=headers)).status_code == expected
    for least in Role:
        expected = 200 if role.reaches(least) else 403
        assert (await client.get(f"/role/{least}", headers=headers)).status_code == expected


@pytest.mark.parametrize("scope", list(Scope))
async def test_a_scope_reaches_nothing_else(client: httpx.AsyncClient, access: Access, scope: Scope) -> None:
    headers = {"X-API-Key": await key(access, Role.ADMIN, scope)}
    answers = {other: (await client.get(f"/{other}", headers=headers)).status_code for other in Scope}
    assert answers == {other: 200 if other == scope else 403 for other in Scope}


async def test_over_the_limit_is_429_until_the_time_is_up(
    client: httpx.AsyncClient, access: Access, clock: ManualClock
) -> None:
    headers = {"X-API-Key": await key(access, Role.VIEWER, limit=RateLimit(requests_per_second=2))}
    answers = [await client.get("/query", headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["retry-after"] == "1"
    clock.advance(1)
    assert (await client.get("/query", headers=headers)).status_code == 200


async def test_a_session_cookie_reads_but_writes_only_from_the_own_pages(
    client: httpx.AsyncClient, access: Access, admin_secret: str
) -> None:
    caller = await access.authenticate(admin_secret)
    client.cookies.set(SESSION_COOKIE, access.sessions.open(SignIn(caller.tenant, caller.key_id)))
    assert (await client.get("/query")).status_code == 200
    assert (await client.post("/query")).status_code == 403
    assert (await client.post("/query", headers=CSRF)).status_code == 200
    assert (await client.post("/query", headers={**CSRF, "Sec-Fetch-Site": "same-origin"})).status_code == 200
    for site in ("cross-site", "same-site"):
        assert (await client.post("/query", headers={**CSRF, "Sec-Fetch-Site": site})).status_code == 403
    await access.keys.revoke(caller.key_id, SYSTEM)
    assert (await client.get("/query")).status_code == 401


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(access: Access, tmp_path: Path) -> None:
    response = Response()
    set_session_cookie(response, "value", access)
    cookie = response.headers["set-cookie"].lower()
    assert all(part in cookie for part in ("httponly", "samesite=strict", "path=/", "max-age=43200"))
    gone = Response()
    clear_session_cookie(gone)
    assert "max-age=0" in gone.headers["set-cookie"].lower()


def test_the_documentation_names_the_key(app: FastAPI) -> None:
    document = app.openapi()
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert document["paths"]["/query"]["get"]["security"] == [{"key": []}]


def test_a_scope_that_is_none_is_a_mistake_at_once() -> None:
    with pytest.raises(ValueError, match="everything"):
        require("everything")
