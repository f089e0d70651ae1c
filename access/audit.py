"""The audit log: who did what, in a chain of hashes that shows tampering."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import Clock
from storage.metadata.database import Metadata
from storage.metadata.models import AuditEntry, AuditHead

_START = bytes(32)
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, and from where."""

    id: str
    ip: str | None = None


#: What the hub does by itself, or somebody at its command line.
SYSTEM = Actor("system")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a chain is whole; else the number of the first entry that is wrong or missing."""

    ok: bool
    entries: int
    broken_at: int | None = None


class AuditLog:
    """Appends to, lists and verifies the chain of each tenant.

    Each entry's hash is an HMAC over its fields and the hash before it, under a key that is not in the database:
    who can write the database alone can neither change, insert, remove nor reorder entries unnoticed.

    Parameters
    ----------
    metadata, clock
        Where it is kept, and the time that it is stamped with.
    key
        The HMAC's key.
    """

    def __init__(self, metadata: Metadata, clock: Clock, key: bytes) -> None:
        self._metadata = metadata
        self._clock = clock
        self._key = key

    async def record(
        self,
        tenant: str,
        actor: Actor,
        action: str,
        resource: str,
        detail: Mapping[str, Any] | None = None,
        outcome: str = "success",
    ) -> None:
        """Append one entry in a transaction of its own. ``detail`` must hold no secret."""
        async with self._metadata.session() as session:
            await self.append(session, tenant, actor, action, resource, detail, outcome)

    async def append(
        self,
        session: AsyncSession,
        tenant: str,
        actor: Actor,
        action: str,
        resource: str,
        detail: Mapping[str, Any] | None = None,
        outcome: str = "success",
    ) -> None:
        """Append one entry in the transaction of the change it tells of: both are kept, or neither is."""
        head = await session.get(AuditHead, tenant, with_for_update=True)
        if head is None:
            head = AuditHead(tenant=tenant, number=0, hash=_START)
            session.add(head)
        entry = AuditEntry(
            tenant=tenant,
            number=head.number + 1,
            time=self._clock.now(),
            actor=actor.id,
            action=action,
            resource=resource,
            outcome=outcome,
            ip=actor.ip,
            detail=orjson.loads(orjson.dumps(detail or {}, default=str)),
        )
        entry.hash = self._hash(head.hash, entry)
        head.number, head.hash = entry.number, entry.hash
        session.add(entry)
        await session.flush()

    async def list(self, tenant: str, *, before: int | None = None, limit: int = 100) -> Sequence[AuditEntry]:
        """The newest entries first; ``before`` (an entry's number) asks for the page that follows."""
        question = select(AuditEntry).where(AuditEntry.tenant == tenant)
        if before is not None:
            question = question.where(AuditEntry.number < before)
        async with self._metadata.reading() as session:
            found = await session.scalars(question.order_by(AuditEntry.number.desc()).limit(limit))
            return found.all()

    async def verify(self, tenant: str) -> Verdict:
        """Walk a tenant's whole chain, a page at a time."""
        number, previous = 0, _START
        async with self._metadata.reading() as session:
            head = await session.get(AuditHead, tenant)
            while entries := await _page(session, tenant, number):
                for entry in entries:
                    expected = self._hash(previous, entry)
                    if entry.number != number + 1 or not hmac.compare_digest(expected, entry.hash):
                        return Verdict(ok=False, entries=number, broken_at=number + 1)
                    number, previous = entry.number, entry.hash
        end = (head.number, head.hash) if head is not None else (0, _START)
        whole = end == (number, previous)
        return Verdict(ok=whole, entries=number, broken_at=None if whole else number + 1)

    def _hash(self, previous: bytes, entry: AuditEntry) -> bytes:
        fields = [
            entry.tenant,
            entry.number,
            entry.time,
            entry.actor,
            entry.action,
            entry.resource,
            entry.outcome,
            entry.ip,
            entry.detail,
        ]
        return hmac.digest(self._key, previous + orjson.dumps(fields, option=orjson.OPT_SORT_KEYS), hashlib.sha256)


async def _page(session: AsyncSession, tenant: str, after: int) -> Sequence[AuditEntry]:
    question = select(AuditEntry).where(AuditEntry.tenant == tenant, AuditEntry.number > after)
    return (await session.scalars(question.order_by(AuditEntry.number).limit(_PAGE))).all()
