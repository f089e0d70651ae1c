"""What never ends is written as far as it is known, whether its tenant goes on sending or not.

An observation is waited for as long as :data:`ingest.langfuse.held.PATIENCE` says, from the last thing that was said
of it. Then it becomes an event like any other, with the attribute ``llm_hub.unended``. Those that are not overdue when
the hub stops stay where they are, on the disk, and are waited for by whoever starts next.
"""

import asyncio
import contextlib
import logging
from typing import Final

from core.clock import Clock
from core.errors import HubError
from core.metrics import Metrics
from ingest.intake import Intake
from ingest.langfuse.held import Held
from ingest.langfuse.ingestion import delivering, give_up

logger = logging.getLogger("llm_hub.langfuse")

_EVERY_S: Final = 60.0


class Unended:
    """Looks every minute, and once more at the end. Several processes may: ids of events are made of observations' ids.

    Parameters
    ----------
    held
        Where observations wait.
    intake
        Takes the events in.
    clock, metrics
        Of the process.
    """

    def __init__(self, held: Held, intake: Intake, clock: Clock, metrics: Metrics) -> None:
        self._held = held
        self._intake = intake
        self._clock = clock
        self._metrics = metrics
        self._looking: asyncio.Task[None] | None = None
        self._busy = asyncio.Lock()

    async def start(self) -> None:
        """Begin to look."""
        self._looking = asyncio.create_task(self._keep_looking(), name="unended observations")

    async def stop(self) -> None:
        """Look once more, and then no more. Idempotent."""
        task, self._looking = self._looking, None
        if task is None:
            return
        async with self._busy:  # not in the middle of a transaction
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await self.look()

    async def look(self) -> None:
        """Write what is overdue; what cannot be written now is looked for again. Raises nothing but cancellation."""
        async with self._busy:
            try:
                for tenant in await self._held.late():
                    await self._write(tenant)
                await self._held.forget()
            except Exception:
                logger.exception("observations without an end could not be looked for")

    async def _keep_looking(self) -> None:
        while True:
            await self._clock.sleep(_EVERY_S)
            await self.look()

    async def _write(self, tenant: str) -> None:
        try:
            while subjects := await self._held.overdue(tenant):
                await give_up(subjects, tenant, self._held, delivering(self._intake, tenant, b""))
                self._metrics.langfuse_unended.inc(len(subjects))
        except HubError as error:
            logger.warning("observations of %s without an end were not taken: %s", tenant, error.detail)
        except Exception:
            logger.exception("observations of %s without an end cannot be written", tenant)
