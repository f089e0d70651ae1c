"""Watches the free disk: below a limit the hub says so, and its doors refuse what could not be kept."""

import asyncio
import contextlib
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

from core.clock import Clock
from core.errors import SlowDown
from core.metrics import Metrics

logger = logging.getLogger("llm_hub.disk")

_EVERY_S = 2.0


@dataclass(frozen=True, slots=True)
class DiskHealth:
    """Whether there is room, and how much."""

    ok: bool
    detail: str

    @property
    def state(self) -> str:
        """As the other parts name their state."""
        return "running" if self.ok else "full"


class DiskWatch:
    """Looks at the free disk below a folder again and again.

    Parameters
    ----------
    folder
        Where the hub keeps its data.
    least_bytes
        Free bytes below which nothing more is taken in.
    clock
        Says when to look again.
    metrics
        Where the free bytes are told.
    """

    def __init__(self, folder: Path, least_bytes: int, clock: Clock, metrics: Metrics | None = None) -> None:
        self._folder, self._least, self._clock = folder, least_bytes, clock
        self._metrics = metrics or Metrics()
        self._free = shutil.disk_usage(folder).free if folder.exists() else least_bytes
        self._metrics.disk_free_bytes.set_function(lambda: self._free)
        self._metrics.disk_least_bytes.set(least_bytes)
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look."""
        self._look()
        self._looking = asyncio.create_task(self._keep_looking(), name="disk watch")

    async def stop(self) -> None:
        """Look no more."""
        if self._looking is not None:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking

    def check(self) -> DiskHealth:
        """How it was when last looked at."""
        free = f"{self._free >> 20} MiB free below {self._folder}"
        if self._free >= self._least:
            return DiskHealth(True, free)
        return DiskHealth(False, f"{free}, at least {self._least >> 20} are needed: make room or shorten the retention")

    def admit(self) -> None:
        """Raise :class:`SlowDown` when there is no room for more events."""
        if self._free < self._least:
            self._metrics.ingest_refused.labels("disk").inc()
            raise SlowDown("the disk is nearly full; nothing more is taken in until there is room", retry_after=30)

    def _look(self) -> None:
        self._free = shutil.disk_usage(self._folder).free

    async def _keep_looking(self) -> None:
        while True:
            await self._clock.sleep(_EVERY_S)
            try:
                self._look()
            except OSError as error:  # the next look may find it again
                logger.warning("the free disk cannot be told: %s", error)
