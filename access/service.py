"""Access: the one object that knows who is asking. Hangs on ``app.state.access``."""

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy import update

from access.audit import AuditLog
from access.bootstrap import bootstrap
from access.cache import CacheConfig, PrincipalCache
from access.erasures import Erasures
from access.event_schemas import SchemaStore
from access.keys import KeyStore, hash_secret, is_live, matches, principal_of, public_id_of
from access.limits import Limits
from access.prices import PriceStore
from access.principal import Principal
from access.secrets import SecretBox, load_data_key
from access.sessions import SessionConfig, Sessions, SignIn
from access.tenant_settings import TenantSettings
from access.tenants import TenantStore
from access.users import UserStore, user_id_of, user_principal
from core.clock import Clock
from core.errors import Unauthenticated
from storage.metadata.database import Metadata
from storage.metadata.models import ApiKey, User

_LOG = logging.getLogger(__name__)

NO_FORM = "This is no key of the hub; a key looks like lh_… and is sent as 'Authorization: Bearer lh_…'."
UNKNOWN = "This key is not known, or was revoked; use another (llm-hub keys create)."
EXPIRED = "This key has expired; use another (llm-hub keys create)."
SIGNED_OUT = "Whoever this session belongs to may not sign in any more; ask for a new link."


@dataclass(frozen=True, slots=True)
class AccessConfig:
    """How access works.

    Parameters
    ----------
    data_dir
        Where ``data.key`` and ``admin.key`` are.
    data_key
        The data key itself, where several machines share a hub; else it is in ``data_dir``.
    admin_key
        The first key of a new hub, where it is not to be made; see :func:`access.bootstrap.bootstrap`.
    metrics_key
        Opens ``/metrics`` and nothing else; none when empty.
    refresh_seconds
        How far this process may be behind changes of tenants and prices that another one made.
    secure_cookies
        Send the session cookie over https only.
    """

    data_dir: Path
    data_key: bytes | None = field(default=None, repr=False)
    admin_key: str = field(default="", repr=False)
    metrics_key: str = field(default="", repr=False)
    cache: CacheConfig = field(default_factory=CacheConfig)
    sessions: SessionConfig = field(default_factory=SessionConfig)
    refresh_seconds: float = 5.0
    secure_cookies: bool = False


