"""Signing in and out, over the real access."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.audit import SYSTEM
from access.keys import NewKey
from access.principal import Role, Scope
from access.service import Access, AccessConfig
from access.web import SESSION_COOKIE
from core.clock import ManualClock
from dashboard.sign_in import MAX_FORM_BYTES, safe_next
from storage.metadata.database import Metadata
from tests.dashboard.fake_api import FakeHub, build

QUESTION = {"measures": ["requests"], "time": {"from": "now-1h", "to": "now"}}
OWN = {"X-Requested-With": "llm-hub"}


@pytest.fixture
async def access(tmp_path: Path) -> AsyncIterator[Access]:
    metadata = Metadata(f"sqlite:///{tmp_path}/hub.db")
    await metadata.start()
    await metadata.migrate()
    service = Access(metadata, ManualClock(datetime(2026, 11, 20, 12, tzinfo=UTC)), AccessConfig(tmp_path))
    await service.start()
    yield service
    await service.stop()
    await metadata.stop()


@pytest.fixture
def secret(access: Access, tmp_path: Path) -> str:
    return (tmp_path / "admin.key").read_text().strip()


@pytest.fixture
async def browser(hub: FakeHub, access: Access) -> AsyncIterator[httpx.AsyncClient]:
    app = build(hub, services={"access": access})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hub") as asking:
        yield asking


async def test_a_key_becomes_a_cookie_that_scripts_cannot_read(browser: httpx.AsyncClient, secret: str) -> None:
    assert (await browser.post("/v1/query", json=QUESTION)).status_code == 401
    answer = await browser.post("/sign-in", data={"key": f" {secret} ", "next": "/#/traces?range=6h"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/#/traces?range=6h")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert secret not in answer.headers["set-cookie"]
    assert (await browser.post("/v1/query", json=QUESTION, headers=OWN)).status_code == 200


async def test_signing_out_forgets_the_session(browser: httpx.AsyncClient, secret: str) -> None:
    await browser.post("/sign-in", data={"key": secret})
    answer = await browser.post("/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert SESSION_COOKIE not in browser.cookies
    assert (await browser.post("/v1/query", json=QUESTION, headers=OWN)).status_code == 401


@pytest.mark.parametrize("key", ["", "lh_nothing", "<script>alert(1)</script>", "\x00\ud7ff", "lh_" + "a" * 300])
async def test_a_wrong_key_is_told_so_on_the_form(browser: httpx.AsyncClient, key: str) -> None:
    answer = await browser.post("/sign-in", data={"key": key})
    assert answer.status_code == 401
    assert 'role="alert"' in answer.text
    assert "<script>alert" not in answer.text
    assert "set-cookie" not in answer.headers


async def test_a_key_that_may_not_ask_is_refused(browser: httpx.AsyncClient, access: Access) -> None:
    made = await access.keys.create(NewKey("default", Role.DEVELOPER, frozenset({Scope.INGEST})), SYSTEM)
    answer = await browser.post("/sign-in", data={"key": made.secret})
    assert answer.status_code == 403
    assert "scope" in answer.text


async def test_a_link_signs_in_once(browser: httpx.AsyncClient, access: Access, secret: str) -> None:
    principal = await access.authenticate(secret)
    token, _ = await access.sessions.create_link(principal.tenant, principal.key_id)
    first = await browser.get("/sign-in", params={"token": token})
    assert (first.status_code, first.headers["location"], first.headers["cache-control"]) == (303, "/", "no-store")
    assert (await browser.post("/v1/query", json=QUESTION, headers=OWN)).status_code == 200
    second = await browser.get("/sign-in", params={"token": token})
    assert second.status_code == 401
    assert 'role="alert"' in second.text


async def test_the_form_stands_there_without_a_token(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/sign-in", params={"next": '/#/x"><script>'})
    assert answer.status_code == 200
    assert 'name="key"' in answer.text
    assert "<script>" not in answer.text
    assert "default-src 'self'" in answer.headers["content-security-policy"]


async def test_other_sites_can_neither_sign_in_nor_out(browser: httpx.AsyncClient, secret: str) -> None:
    for path in ("/sign-in", "/sign-out"):
        answer = await browser.post(path, data={"key": secret}, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


async def test_a_huge_form_is_refused(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/sign-in", content=b"key=" + b"a" * MAX_FORM_BYTES)
    assert answer.status_code == 413


async def test_a_form_of_many_fields_is_refused(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/sign-in", content="&".join(f"f{at}=1" for at in range(40)))
    assert answer.status_code == 400


@given(st.text())
def test_signing_in_never_leads_to_another_site(url: str) -> None:
    assert safe_next(url).startswith("/")
    assert not safe_next(url).startswith(("//", "/\\"))


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "http://[",
        "/\n/evil",
        "/other",
        "\u2028",
    ],
)
def test_addresses_of_elsewhere_become_the_start(url: str) -> None:
    assert safe_next(url) == "/"
