"""What a process without streams knows of them: how far they are, and what they say is happening."""

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from typing import Final

import orjson

from broker.live import LiveFeed
from broker.log import Log
from broker.topics import EVENTS, PULSE
from core.clock import Clock
from core.errors import HubError
from streams.watermark import Watermark

logger = logging.getLogger("llm_hub.following")

#: Seconds from one look to the next, and how many partitions are looked at in a second at most: each costs requests.
LOOK_S: Final = 1.0
LOOKS_PER_S: Final = 16
PULSE_S: Final = 0.2


class _Looking(ABC):
    """Looks again and again until it is stopped; a failure is logged once, until it is over."""

    def __init__(self, name: str, clock: Clock, pause_s: float) -> None:
        self._name, self._clock, self._pause_s = name, clock, pause_s
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        """Look no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    @abstractmethod
    async def look(self) -> None:
        """Look once."""

    async def _run(self) -> None:
        failing = False
        while True:
            try:
                await self.look()
                failing = False
            except HubError as error:
                if not failing:
                    logger.warning("%s: %s; it is tried again", self._name, error.detail)
                failing = True
            except Exception:
                logger.exception("%s failed; it is tried again", self._name)
            await self._clock.sleep(self._pause_s)


class WatermarkFollower(_Looking):
    """The watermark as the log tells it: behind what the streams have committed, everything is visible.

    Parameters
    ----------
    log
        Started.
    group
        Consumer group of the streams.
    partitions
        Of ``hub.events``.
    clock
        When to look.
    """

    def __init__(self, log: Log, group: str, partitions: int, clock: Clock) -> None:
        super().__init__("watermark", clock, max(LOOK_S, partitions / LOOKS_PER_S))
        self._log, self._group, self._partitions = log, group, range(partitions)
        self.watermark = Watermark(self._partitions)
        self._waiting: dict[int, int] = {}

    async def look(self) -> None:
        """Ask the log about every partition."""
        await asyncio.gather(*map(self._look, self._partitions))

    async def _look(self, partition: int) -> None:
        seen_at = self._clock.now()
        earliest, following = await self._log.range(EVENTS, partition)
        place = max(earliest, await self._log.committed(self._group, EVENTS, partition) or 0)
        if place >= following:
            self.watermark.drained(str(partition), seen_at)
        elif self._waiting.get(partition) == place:
            return  # the same record has been looked at before
        elif waiting := await self._log.read(EVENTS, partition, place, max_records=1):
            # stamps may be equal: what is sure to be visible ends before this one's
            self.watermark.stored(str(partition), waiting[0].timestamp_ms - 1)
            self._waiting[partition] = place


class PulseFollower(_Looking):
    """Hands the points that streams elsewhere have sent to those who watch here.

    Parameters
    ----------
    log
        Started.
    live
        Where the points go.
    clock
        When to look.
    """

    def __init__(self, log: Log, live: LiveFeed, clock: Clock) -> None:
        super().__init__("pulse", clock, PULSE_S)
        self._log, self._live = log, live
        self._next: int | None = None

    async def look(self) -> None:
        """Hand on what has come since; begins at the end, and skips what came while nobody watched."""
        if self._next is None or not self._live.tenants:
            self._next = (await self._log.range(PULSE, 0))[1]
            return
        for record in await self._log.read(PULSE, 0, self._next):
            self._next = record.offset + 1
            for tenant, points in orjson.loads(record.value or b"{}").items():
                self._live.publish(tenant, points)
