"""The streams as a part of the hub: started, stopped and asked how they are."""

import asyncio
import contextlib
import logging
import os
from datetime import timedelta
from typing import Any

from broker.live import LiveFeed
from broker.log import Log
from broker.topics import place_name
from core.clock import Clock
from core.errors import HubError
from core.metrics import Metrics
from core.traces import NO_TRACES, Traces
from streams.app import build_app
from streams.config import StreamsConfig
from streams.dead_letters import Seal
from streams.handler import BlockHandler
from streams.health import Health
from streams.pipeline import Pipeline
from streams.prices.model import TenantPrices, no_tenant_prices
from streams.prices.table import PriceTable
from streams.prices.unpriced import UnpricedModels
from streams.sink import Sink, Writer
from streams.stalls import Stalls
from streams.steps.derive import Retention
from streams.watermark import Watermark

logger = logging.getLogger(__name__)

__all__ = ["Health", "Streams", "StreamsConfig"]


def keep_ninety_days(*_: str) -> timedelta:
    """How long everything is kept unless somebody says otherwise."""
    return timedelta(days=90)


class Streams:
    """From the log to the warehouse.

    Parameters
    ----------
    config
        Names, sizes and times.
    log
        Started; its topics exist.
    writer
        Stores blocks, once each.
    clock, metrics
        The hub's.
    seal
        Encrypts dead letters.
    tenant_prices
        A tenant's own prices; called in a thread, must not block.
    retention
        How long a tenant's events, or their contents, are kept; called in a thread, must not block.
    live
        Where live pages of this process get their points from; None: they are in other processes.
    traces
        Of the process.
    """

    def __init__(
        self,
        config: StreamsConfig,
        log: Log,
        writer: Writer,
        clock: Clock,
        metrics: Metrics,
        *,
        seal: Seal,
        tenant_prices: TenantPrices = no_tenant_prices,
        retention: Retention = keep_ninety_days,
        live: LiveFeed | None = None,
        traces: Traces = NO_TRACES,
    ) -> None:
        self._config, self._log, self._clock, self._metrics = config, log, clock, metrics
        self.prices = PriceTable(tenant_prices)
        self.unpriced = UnpricedModels()
        self.watermark = Watermark(range(config.partitions))
        pipeline = Pipeline(self.prices, retention, metrics, self.unpriced)
        self._sink = Sink(config, log, writer, clock, metrics, seal, self.watermark, live, traces)
        self._handler = BlockHandler(config, log, writer, pipeline, self._sink, clock, traces)
        self._stalls = Stalls(config.stall_s)
        self._looked: set[tuple[str, int]] = set()
        self._app: Any = None
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take up the partitions and begin; returns when the agent is running."""
        if self._app is not None:
            return
        self._config.data_dir.mkdir(parents=True, exist_ok=True)
        self._app = build_app(self._config, self._handler, self._clock, self._metrics)
        self._app.finalize()
        await self._app.maybe_start()
        self._watching = asyncio.create_task(self._watch(), name="watch the streams")

    async def stop(self) -> None:
        """Let the block in hand end, commit, and stop."""
        app, self._app = self._app, None
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
        if app is not None:
            await app.stop()

    def check(self) -> Health:
        """How the streams are; never waits."""
        if self._app is None:
            return Health("stopped")
        if (trouble := self.alive()) is not None:
            return trouble
        if self._sink.health.ok and not self._looked >= set(self._mine()):
            return Health("starting", "partitions are being taken up")
        return self._sink.health

    def alive(self) -> Health | None:
        """What only starting the process anew cures; None while there is no such thing."""
        if self._app is None:
            return None
        if self._app.crashed:
            return Health("given_up", f"the worker crashed: {self._app.crash_reason}; start it again")
        if stalled := self._stalls.found(self._clock.monotonic()):
            what, seconds = ", ".join(stalled), f"{self._config.stall_s:.0f} s"
            return Health("stalled", f"partitions {what} have not moved for {seconds} although records wait")
        return None

    def _mine(self) -> list[tuple[str, int]]:
        """The partitions that this worker has at the moment."""
        topics = self._config.topics
        return sorted((tp.topic, tp.partition) for tp in self._app.consumer.assignment() if tp.topic in topics)

    async def _watch(self) -> None:
        """Look at lag and watermark again and again; a worker that does nothing else ends when it is stuck."""
        while True:
            mine = self._mine()
            for partition in self._looked.difference(mine):
                self._let_go(*partition)
            for partition in mine:
                try:
                    await self._look(*partition)
                except HubError as error:
                    self._stalls.excuse(place_name(*partition))
                    logger.warning("%s[%d] cannot be looked at: %s", *partition, error.detail)
            if self._sink.health.state == "waiting":
                self._stalls.excuse()
            if self._config.exit_on_give_up and (trouble := self.alive()) is not None:
                logger.critical("the worker ends, to be started again: %s", trouble.detail)
                os._exit(70)
            await self._clock.sleep(self._config.watch_s)

    def _let_go(self, topic: str, partition: int) -> None:
        """Somebody else's now."""
        self._looked.discard((topic, partition))
        name = place_name(topic, partition)
        self._stalls.excuse(name)
        for gauge in (self._metrics.streams_lag_records, self._metrics.streams_lag_seconds):
            gauge.remove(name)

    async def _look(self, topic: str, partition: int) -> None:
        name, seen_at = place_name(topic, partition), self._clock.now()
        earliest, following = await self._log.range(topic, partition)
        stored = self._handler.stored_through(topic, partition)
        if stored is None or stored < earliest:
            stored = (await self._log.committed(self._config.group, topic, partition) or 0) - 1
        place = max(earliest, stored + 1)
        self._stalls.look(name, place, following, self._clock.monotonic())
        self._metrics.streams_lag_records.labels(name).set(max(0, following - place))
        if place >= following:
            self.watermark.drained(name, seen_at)
        visible = self.watermark.of(name)
        age = 0.0 if visible is None else max(0.0, (seen_at - visible).total_seconds())
        self._metrics.streams_lag_seconds.labels(name).set(age)
        self._looked.add((topic, partition))
