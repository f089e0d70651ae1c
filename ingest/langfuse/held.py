"""What has been said of observations that have not ended yet: durable, encrypted, and short-lived."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Protocol

import orjson
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from core.clock import Clock
from core.errors import SlowDown
from core.ids import derived_id
from ingest.langfuse.items import Subject
from storage.metadata.database import Metadata
from storage.metadata.models import HeldObservation

#: How long an observation is waited for; then it is written as far as it is known.
PATIENCE: Final = timedelta(hours=1)
_CHUNK: Final = 500

Seal = Callable[[bytes], bytes]


class Held(Protocol):
    """Keeps subjects between batches. Durable when a call returns; every call is idempotent."""

    async def load(self, tenant: str, names: Iterable[str]) -> dict[str, Subject]:
        """Those that are known, by :attr:`Subject.name`."""
        ...

    async def save(self, tenant: str, subjects: Sequence[Subject]) -> None:
        """Keep these, in place of what was known of them."""
        ...

    async def forget(self) -> None:
        """Forget those that were written twice :data:`PATIENCE` ago: what is written late still asks for its trace."""
        ...

    async def late(self) -> list[str]:
        """Tenants with observations that were not ended within :data:`PATIENCE`."""
        ...

    async def overdue(self, tenant: str) -> list[Subject]:
        """Some of these observations."""
        ...


class SqlHeld:
    """In the metadata database, sealed.

    Parameters
    ----------
    metadata
        Already migrated.
    clock
        Says until when a subject is waited for.
    seal, unseal
        Encrypt and decrypt.
    """

    def __init__(self, metadata: Metadata, clock: Clock, seal: Seal, unseal: Seal) -> None:
        self._metadata = metadata
        self._clock = clock
        self._seal = seal
        self._unseal = unseal

    async def load(self, tenant: str, names: Iterable[str]) -> dict[str, Subject]:
        found: dict[str, Subject] = {}
        keys = {_key(name): name for name in names}
        async with self._metadata.reading() as session:
            for chunk in _chunks(list(keys)):
                rows = await session.scalars(
                    select(HeldObservation).where(HeldObservation.tenant == tenant, HeldObservation.key.in_(chunk))
                )
                found |= {keys[row.key]: self._read(row) for row in rows}
        return found

    async def save(self, tenant: str, subjects: Sequence[Subject]) -> None:
        expires = self._clock.now() + PATIENCE
        rows = {_key(one.name): one for one in subjects}
        try:
            async with self._metadata.session() as session:
                for chunk in _chunks(list(rows)):
                    await session.execute(
                        delete(HeldObservation).where(HeldObservation.tenant == tenant, HeldObservation.key.in_(chunk))
                    )
                session.add_all(
                    HeldObservation(
                        tenant=tenant, key=key, body=self._sealed(one), written=one.written, expires_at=expires
                    )
                    for key, one in rows.items()
                )
        except IntegrityError:  # another process has the same observation in its hands
            raise SlowDown("these observations are being written by another request; send them again") from None

    async def forget(self) -> None:
        expired = HeldObservation.expires_at < self._clock.now() - PATIENCE
        async with self._metadata.session() as session:
            await session.execute(delete(HeldObservation).where(expired, HeldObservation.written))

    async def late(self) -> list[str]:
        async with self._metadata.reading() as session:
            return list(await session.scalars(select(HeldObservation.tenant).where(*self._unended()).distinct()))

    async def overdue(self, tenant: str) -> list[Subject]:
        mine = select(HeldObservation).where(HeldObservation.tenant == tenant, *self._unended()).limit(_CHUNK)
        async with self._metadata.reading() as session:
            return [self._read(row) for row in await session.scalars(mine)]

    def _unended(self) -> tuple[Any, ...]:
        return HeldObservation.expires_at < self._clock.now(), ~HeldObservation.written

    def _sealed(self, subject: Subject) -> bytes:
        return self._seal(orjson.dumps([subject.kind, subject.id, subject.body, subject.said]))

    def _read(self, row: HeldObservation) -> Subject:
        kind, id_, body, said = orjson.loads(self._unseal(row.body))
        return Subject(kind, id_, body, said, written=row.written)


def _key(name: str) -> bytes:
    return derived_id("held", name).bytes


def _chunks(keys: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
    return (keys[start : start + _CHUNK] for start in range(0, len(keys), _CHUNK))


def without_contents(body: Mapping[str, Any]) -> dict[str, Any]:
    """A body of a tenant that keeps no contents; that there was an output still tells the end."""
    kept = {name: value for name, value in body.items() if name not in ("input", "output", "metadata")}
    return kept | {name: "" for name in ("output",) if body.get(name) is not None}
