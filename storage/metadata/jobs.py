"""Long work that a killed process must be able to go on with: one row a job, written before each step."""

from typing import Any

from sqlalchemy import delete, select

from core.clock import Clock
from storage.metadata.database import Metadata
from storage.metadata.models import Job


class Jobs:
    """Reads and writes the rows; blocking nothing, safe between processes as far as the database is.

    Parameters
    ----------
    metadata
        Started and migrated.
    clock
        Stamps the rows.
    """

    def __init__(self, metadata: Metadata, clock: Clock) -> None:
        self._metadata, self._clock = metadata, clock

    async def get(self, name: str) -> dict[str, Any] | None:
        """What is known of a job; None when there is none."""
        async with self._metadata.reading() as session:
            detail: dict[str, Any] | None = await session.scalar(select(Job.detail).where(Job.name == name))
            return detail

    async def put(self, name: str, detail: dict[str, Any]) -> None:
        """Write down how far a job is; durable on return."""
        async with self._metadata.session() as session:
            await session.merge(Job(name=name, detail=detail, updated_at=self._clock.now()))

    async def close(self, name: str) -> None:
        """The job is done. Safe to repeat."""
        async with self._metadata.session() as session:
            await session.execute(delete(Job).where(Job.name == name))
