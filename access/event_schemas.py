"""Event types of a tenant's own and their versions; all in memory, compiled, for the hot path."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final, Literal

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from access.audit import Actor, AuditLog
from core.clock import Clock
from core.errors import Conflict, NotFound, Unprocessable
from schemas.compatibility import problems
from schemas.custom import TenantType, Version, check_document, check_name, compiled, written
from storage.metadata.database import Metadata
from storage.metadata.models import EventSchema

Compatibility = Literal["backward", "none"]

MAX_TYPES: Final = 100
MAX_VERSIONS: Final = 50

_Documents = dict[Version, Mapping[str, Any]]


class SchemaStore:
    """Creates, reads and deletes the event types of tenants.

    A version that exists never changes: a changed schema is a new minor version where every event of the newest one
    would be taken by it too, and a new major version where not (and the tenant says so).
    """

    def __init__(self, metadata: Metadata, clock: Clock, audit: AuditLog) -> None:
        self._metadata, self._clock, self._audit = metadata, clock, audit
        self._types: Mapping[str, Mapping[str, TenantType]] = {}

    def current(self, tenant: str) -> Mapping[str, TenantType]:
        """A tenant's types from memory; never waits, may be called from any thread."""
        return self._types.get(tenant, {})

    async def refresh(self) -> None:
        """Load every tenant's types; those that have not changed are not compiled again."""
        found: defaultdict[str, defaultdict[str, _Documents]] = defaultdict(lambda: defaultdict(dict))
        async with self._metadata.reading() as session:
            for row in await session.scalars(select(EventSchema)):
                found[row.tenant][row.type][row.major, row.minor] = row.document
        self._types = {
            tenant: {name: self._ready(tenant, name, documents) for name, documents in types.items()}
            for tenant, types in found.items()
        }

    def _ready(self, tenant: str, name: str, documents: _Documents) -> TenantType:
        known = self.current(tenant).get(name)
        return known if known is not None and known.documents == documents else compiled(name, documents)

    async def put(
        self, tenant: str, name: str, document: dict[str, Any], actor: Actor, compatibility: Compatibility = "backward"
    ) -> tuple[TenantType, bool]:
        """The type with this schema as its newest version, and whether that version is new.

        Raises
        ------
        Unprocessable
            The name or the schema cannot be taken, or there are too many.
        Conflict
            Events that are good now could be refused by it; the reasons are named.
        """
        check_name(name)
        check_document(document)
        async with self._metadata.session() as session:
            documents = await _documents(session, tenant, name)
            newest = max(documents, default=None)
            if newest is not None and documents[newest] == document:
                return compiled(name, documents), False
            if newest is None:
                await _room(session, tenant)
            version = _next(name, documents, document, compatibility)
            session.add(
                EventSchema(
                    tenant=tenant,
                    type=name,
                    major=version[0],
                    minor=version[1],
                    document=document,
                    created_at=self._clock.now(),
                )
            )
            detail = {"version": written(version), "compatibility": compatibility}
            await self._audit.append(session, tenant, actor, "schema.put", f"schema/{name}", detail)
        await self.refresh()
        return compiled(name, {**documents, version: document}), True

    async def delete(self, tenant: str, name: str, actor: Actor) -> None:
        """Take a type away with all its versions: its events are refused from now on, those stored stay."""
        async with self._metadata.session() as session:
            if not await _documents(session, tenant, name):
                raise NotFound(f"There is no event type {name[:100]!r} of your own.")
            await session.execute(delete(EventSchema).where(EventSchema.tenant == tenant, EventSchema.type == name))
            await self._audit.append(session, tenant, actor, "schema.delete", f"schema/{name}")
        await self.refresh()


def _next(name: str, documents: _Documents, document: dict[str, Any], compatibility: Compatibility) -> Version:
    """The version that a schema becomes."""
    if not documents:
        return 1, 0
    if len(documents) >= MAX_VERSIONS:
        raise Unprocessable(f"schema: {name} has {MAX_VERSIONS} versions, and may have no more.", field="schema")
    newest = max(documents)
    wrong = list(problems(documents[newest], document, "data"))
    if not wrong:
        return newest[0], newest[1] + 1
    if compatibility == "none":
        return newest[0] + 1, 0
    more = f" (and {len(wrong) - 5} more)" if len(wrong) > 5 else ""
    raise Conflict(
        f"Events of {name} {written(newest)} could be refused by this schema: {'; '.join(wrong[:5])}{more}. Change it, "
        f"or make it version {newest[0] + 1}.0 with compatibility=none.",
        field="schema",
        problems=wrong[:50],
    )


async def _documents(session: AsyncSession, tenant: str, name: str) -> _Documents:
    rows = await session.scalars(select(EventSchema).where(EventSchema.tenant == tenant, EventSchema.type == name))
    return {(row.major, row.minor): row.document for row in rows}


async def _room(session: AsyncSession, tenant: str) -> None:
    question = select(func.count(EventSchema.type.distinct())).where(EventSchema.tenant == tenant)
    if (await session.scalar(question) or 0) >= MAX_TYPES:
        raise Unprocessable(f"type: there are {MAX_TYPES} event types of your own, and may be no more.", field="type")
