"""Sign-in links and cookies: once, in time, unaltered."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from access.service import Access
from access.sessions import SignIn
from core.clock import ManualClock
from core.errors import Unauthenticated
from storage.metadata.database import Metadata
from storage.metadata.models import SignInLink


async def test_a_link_opens_one_session_even_when_opened_twice_at_once(access: Access, admin_secret: str) -> None:
    caller = await access.authenticate(admin_secret)
    token, _ = await access.sessions.create_link(caller.tenant, caller.key_id)
    found = await asyncio.gather(*(access.sessions.exchange(token) for _ in range(4)), return_exceptions=True)
    cookies = [cookie for cookie in found if isinstance(cookie, str)]
    assert len(cookies) == 1
    session = await access.authenticate_session(cookies[0])
    assert (session.key_id, session.scopes, session.session) == (caller.key_id, caller.scopes, True)
    assert token not in cookies[0]


async def test_a_link_and_a_session_end(access: Access, admin_secret: str, clock: ManualClock) -> None:
    caller = await access.authenticate(admin_secret)
    late, _ = await access.sessions.create_link(caller.tenant, caller.key_id, timedelta(seconds=10))
    token, _ = await access.sessions.create_link(caller.tenant, caller.key_id)
    clock.advance(10)
    with pytest.raises(Unauthenticated):
        await access.sessions.exchange(late)
    cookie = await access.sessions.exchange(token)
    clock.advance(12 * 3600 - 1)
    await access.authenticate_session(cookie)
    clock.advance(1)
    with pytest.raises(Unauthenticated, match="sign in again"):
        await access.authenticate_session(cookie)


async def test_ended_links_are_cleared_away(access: Access, metadata: Metadata, clock: ManualClock) -> None:
    for _ in range(3):
        await access.sessions.create_link("default", "k")
        clock.advance(3600)
    async with metadata.reading() as session:
        assert (await session.execute(select(func.count()).select_from(SignInLink))).scalar_one() == 1


@pytest.mark.parametrize("subject", ["0123456789abcdef", "user:nobody"])
async def test_a_session_of_nobody_is_refused(access: Access, subject: str) -> None:
    with pytest.raises(Unauthenticated, match="new link"):
        await access.authenticate_session(access.sessions.open(SignIn("default", subject)))


async def test_a_session_never_reaches_another_tenant(access: Access, admin_secret: str) -> None:
    caller = await access.authenticate(admin_secret)
    with pytest.raises(Unauthenticated):
        await access.authenticate_session(access.sessions.open(SignIn("other", caller.key_id)))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=120))
async def test_no_token_and_no_cookie_breaks_it(access: Access, text: str) -> None:
    with pytest.raises(Unauthenticated):
        await access.authenticate_session(text)
    with pytest.raises(Unauthenticated):
        await access.sessions.exchange(text)


async def test_an_altered_cookie_is_refused(access: Access, admin_secret: str) -> None:
    caller = await access.authenticate(admin_secret)
    cookie = access.sessions.open(SignIn(caller.tenant, caller.key_id))
    for place in range(len(cookie)):
        altered = cookie[:place] + ("A" if cookie[place] != "A" else "B") + cookie[place + 1 :]
        with pytest.raises(Unauthenticated):
            access.sessions.read(altered)
