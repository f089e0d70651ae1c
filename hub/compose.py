"""The composition root: builds the parts, starts them in order, stops them in reverse.

It reads like the way of an event::

    metadata → access → log → warehouse → streams → questions → doors → web (doors, endpoints, pages)
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Literal

from fastapi import APIRouter, FastAPI

from access.service import Access
from broker.dead_letters import DeadLetters
from broker.factory import open_log
from broker.live import LiveFeed
from broker.log import Log
from broker.topics import EVENTS, events_topics, lanes, parse_mirrors
from core.clock import Clock, SystemClock
from core.metrics import Metrics
from core.traces import NO_TRACES, Traces
from dashboard.pages import router as pages
from hub import gauges, wiring
from hub.backlog import Backlog
from hub.backup.making import Maker, Stores
from hub.backup.opening import whole
from hub.disk import DiskWatch
from hub.following import PulseFollower, WatermarkFollower
from hub.keeping import Keeping, KeepingConfig
from hub.release import release
from hub.reprocess import Reprocessing
from hub.settings import Settings
from hub.web import build_web
from ingest.bridge.bridge import Bridge
from ingest.doors import DOORS
from ingest.intake import Intake
from ingest.langfuse.held import SqlHeld
from ingest.langfuse.unended import Unended
from ingest.replay import Replay, nothing_known
from ingest.scrape.scraper import Scraper
from query_api.endpoints import ENDPOINTS, OPERATION
from query_api.health import Check, Finding
from semantic.cache import Writes
from semantic.layer import LayerConfig, SemanticLayer, Surroundings
from semantic.sources import warehouse_sources
from semantic.traces import known
from storage.metadata.database import Metadata
from storage.metadata.journal import SqlBlockJournal
from storage.warehouse.client import Warehouse
from storage.warehouse.cluster import Shards
from storage.warehouse.marks import Marks
from storage.warehouse.migrations import migrate
from storage.warehouse.retention import Retention
from storage.warehouse.roller import Roller
from storage.warehouse.writer import Block, BlockWriter
from streams.prices.table import PriceTable
from streams.rolling import Rolling
from streams.runner import Streams
from streams.watermark import Watermark

logger = logging.getLogger("llm_hub")

Role = Literal["all", "ingest", "streams", "api"]

#: What a role answers. ``api`` has the doors too, so that any path works behind any ingress.
_EVERYTHING: Final = (*DOORS, *ENDPOINTS, pages)
_ROUTERS: Final[dict[Role, Sequence[APIRouter]]] = {
    "all": _EVERYTHING,
    "ingest": (*DOORS, *OPERATION),
    "streams": OPERATION,
    "api": _EVERYTHING,
}

Calm = Callable[[], contextlib.AbstractAsyncContextManager[None]]


def _unhindered() -> contextlib.AbstractAsyncContextManager[None]:
    """Where nothing rewrites what is stored, nothing has to wait."""
    return contextlib.nullcontext()


def _all(admit: Sequence[Callable[[], None]]) -> None:
    """Ask one after the other whether more may be taken in; who says no raises."""
    for one in admit:
        one()


class Hub:
    """One process of the hub.

    Parameters
    ----------
    settings
        Resolved settings.
    role
        Which parts run here: ``all`` of them, or those of one role of the scaled-out hub.
    clock
        The time of every part.
    """

    def __init__(self, settings: Settings, role: Role = "all", clock: Clock | None = None) -> None:
        self.settings = settings
        self.role = role
        self.clock: Clock = clock or SystemClock()
        self.metrics = Metrics()
        self.traces: Traces = NO_TRACES
        self.metadata = Metadata(settings.database_url)
        self.warehouse = Warehouse(settings.warehouse_url, wiring.warehouse_config(settings), self.clock, self.metrics)
        self.shards = Shards(self.warehouse)
        self.roller = Roller(self.warehouse, self.clock, shard_of=self.shards.of)
        self.live = LiveFeed()
        self._access: Access | None = None
        self._stack = contextlib.AsyncExitStack()
        self._writes = Writes()
        self._ending = False

    @property
    def access(self) -> Access:
        """Who may do what; there from the start on."""
        assert self._access is not None, "the hub has not been started"
        return self._access

    async def start(self) -> FastAPI:
        """Start every part of the role and return the web application; what has started is stopped if one fails."""
        self.settings.data_dir.mkdir(parents=True, exist_ok=True)
        try:
            return await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Drain and stop, in reverse order. Idempotent."""
        await self._stack.aclose()

    def on_stop(self, stop: Callable[[], Awaitable[None]]) -> None:
        """Have ``stop`` called before anything else is stopped."""
        self._stack.push_async_callback(stop)

    async def _start(self) -> FastAPI:
        settings, clock = self.settings, self.clock
        if traces := wiring.own_traces(settings, self.role):
            self.traces = traces
            self._stack.push_async_callback(asyncio.to_thread, traces.stop)
        await self._part("metadata", self.metadata)
        await self.metadata.migrate()
        await whole(self.metadata, clock)
        access = self._access = Access(self.metadata, clock, wiring.access_config(settings))
        await self._part("access", access)
        log = open_log(settings.broker_url, clock=clock, kafka=wiring.kafka_config(settings))
        await self._part("log", log)
        await self._topics(log)
        disk = DiskWatch(settings.data_dir, settings.min_free_disk_mb << 20, clock, self.metrics)
        await self._part("disk watch", disk)
        checks: dict[str, Check] = {"process": self._staying, "log": log.check, "disk": disk.check}
        lives: dict[str, Check] = {}
        streams = None
        calm: Calm = _unhindered
        if self.role != "ingest":
            await self._open_warehouse()
        if self.role in ("all", "streams"):
            streams = self._streams(access, log)
            await self._part("rollups", Rolling(self.roller, clock, self.metrics, self.traces))
            await self._part("streams", streams)
            keeping = self._keeping(access, log, streams)
            await self._part("keeping", keeping)
            calm = keeping.calm
            checks["streams"], lives["streams"] = streams.check, streams.alive
        watermark = streams.watermark if streams is not None else await self._watermark(log)
        layer = None
        if self.role in ("all", "api"):
            layer = self._questions(access, log, watermark)
            await self._part("questions", layer)
            checks["warehouse"] = layer.ping
        backlog = Backlog(watermark, timedelta(hours=settings.log_retention_hours), clock, self.metrics)
        admitted = [disk.admit]
        if self.role != "streams" and not settings.embedded_log:
            admitted.append(backlog.admit)
            checks["backlog"] = backlog.check
        admit = partial(_all, admitted)
        prices = streams.prices if streams else PriceTable(partial(wiring.tenant_prices, access))
        reprocess = await self._reprocessing(access, prices, calm)
        intake = self._doors(access, log)
        letters = DeadLetters(log, clock, partial(access.box.open, purpose="dead-letters"))
        if self.role in ("all", "ingest"):
            scraper = Scraper(wiring.scrape_config(settings), intake, clock, self.metrics, tenants=access.tenants.ids)
            await self._part("scraper", scraper)
        bridge = Bridge(wiring.bridge_config(settings), intake, clock, self.metrics, tenants=access.tenants.ids)
        if self.role in ("all", "ingest") and settings.bridge_url:
            await self._part("kafka bridge", bridge)
            checks["kafka_bridge"] = bridge.check
        if self.role in ("all", "ingest") and wiring.wants_grpc(settings):
            checks["otlp_grpc"] = await self._otlp_grpc(intake, access, admit)
        held = self._held(access)
        if self.role != "streams":
            await self._part("unended observations", Unended(held, intake, clock, self.metrics))
        services: dict[str, Any] = {
            "access": access,
            "clock": clock,
            "intake": intake,
            "held": held,
            "dead_letters": letters,
            "replay": self._replay(intake, letters, log, layer),
            "admit": admit,
            "semantic": layer,
            "warehouse": self.warehouse,
            "log": log,
            "live": self.live,
            "metrics": self.metrics,
            "traces": self.traces,
            "checks": checks,
            "lives": lives,
            "backup": partial(Maker, Stores(settings, self.metadata, self.warehouse, log, clock), calm),
            "price_table": prices,
            "reprocess": reprocess,
        }
        gauges.watch(self.metrics, self.role, log, self.live, checks, streams)
        return build_web(release(), _ROUTERS[self.role], services)

    async def drain(self) -> None:
        """Say that it ends and go on answering for a while, for whoever spreads the requests to notice."""
        self._ending = True
        if self.settings.drain_s:
            logger.info("draining for %.0f s", self.settings.drain_s)
            await self.clock.sleep(self.settings.drain_s)

    def _staying(self) -> Finding:
        return Finding(False, "ending", "it has been told to stop") if self._ending else Finding(True, "running")

    async def _part(self, name: str, part: Any) -> None:
        """Start a part; it is stopped before those that were started earlier."""
        self._stack.push_async_callback(part.stop)
        await part.start()
        logger.debug("%s started", name)

    async def _topics(self, log: Log) -> None:
        """Make the hub's topics; a hub that is there already keeps the number of partitions it was created with."""
        for topic in wiring.topics(self.settings):
            await log.create_topic(topic)

    async def _open_warehouse(self) -> None:
        await asyncio.to_thread(self.warehouse.open)
        self._stack.push_async_callback(asyncio.to_thread, self.warehouse.close)
        self._stack.push_async_callback(asyncio.to_thread, self.shards.close)
        async with self.metadata.alone():  # of several processes that start, one migrates
            for number in await asyncio.to_thread(migrate, self.warehouse):
                logger.info("warehouse migration %04d done", number)

    def _streams(self, access: Access, log: Log) -> Streams:
        journal = SqlBlockJournal(self.settings.database_url, self.clock)
        self._stack.callback(journal.close)
        writer = BlockWriter(self.warehouse, journal, wiring.GROUP, self.roller, self._stored, self.shards.of)
        return Streams(
            wiring.streams_config(self.settings, log.partitions(EVENTS), alone=self.role == "streams"),
            log,
            writer,
            self.clock,
            self.metrics,
            seal=partial(access.box.seal, purpose="dead-letters"),
            tenant_prices=partial(wiring.tenant_prices, access),
            retention=partial(wiring.retention, access),
            live=self.live if self.role == "all" else None,
            traces=self.traces,
        )

    def _keeping(self, access: Access, log: Log, streams: Streams) -> Keeping:
        retention, forget = Retention(self.warehouse), streams.unpriced.forget
        config = KeepingConfig(topics=events_topics(parse_mirrors(self.settings.mirrors)))
        return Keeping(access, retention, log, self.clock, self.metrics, self._writes.note, forget, config)

    async def _reprocessing(self, access: Access, prices: PriceTable, calm: Calm) -> Reprocessing:
        """What prices history anew, at work where it is asked for; other processes have new prices a moment later."""
        settle_s = 0.0 if self.role == "all" else access.config.refresh_seconds + 1
        changed = self._writes.note
        part = Reprocessing(self.metadata, self.warehouse, self.clock, prices, calm, changed, settle_s)
        if self.role in ("all", "api"):
            await self._part("reprocess", part)
        return part

    def _stored(self, _: Block, earliest: datetime) -> None:
        """Answers that were kept may be out of date now."""
        self._writes.note(earliest)

    async def _watermark(self, log: Log) -> Watermark:
        """Up to when everything is visible, as the log tells it of the streams of other processes."""
        follower = WatermarkFollower(log, wiring.GROUP, log.partitions(EVENTS), self.clock)
        await self._part("watermark", follower)
        if self.role == "api":
            await self._part("pulse", PulseFollower(log, self.live, self.clock))
        return follower.watermark

    def _questions(self, access: Access, log: Log, watermark: Watermark) -> SemanticLayer:
        all_lanes = lanes(parse_mirrors(self.settings.mirrors), log.partitions(EVENTS))
        surroundings = Surroundings(
            rates=partial(wiring.rates, access), watermark=watermark, metrics=self.metrics, traces=self.traces
        )
        if self.role == "all":
            # Nobody else writes: this process knows what is not rolled up yet.
            level = partial(self.roller.level, all_lanes)
            surroundings = replace(surroundings, level=level, holds=self.roller.holds, writes=self._writes)
        if self.settings.warehouse_cluster:
            marks = Marks(self.warehouse, all_lanes)
            surroundings = replace(surroundings, level=marks.level, holds=marks.holds, tries=3)
        # Half of the cores for one question: on small machines the others are asking, and events flow in.
        threads = max(1, (os.cpu_count() or 2) // 2)
        config = LayerConfig(workers=self.settings.query_concurrency, threads=threads)
        return SemanticLayer(self.warehouse, warehouse_sources(all_lanes), self.clock, config, surroundings)

    async def _otlp_grpc(self, intake: Intake, access: Access, admit: Callable[[], None]) -> Check:
        """Open the door of an extra, which is imported only where it is wanted; tells whether it is open."""
        from ingest.grpc.door import GrpcConfig, GrpcDoor

        settings = self.settings
        config = GrpcConfig(settings.host, settings.otlp_grpc_port, required=settings.otlp_grpc == "on")
        door = GrpcDoor(config, intake, access, admit)
        await self._part("OTLP over gRPC", door)
        return door.check

    def _replay(self, intake: Intake, letters: DeadLetters, log: Log, layer: SemanticLayer | None) -> Replay:
        """Dead letters once more; a process without the warehouse cannot ask it for what is stored."""
        return Replay(
            intake,
            letters,
            log,
            self.clock,
            self.metrics,
            again=wiring.record_again,
            remembered=timedelta(seconds=self.settings.dedupe_seconds),
            known=nothing_known if layer is None else partial(known, layer),
        )

    def _held(self, access: Access) -> SqlHeld:
        """Observations that have begun and not ended, sealed."""
        seal, unseal = (partial(one, purpose="held-observations") for one in (access.box.seal, access.box.open))
        return SqlHeld(self.metadata, self.clock, seal, unseal)

    def _doors(self, access: Access, log: Log) -> Intake:
        intake = Intake(
            log,
            self.clock,
            self.metrics,
            partial(access.box.seal, purpose="dead-letters"),
            limits=wiring.limits(self.settings),
            settings=access.settings,
            traces=self.traces,
            types=access.schemas.current,
            region=self.settings.region,
        )
        self._stack.push_async_callback(intake.stop)
        return intake
