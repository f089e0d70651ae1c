"""The chain: whole as long as nobody touches it, and broken at the very entry that somebody did."""

import asyncio

import pytest
from sqlalchemy import text

from access.audit import Actor, Verdict
from access.service import Access
from storage.metadata.database import Metadata

ACTOR = Actor("someone", "192.0.2.1")


@pytest.fixture
async def chain(access: Access) -> Access:
    for number in range(5):
        await access.audit.record("t", ACTOR, "thing.do", f"thing/{number}", {"n": number, "text": "ü"})
    return access


async def test_an_untouched_chain_is_whole(chain: Access) -> None:
    assert await chain.audit.verify("t") == Verdict(ok=True, entries=5)
    assert (await chain.audit.verify("nobody")).ok
    assert [entry.number for entry in await chain.audit.list("t", limit=2)] == [5, 4]
    assert [entry.number for entry in await chain.audit.list("t", before=3)] == [2, 1]


@pytest.mark.parametrize(
    ("statement", "broken_at"),
    [
        ("UPDATE audit_log SET actor = 'another' WHERE tenant = 't' AND number = 2", 2),
        ("UPDATE audit_log SET detail = '{\"n\": 9}' WHERE tenant = 't' AND number = 3", 3),
        ("UPDATE audit_log SET time = '2020-01-01 00:00:00.000000' WHERE tenant = 't' AND number = 1", 1),
        ("UPDATE audit_log SET ip = NULL WHERE tenant = 't' AND number = 5", 5),
        ("UPDATE audit_log SET tenant = 'u' WHERE tenant = 't' AND number = 4", 4),
        ("DELETE FROM audit_log WHERE tenant = 't' AND number = 1", 1),
        ("DELETE FROM audit_log WHERE tenant = 't' AND number = 3", 3),
        ("DELETE FROM audit_log WHERE tenant = 't' AND number = 5", 5),
        ("DELETE FROM audit_log WHERE tenant = 't'", 1),
        ("DELETE FROM audit_heads WHERE tenant = 't'", 6),
        ("UPDATE audit_log SET number = number + 10 WHERE tenant = 't' AND number = 5", 5),
        ("UPDATE audit_log SET hash = (SELECT hash FROM audit_heads WHERE tenant = 't') WHERE number = 2", 2),
    ],
)
async def test_tampering_shows(chain: Access, metadata: Metadata, statement: str, broken_at: int) -> None:
    async with metadata.session() as session:
        await session.execute(text(statement.replace(":", "\\:")))
    verdict = await chain.audit.verify("t")
    assert (verdict.ok, verdict.broken_at) == (False, broken_at)


async def test_entries_written_at_once_make_one_chain(access: Access) -> None:
    await asyncio.gather(*(access.audit.record("t", ACTOR, "a", "r") for _ in range(10)))
    assert await access.audit.verify("t") == Verdict(ok=True, entries=10)


async def test_a_chain_longer_than_a_page(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("access.audit._PAGE", 3)
    for _ in range(7):
        await access.audit.record("t", ACTOR, "a", "r")
    assert await access.audit.verify("t") == Verdict(ok=True, entries=7)
