"""API keys: how a secret looks, how it is kept, and its life from creation to revocation."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from access.audit import Actor, AuditLog
from access.principal import ROLE_SCOPES, Principal, RateLimit, Role, Scope
from core.clock import Clock
from core.errors import Conflict, NotFound, Unprocessable
from storage.metadata.database import Metadata
from storage.metadata.models import ApiKey, Tenant

_SECRET = re.compile(r"lh_([0-9a-f]{16})_[0-9a-f]{64}")


def new_secret() -> tuple[str, str]:
    """A fresh public id and secret, ``lh_<public id>_<256 random bits>``."""
    public_id = secrets.token_hex(8)
    return public_id, f"lh_{public_id}_{secrets.token_hex(32)}"


def public_id_of(secret: str) -> str | None:
    """The public id inside a secret; ``None`` when it has not the form of one.

    Examples
    --------
    >>> public_id_of("lh_0123456789abcdef_" + "0" * 64)
    '0123456789abcdef'
    >>> public_id_of("lh_short") is None
    True
    """
    match = _SECRET.fullmatch(secret)
    return match[1] if match else None


def hash_secret(secret: str) -> bytes:
    """What is stored instead of the secret.

    A slow, salted hash protects what people can guess. Nobody guesses 256 random bits, whatever the hash costs,
    so a plain SHA-256 is as safe and leaves the hot path 1 µs instead of 100 ms.
    """
    return hashlib.sha256(secret.encode()).digest()


def matches(secret: str, stored: bytes) -> bool:
    """Whether the secret is the one that was stored, in constant time."""
    return hmac.compare_digest(hash_secret(secret), stored)


def principal_of(row: ApiKey, *, session: bool = False) -> Principal:
    """The caller that a key stands for; its scopes never reach beyond its role."""
    role = Role(row.role)
    return Principal(
        tenant=row.tenant,
        key_id=row.id,
        role=role,
        scopes=frozenset(map(Scope, row.scopes)) & ROLE_SCOPES[role],
        rate_limit=RateLimit(row.requests_per_second, row.events_per_second),
        expires_at=row.expires_at,
        session=session,
    )


@dataclass(frozen=True, slots=True)
class NewKey:
    """What a key is to be."""

    tenant: str
    role: Role = Role.DEVELOPER
    scopes: frozenset[Scope] = frozenset()
    name: str = ""
    rate_limit: RateLimit = field(default_factory=RateLimit)
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key with its secret, which is shown this once."""

    row: ApiKey
    secret: str = field(repr=False)


class KeyStore:
    """Creates, lists, rotates and revokes keys; every change is in the audit log of the key's tenant.

    Parameters
    ----------
    changed
        Called with a key's id once it is revoked or cut short, so that caches forget it at once.
    """

    def __init__(self, metadata: Metadata, clock: Clock, audit: AuditLog, changed: Callable[[str], None]) -> None:
        self._metadata = metadata
        self._clock = clock
        self._audit = audit
        self._changed = changed

    async def create(self, new: NewKey, actor: Actor, secret: str | None = None) -> IssuedKey:
        """Make a key; ``secret`` only where one exists already (the first key's file).

        Raises
        ------
        Unprocessable
            No such tenant, scopes beyond the role, or an expiry that has passed.
        Conflict
            The secret's key is there already.
        """
        self._check(new)
        public_id = public_id_of(secret) if secret else None
        if secret is None or public_id is None:
            public_id, secret = new_secret()
        async with self._metadata.session() as session:
            if await session.get(Tenant, new.tenant) is None:
                raise Unprocessable(f"There is no tenant {new.tenant!r}.", field="tenant")
            row = self._row(new, public_id, secret, actor)
            if await session.get(ApiKey, public_id) is not None:
                raise Conflict(f"There is a key {public_id} already.")
            session.add(row)
            detail = {"role": row.role, "scopes": row.scopes, "expires_at": row.expires_at}
            await self._audit.append(session, row.tenant, actor, "key.create", f"key/{row.id}", detail)
        return IssuedKey(row, secret)

    async def list(self, tenant: str) -> Sequence[ApiKey]:
        """A tenant's keys, revoked ones too, oldest first."""
        question = select(ApiKey).where(ApiKey.tenant == tenant).order_by(ApiKey.created_at, ApiKey.id)
        async with self._metadata.reading() as session:
            return (await session.scalars(question)).all()

    async def get(self, key_id: str) -> ApiKey:
        """One key by its public id; raises :class:`NotFound`."""
        async with self._metadata.reading() as session:
            return await _get(session, key_id)

    async def rotate(self, key_id: str, actor: Actor, grace: timedelta = timedelta(0)) -> IssuedKey:
        """A new key that may do the same; the old one ends after ``grace``, by default at once."""
        public_id, secret = new_secret()
        now = self._clock.now()
        async with self._metadata.session() as session:
            old = await _get(session, key_id)
            if not is_live(old, now):
                raise Conflict(f"Key {key_id} is revoked or has expired; create a new one.")
            row = self._row(_same_as(old), public_id, secret, actor)
            session.add(row)
            if grace > timedelta(0):
                old.expires_at = min(filter(None, (old.expires_at, now + grace)))
            else:
                old.revoked_at = now
            await self._audit.append(session, old.tenant, actor, "key.rotate", f"key/{old.id}", {"replaced_by": row.id})
        self._changed(key_id)
        return IssuedKey(row, secret)

    async def revoke(self, key_id: str, actor: Actor) -> None:
        """End a key at once. Revoking it again changes nothing."""
        async with self._metadata.session() as session:
            row = await _get(session, key_id)
            if row.revoked_at is None:
                row.revoked_at = self._clock.now()
                await self._audit.append(session, row.tenant, actor, "key.revoke", f"key/{row.id}")
        self._changed(key_id)

    def _check(self, new: NewKey) -> None:
        beyond = sorted(new.scopes - ROLE_SCOPES[new.role])
        if beyond or not new.scopes:
            may = ", ".join(sorted(ROLE_SCOPES[new.role]))
            raise Unprocessable(
                f"A key of role {new.role} has one or more of the scopes {may}"
                + (f"; not {', '.join(beyond)}." if beyond else "."),
                field="scopes",
            )
        if new.expires_at is not None and new.expires_at <= self._clock.now():
            raise Unprocessable("The expiry has passed already.", field="expires")

    def _row(self, new: NewKey, public_id: str, secret: str, actor: Actor) -> ApiKey:
        return ApiKey(
            id=public_id,
            tenant=new.tenant,
            name=new.name,
            role=str(new.role),
            scopes=sorted(map(str, new.scopes)),
            secret_hash=hash_secret(secret),
            prefix=f"lh_{public_id[:8]}…",
            requests_per_second=new.rate_limit.requests_per_second,
            events_per_second=new.rate_limit.events_per_second,
            created_at=self._clock.now(),
            created_by=actor.id,
            expires_at=new.expires_at,
        )


def is_live(row: ApiKey, now: datetime) -> bool:
    """Whether a key is neither revoked nor expired."""
    return row.revoked_at is None and (row.expires_at is None or now < row.expires_at)


async def _get(session: AsyncSession, key_id: str) -> ApiKey:
    row = await session.get(ApiKey, key_id)
    if row is None:
        raise NotFound(f"There is no key {key_id!r}.")
    return row


def _same_as(old: ApiKey) -> NewKey:
    return NewKey(
        tenant=old.tenant,
        role=Role(old.role),
        scopes=frozenset(map(Scope, old.scopes)),
        name=old.name,
        rate_limit=RateLimit(old.requests_per_second, old.events_per_second),
        expires_at=old.expires_at,
    )
