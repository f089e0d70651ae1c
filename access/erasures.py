"""Notes of deleted tenants whose data is still to be erased: they outlive a restart."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select, update

from access.audit import SYSTEM, AuditLog
from storage.metadata.database import Metadata
from storage.metadata.models import Erasure


class Erasures:
    """Reads, changes and closes the notes; deleting a tenant (:mod:`access.tenants`) writes them."""

    def __init__(self, metadata: Metadata, audit: AuditLog) -> None:
        self._metadata = metadata
        self._audit = audit

    async def open(self) -> Sequence[Erasure]:
        """What is still to be erased, the earliest deletion first."""
        async with self._metadata.reading() as session:
            return (await session.scalars(select(Erasure).order_by(Erasure.deleted_at, Erasure.tenant))).all()

    async def clean_since(self, tenant: str, moment: datetime | None) -> None:
        """Note since when nothing of the tenant has been found; None when something was."""
        async with self._metadata.session() as session:
            await session.execute(update(Erasure).where(Erasure.tenant == tenant).values(clean_since=moment))

    async def close(self, tenant: str) -> None:
        """All is erased: the note becomes an entry of the tenant's audit log, and its id is free. Safe to repeat."""
        async with self._metadata.session() as session:
            closed = await session.scalar(delete(Erasure).where(Erasure.tenant == tenant).returning(Erasure.deleted_at))
            if closed is not None:
                detail = {"deleted_at": closed}
                await self._audit.append(session, tenant, SYSTEM, "tenant.erase", f"tenant/{tenant}", detail)
