"""Stores prepared blocks, until each is stored: failures are waited out, poison goes to the dead letters."""

import asyncio
import logging
import os
import random
from collections.abc import Callable, Sequence
from typing import Protocol

import orjson

from broker.live import LiveFeed
from broker.log import Log, NewRecord, Record
from broker.topics import PULSE, place_name
from core.clock import Clock
from core.errors import Conflict, HubError, Poison
from core.metrics import Metrics
from core.traces import NO_TRACES, Traces
from storage.warehouse.writer import Block, Resume
from streams.config import StreamsConfig
from streams.dead_letters import Seal, dead_letters
from streams.health import Health
from streams.pipeline import Prepared
from streams.publish import metric_records, totals_by_model
from streams.steps.aggregate import aggregate
from streams.steps.pulse import pulse
from streams.threads import to_the_end
from streams.watermark import Watermark

logger = logging.getLogger(__name__)


class Writer(Protocol):
    """What is needed of :class:`storage.warehouse.writer.BlockWriter`. Blocking."""

    def resume(self, topic: str, partition: int) -> Resume: ...

    def write(self, block: Block) -> None: ...

    def skip(self, block: Block) -> None: ...


class Sink:
    """The end of the pipeline.

    Parameters
    ----------
    config, log, writer, clock, metrics
        See :class:`streams.runner.Streams`.
    seal
        Encrypts dead letters.
    watermark
        Raised by every stored block.
    live
        Is handed a point a second of every tenant that is watched; None: the points of all tenants go to ``hub.pulse``.
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
        seal: Seal,
        watermark: Watermark,
        live: LiveFeed | None,
        traces: Traces = NO_TRACES,
    ) -> None:
        self._config, self._log, self._writer, self._clock = config, log, writer, clock
        self._metrics, self._seal, self._watermark, self._live = metrics, seal, watermark, live
        self._traces = traces
        self._jitter = random.Random()  # noqa: S311 - spreads retries, protects nothing
        self._poison = 0
        self.health = Health("running")

    async def store(self, prepared: Prepared) -> None:
        """Store a block and send on what it says; returns when it is stored, whatever that takes.

        Raises
        ------
        Conflict
            Somebody else writes this partition: its state must be read anew.
        Poison
            Too much in a row is wrong; given up.
        """
        records = prepared.work.records
        wrong = [(records[one.index], one.reason) for one in prepared.work.rejected]
        if wrong:
            await self._bury(wrong, "decode", good=len(records) - len(wrong))
        stored = await self._write(prepared)
        if not stored:
            return
        self._poison = self._poison if wrong and len(wrong) == len(records) else 0
        self._metrics.streams_rows.inc(prepared.rows)
        self._metrics.streams_block_rows.observe(prepared.rows)
        self._metrics.streams_block_records.observe(len(records))
        place = place_name(prepared.block.topic, prepared.block.partition)
        self._watermark.stored(place, prepared.last_timestamp_ms)
        if prepared.rows:
            await self._send_on(prepared)

    async def _write(self, prepared: Prepared) -> bool:
        """Whether the block is stored (and not buried)."""
        write = self._writer.write if prepared.rows else self._writer.skip
        try:
            with self._traces.span("insert", "client") as span, self._metrics.streams_store_seconds.time():
                span.set("llm_hub.rows", prepared.rows)
                await self._until_done(lambda: write(prepared.block))
                self._traces.leave("stored")
        except Poison as error:
            logger.exception("the warehouse refuses %s", _name(prepared.block))
            await self._bury([(record, error.detail) for record in prepared.work.records], "store")
            await self._until_done(lambda: self._writer.skip(prepared.block))
            self._metrics.streams_blocks.labels("poison").inc()
            return False
        self._metrics.streams_blocks.labels("stored" if prepared.rows else "empty").inc()
        return True

    async def _until_done(self, action: Callable[[], None]) -> None:
        """Try until it works; between tries the pause doubles, with jitter, and the offset stays where it is."""
        pause = self._config.retry_s
        while True:
            try:
                await to_the_end(action)
            except (Poison, Conflict):
                raise
            except Exception as error:
                self._metrics.streams_retries.inc()
                detail = error.detail if isinstance(error, HubError) else f"{type(error).__name__}: {error}"
                self.health = Health("waiting", detail)
                logger.warning("storing failed, again in about %.1f s: %s", pause, detail)
                await self._clock.sleep(pause * self._jitter.uniform(0.5, 1.0))
                pause = min(2 * pause, self._config.retry_max_s)
            else:
                self.health = Health("running")
                return

    async def _bury(self, wrong: Sequence[tuple[Record, str]], stage: str, good: int = 0) -> None:
        """Put records into the dead letters; give up when too many in a row are wrong."""
        self._poison += len(wrong)
        if self._poison > self._config.poison_in_a_row and not good:
            self._give_up(
                f"{self._poison} records in a row cannot be processed; the last: {wrong[-1][1]}. Nothing more is read "
                "and nothing is lost: see `llm-hub dead-letters list --stage decode`, cure the cause, start again, or "
                "raise LLM_HUB_POISON_IN_A_ROW to have all of them put into the dead letters"
            )
        self._metrics.streams_poison.labels(stage).inc(len(wrong))
        letters = dead_letters(wrong, stage, self._seal, self._clock.now())
        pause = self._config.retry_s
        while True:
            try:
                await self._log.append(letters)
            except HubError as error:
                self.health = Health("waiting", error.detail)
                await self._clock.sleep(pause * self._jitter.uniform(0.5, 1.0))
                pause = min(2 * pause, self._config.retry_max_s)
            else:
                return

    def _give_up(self, reason: str) -> None:
        self.health = Health("given_up", reason)
        logger.critical("the streams stop: %s", reason)
        if self._config.exit_on_give_up:
            os._exit(70)
        raise Poison(reason)

    async def _send_on(self, prepared: Prepared) -> None:
        """What others read of a stored block. It can be made again from the warehouse: a failure is only counted."""
        try:
            await self._publish(prepared)
        except Exception:
            self._metrics.streams_failures.labels("metrics").inc()
            logger.exception("aggregates of %s were not sent", _name(prepared.block))
        if self._live is not None and (watched := self._live.tenants):
            for tenant, points in pulse(prepared.work.table, watched).items():
                self._live.publish(tenant, points)

    async def _publish(self, prepared: Prepared) -> None:
        records = await asyncio.to_thread(self._aggregated, prepared)
        if self._live is None:  # the pages are in other processes
            points = await asyncio.to_thread(pulse, prepared.work.table)
            records.append(NewRecord(PULSE, 0, None, orjson.dumps(points)))
        await self._log.append(records)

    def _aggregated(self, prepared: Prepared) -> list[NewRecord]:
        aggregates = aggregate(prepared.work.table)
        for total in totals_by_model(aggregates):
            model = self._metrics.bounded("model", total.model)
            self._metrics.gateway_tokens.labels(model, "input").inc(total.input_tokens)
            self._metrics.gateway_tokens.labels(model, "output").inc(total.output_tokens)
            self._metrics.gateway_cost.labels(model).inc(total.cost_usd)
        return metric_records(aggregates, prepared.block, self._config.partitions)


def _name(block: Block) -> str:
    return f"{block.topic}[{block.partition}] {block.first_offset}–{block.last_offset}"