class Access:
    """Authenticates callers, and holds the stores of tenants, users, keys, prices, sessions and the audit log.

    Construction reads the data key (and makes it on the first start) but opens nothing; :meth:`start` needs the
    metadata started and migrated. Belongs to one event loop; :meth:`settings` and ``prices.lookup`` may be
    called from any thread.
    """

    def __init__(self, metadata: Metadata, clock: Clock, config: AccessConfig) -> None:
        self._metadata = metadata
        self._clock = clock
        self.config = config
        self.box = SecretBox(config.data_key or load_data_key(config.data_dir))
        self._cache = PrincipalCache(clock, config.cache)
        self._used: dict[str, datetime] = {}
        self._refresher: asyncio.Task[None] | None = None
        self._refreshing = asyncio.Lock()
        self.audit = AuditLog(metadata, clock, self.box.derive("audit"))
        self.limits = Limits(clock)
        self.keys = KeyStore(metadata, clock, self.audit, self._cache.forget)
        self.users = UserStore(metadata, clock, self.audit, self._cache.forget)
        self.tenants = TenantStore(metadata, clock, self.audit, self._cache.clear)
        self.erasures = Erasures(metadata, self.audit)
        self.prices = PriceStore(metadata, clock, self.audit)
        self.schemas = SchemaStore(metadata, clock, self.audit)
        self.sessions = Sessions(metadata, clock, self.box.derive("sessions"), config.sessions)

    async def start(self) -> None:
        """Make the first tenant and key if there are none, load what is kept in memory, and keep it fresh."""
        async with self._metadata.alone():
            await bootstrap(self.config.data_dir, self.tenants, self.keys, self.config.admin_key)
        await self.refresh()
        self._refresher = asyncio.create_task(self._keep_fresh(), name="access-refresh")

    async def stop(self) -> None:
        """Stop refreshing and write down when keys were last used."""
        task, self._refresher = self._refresher, None
        if task is not None:
            # Not in the middle of a transaction: its connection would be thrown away.
            async with self._refreshing:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await self._write_used()

    def settings(self, tenant: str) -> TenantSettings:
        """A tenant's settings, from memory."""
        return self.tenants.settings(tenant)

    async def authenticate(self, secret: str) -> Principal:
        """The caller that a secret stands for.

        Raises
        ------
        Unauthenticated
            It is no key, unknown, revoked or expired.
        """
        public_id = public_id_of(secret)
        if public_id is None:
            raise Unauthenticated(NO_FORM)
        name = hash_secret(secret)
        known = self._cache.get(name)
        if known is None:
            known = await self._load_key(name, public_id, secret)
        return self._admit(known)

    async def authenticate_session(self, cookie: str) -> Principal:
        """The caller that a session cookie stands for; raises :class:`Unauthenticated`."""
        sign_in = self.sessions.read(cookie)
        name = f"session of {sign_in.tenant} {sign_in.subject}".encode()
        known = self._cache.get(name)
        if known is None:
            known = await self._load_session(name, sign_in)
        return self._admit(known)

    async def refresh(self) -> None:
        """Load tenants, prices and schemas anew and write down when keys were last used."""
        async with self._refreshing:
            await self.tenants.refresh()
            await self.prices.refresh()
            await self.schemas.refresh()
            await self._write_used()

    def _admit(self, known: Principal | str) -> Principal:
        if isinstance(known, str):
            raise Unauthenticated(known)
        now = self._clock.now()
        if known.expires_at is not None and now >= known.expires_at:
            raise Unauthenticated(EXPIRED)
        self._used[known.key_id] = now
        return known

    async def _load_key(self, name: bytes, public_id: str, secret: str) -> Principal | str:
        generation = self._cache.generation
        async with self._metadata.reading() as session:
            row = await session.get(ApiKey, public_id)
        # A key that is unknown and one that is revoked are told alike: who tries keys learns nothing.
        if row is None or not matches(secret, row.secret_hash) or row.revoked_at is not None:
            return self._refuse(name, UNKNOWN)
        return self._keep(name, principal_of(row), generation)

    async def _load_session(self, name: bytes, sign_in: SignIn) -> Principal | str:
        generation = self._cache.generation
        user_id = user_id_of(sign_in.subject)
        async with self._metadata.reading() as session:
            if user_id is None:
                key = await session.get(ApiKey, sign_in.subject)
                good = key is not None and key.tenant == sign_in.tenant and is_live(key, self._clock.now())
                principal = principal_of(key, session=True) if key is not None and good else None
            else:
                user = await session.get(User, user_id)
                good = user is not None and user.tenant == sign_in.tenant and user.disabled_at is None
                principal = user_principal(user) if user is not None and good else None
        if principal is None:
            return SIGNED_OUT
        return self._keep(name, principal, generation)

    def _keep(self, name: bytes, principal: Principal, generation: int) -> Principal:
        self._cache.keep(name, principal, generation)
        return principal

    def _refuse(self, name: bytes, reason: str) -> str:
        self._cache.refuse(name, reason)
        return reason

    async def _write_used(self) -> None:
        used, self._used = self._used, {}
        rows = [(key_id, at) for key_id, at in used.items() if user_id_of(key_id) is None]
        if rows:
            async with self._metadata.session() as session:
                for key_id, at in rows:
                    await session.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=at))

    async def _keep_fresh(self) -> None:
        while True:
            await self._clock.sleep(self.config.refresh_seconds)
            try:
                await self.refresh()
            except Exception:
                # The database is away for a moment: what is in memory goes on being used.
                _LOG.exception("tenants and prices could not be refreshed")
