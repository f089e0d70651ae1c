"""Has data leave as promised: what a tenant's retention no longer covers, and all of a tenant that was deleted."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from access.service import Access
from broker.log import Log
from broker.topics import EVENTS
from core.clock import Clock
from core.errors import HubError
from core.metrics import Metrics
from hub import wiring
from storage.metadata.models import Erasure
from storage.warehouse.retention import FOLLOWS, Retention

logger = logging.getLogger("llm_hub.keeping")

_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class KeepingConfig:
    """When it looks, and when a deleted tenant counts as erased.

    Parameters
    ----------
    look_s
        Seconds from one look at deleted tenants to the next, and before the first look at anything.
    retention_s
        Seconds from one look at the retention of all tenants to the next; after a failure it is tried at the next look.
    settled
        How long after its deletion events of a tenant may still be taken in: by doors of other processes that know its
        key, and requests that were under way.
    quiet
        For how long nothing of a tenant must have been found.
    topics
        That events come by.
    """

    look_s: float = 60.0
    retention_s: float = 3600.0
    settled: timedelta = timedelta(minutes=5)
    quiet: timedelta = timedelta(hours=1)
    topics: tuple[str, ...] = (EVENTS,)


class Keeping:
    """Looks again and again, and changes the warehouse only where something is to be changed, one change at a time.

    What fails is logged, counted and tried again at the next look. Several processes may look at the same warehouse.

    Parameters
    ----------
    access
        Tenants, their settings, and notes of the deleted ones.
    retention
        What changes the warehouse.
    log
        Tells whether the events on their way at a deletion have arrived.
    clock, metrics
        The hub's.
    changed
        Told the earliest time of what was changed, for whoever keeps answers.
    forget
        Told of each tenant that is erased, for whoever remembers something of it.
    config
        Times.
    """

    def __init__(
        self,
        access: Access,
        retention: Retention,
        log: Log,
        clock: Clock,
        metrics: Metrics,
        changed: Callable[[datetime], None],
        forget: Callable[[str], None],
        config: KeepingConfig | None = None,
    ) -> None:
        self._access, self._retention, self._log = access, retention, log
        self._clock, self._metrics = clock, metrics
        self._changed, self._forget = changed, forget
        self.config = config or KeepingConfig()
        self._retain_at = 0.0
        #: Deleted tenant → where the log ended when nothing of it was found any more.
        self._ends: dict[str, list[int]] = {}
        self._task: asyncio.Task[None] | None = None
        self._looking = asyncio.Lock()
        self._ending = False

    async def start(self) -> None:
        """Begin to look, a moment after the start: it is busy enough."""
        self._ending = False
        self._task = asyncio.create_task(self._run(), name="keeping")

    async def stop(self) -> None:
        """Let the change under way end. What is left is found after the next start."""
        task, self._task = self._task, None
        if task is not None:
            self._ending = True
            async with self._looking:  # not in the middle of a transaction
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    @contextlib.asynccontextmanager
    async def calm(self) -> AsyncIterator[None]:
        """Nothing is changed meanwhile; waits for a change under way."""
        async with self._looking:
            yield

    async def look(self) -> None:
        """Erase what is left of deleted tenants and, when it is due, bring all tables in line with the retention."""
        async with self._looking:
            await self._try("erasure", self._erase)
            if self._clock.monotonic() >= self._retain_at and await self._try("retention", self._retain):
                self._retain_at = self._clock.monotonic() + self.config.retention_s

    async def _run(self) -> None:
        while True:
            await self._clock.sleep(self.config.look_s)
            await self.look()

    async def _try(self, what: str, action: Callable[[], Awaitable[None]]) -> bool:
        try:
            await action()
        except HubError as error:
            logger.warning("%s failed and is tried again: %s", what, error.detail)
        except Exception:
            logger.exception("%s failed and is tried again", what)
        else:
            return True
        self._metrics.keeping_failures.labels(what).inc()
        self._changed(_EVER)  # some of it may have been done
        return False

    async def _retain(self) -> None:
        tenants = self._access.tenants.ids()
        for table, kind in FOLLOWS.items():
            if self._ending:
                return
            keep = {tenant: wiring.retention(self._access, tenant, kind) for tenant in tenants}
            if found := await asyncio.to_thread(self._retention.enforce, table, keep):
                self._metrics.keeping_changes.labels("retention").inc()
                self._changed(_EVER)
                logger.info("%s: the retention of %d tenants was applied to stored rows", table, found)

    async def _erase(self) -> None:
        """Every deleted tenant a step on: rows, then none for a while, and none behind in the log."""
        notes = await self._access.erasures.open()
        self._metrics.keeping_erasures.set(len(notes))
        arrived = {note.tenant for note in notes if note.clean_since is not None and await self._arrived(note.tenant)}
        found = await asyncio.to_thread(self._retention.erase, [note.tenant for note in notes])
        if found:
            self._metrics.keeping_changes.labels("erasure").inc()
            self._changed(_EVER)
        for note in notes:
            await self._note(note, found.get(note.tenant, 0), note.tenant in arrived)

    async def _note(self, note: Erasure, rows: int, arrived: bool) -> None:
        """Write down how far the erasure of a tenant is."""
        now, tenant, erasures = self._clock.now(), note.tenant, self._access.erasures
        if rows:
            logger.info("tenant %s was deleted: %d rows are erased", tenant, rows)
            self._ends.pop(tenant, None)
            await erasures.clean_since(tenant, None)
        elif note.clean_since is None:
            if now >= note.deleted_at + self.config.settled:
                await erasures.clean_since(tenant, now)
        elif arrived and now >= note.clean_since + self.config.quiet:
            logger.info("tenant %s is erased", tenant)
            self._ends.pop(tenant, None)
            self._forget(tenant)
            await erasures.close(tenant)

    async def _arrived(self, tenant: str) -> bool:
        """Whether all that was in the log when first asked has been stored."""
        partitions = range(self._log.partitions(EVENTS))
        places = [(topic, number) for topic in self.config.topics for number in partitions]
        if tenant not in self._ends:
            self._ends[tenant] = [(await self._log.range(*place))[1] for place in places]
        for place, end in zip(places, self._ends[tenant], strict=True):
            earliest, _ = await self._log.range(*place)
            if max(earliest, await self._log.committed(wiring.GROUP, *place) or 0) < end:
                return False
        return True
