"""Tenants and their settings; the settings of all are in memory for the hot path."""

import re
from collections.abc import Callable, Mapping, Sequence

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from access.audit import Actor, AuditLog
from access.tenant_settings import TenantSettings
from core.clock import Clock
from core.errors import Conflict, NotFound, SettingsError, Unprocessable
from storage.metadata.database import Metadata
from storage.metadata.models import Erasure, Tenant

#: The tenant that a hub makes on its first start.
DEFAULT_TENANT = "default"

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DEFAULTS = TenantSettings()


class TenantStore:
    """Creates, reads, changes and deletes tenants.

    Parameters
    ----------
    changed
        Called after a tenant was deleted, so that caches forget its keys.
    """

    def __init__(self, metadata: Metadata, clock: Clock, audit: AuditLog, changed: Callable[[], None]) -> None:
        self._metadata = metadata
        self._clock = clock
        self._audit = audit
        self._changed = changed
        self._settings: Mapping[str, TenantSettings] = {}

    def settings(self, tenant: str) -> TenantSettings:
        """A tenant's settings, from memory: never waits, at most one refresh behind another process."""
        return self._settings.get(tenant, _DEFAULTS)

    def ids(self) -> Sequence[str]:
        """The tenants known in memory."""
        return tuple(self._settings)

    async def refresh(self) -> None:
        """Load all tenants' settings; one that cannot be read raises and leaves what is in memory."""
        async with self._metadata.reading() as session:
            rows = (await session.execute(select(Tenant.id, Tenant.settings))).all()
        self._settings = {row[0]: _read(row[0], row[1]) for row in rows}

    async def create(self, tenant_id: str, name: str, actor: Actor, settings: TenantSettings | None = None) -> Tenant:
        """Make a tenant.

        Raises
        ------
        Conflict
            The id is taken, or the data of a deleted tenant of that id is still being erased.
        Unprocessable
            It is no id.
        """
        if not _ID.fullmatch(tenant_id):
            raise Unprocessable(
                "A tenant's id is 1 to 64 letters, digits, '.', '_' and '-', a letter or digit first.", field="id"
            )
        settings = settings or _DEFAULTS
        async with self._metadata.session() as session:
            if await session.get(Tenant, tenant_id) is not None:
                raise Conflict(f"There is a tenant {tenant_id!r} already.", field="id")
            if (erasure := await session.get(Erasure, tenant_id)) is not None:
                raise Conflict(
                    f"A tenant {tenant_id!r} was deleted at {erasure.deleted_at:%Y-%m-%d %H:%M} UTC and its data is "
                    "still being erased, which takes a bit more than an hour; take another id, or come again then.",
                    field="id",
                )
            tenant = Tenant(id=tenant_id, name=name, created_at=self._clock.now(), settings=_stored(settings))
            session.add(tenant)
            await self._audit.append(session, tenant_id, actor, "tenant.create", f"tenant/{tenant_id}", {"name": name})
        self._settings = {**self._settings, tenant_id: settings}
        return tenant

    async def list(self) -> Sequence[Tenant]:
        """Every tenant, by id."""
        async with self._metadata.reading() as session:
            return (await session.scalars(select(Tenant).order_by(Tenant.id))).all()

    async def get(self, tenant_id: str) -> Tenant:
        """One tenant; raises :class:`NotFound`."""
        async with self._metadata.reading() as session:
            return await _get(session, tenant_id)

    async def update(
        self, tenant_id: str, actor: Actor, name: str | None = None, settings: TenantSettings | None = None
    ) -> Tenant:
        """Change the name, the settings, or both; settings are replaced whole."""
        async with self._metadata.session() as session:
            tenant = await _get(session, tenant_id)
            if name is not None:
                tenant.name = name
            if settings is not None:
                tenant.settings = _stored(settings)
            changes = {"name": name, "settings": None if settings is None else _stored(settings)}
            await self._audit.append(session, tenant_id, actor, "tenant.update", f"tenant/{tenant_id}", changes)
        if settings is not None:
            self._settings = {**self._settings, tenant_id: settings}
        return tenant

    async def delete(self, tenant_id: str, actor: Actor) -> None:
        """Delete a tenant with its keys, users and prices, and note that its data is to be erased.

        Its audit log stays.
        """
        if tenant_id == DEFAULT_TENANT:
            raise Conflict("The tenant 'default' cannot be deleted.")
        async with self._metadata.session() as session:
            await session.delete(await _get(session, tenant_id))
            session.add(Erasure(tenant=tenant_id, deleted_at=self._clock.now()))
            await self._audit.append(session, tenant_id, actor, "tenant.delete", f"tenant/{tenant_id}")
        self._settings = {known: settings for known, settings in self._settings.items() if known != tenant_id}
        self._changed()


def _stored(settings: TenantSettings) -> dict[str, object]:
    # Only what differs from the defaults: a default that a later version improves reaches who never chose.
    return settings.model_dump(mode="json", exclude_defaults=True)


def _read(tenant_id: str, stored: Mapping[str, object]) -> TenantSettings:
    try:
        return TenantSettings.model_validate(stored)
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, problem["loc"])) for problem in error.errors())
        raise SettingsError(
            f"The stored settings of tenant {tenant_id!r} are not understood ({fields}); a newer hub made them."
        ) from error


async def _get(session: AsyncSession, tenant_id: str) -> Tenant:
    tenant = await session.get(Tenant, tenant_id)
    if tenant is None:
        raise NotFound(f"There is no tenant {tenant_id!r}.")
    return tenant
