"""Folds what has been stored into the rollups, beside the streams."""

import asyncio
import contextlib
import logging
import time
from typing import Final, Protocol

from core.clock import Clock
from core.errors import HubError
from core.metrics import Metrics
from core.traces import NO_TRACES, Traces
from streams.threads import to_the_end

logger = logging.getLogger(__name__)

#: How often it looks whether a fold is due, and how long it waits after a failure, in seconds.
LOOK_S: Final = 0.25
FAILED_S: Final = 2.0


class Folds(Protocol):
    """What is needed of :class:`storage.warehouse.roller.Roller`. Blocking."""

    def due_in(self) -> float | None: ...

    def roll(self) -> int: ...

    def rows_behind(self) -> int: ...


class Rolling:
    """Rolls whenever a fold is due. A fold that fails is tried again: meanwhile questions read the raw events.

    Parameters
    ----------
    roller
        What folds.
    clock, metrics
        When to look, and where folds are counted.
    traces
        Of the process: a fold belongs to the blocks that were stored before it.
    """

    def __init__(self, roller: Folds, clock: Clock, metrics: Metrics, traces: Traces = NO_TRACES) -> None:
        self._roller, self._clock, self._metrics, self._traces = roller, clock, metrics, traces
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run(), name="rollups")

    async def stop(self) -> None:
        """Let the fold under way end. What is not folded yet is folded after the next start."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        while True:
            due = self._roller.due_in()
            pause = LOOK_S if due is None else min(due, LOOK_S)
            if due == 0.0:
                pause = await self._roll()
            self._metrics.rollup_rows_behind.set(self._roller.rows_behind())
            await self._clock.sleep(pause)

    async def _roll(self) -> float:
        """Fold once; the seconds to wait after it."""
        began = time.perf_counter()
        try:
            with self._traces.span("fold", caused_by=self._traces.causes("stored")) as span:
                folds = await to_the_end(self._roller.roll)
                span.set("llm_hub.folds", folds)
        except HubError as error:
            self._metrics.rollup_failures.inc()
            logger.warning("the rollups are not brought up to date, again in %.0f s: %s", FAILED_S, error.detail)
            return FAILED_S
        except Exception:
            self._metrics.rollup_failures.inc()
            logger.exception("the rollups are not brought up to date, again in %.0f s", FAILED_S)
            return FAILED_S
        self._metrics.rollup_folds.inc(folds)
        self._metrics.rollup_seconds.observe(time.perf_counter() - began)
        return 0.0
