"""Blocks of records from the log, to the sink: in order, each record once, also after a restart.

A partition is taken up where the warehouse has it: records that are stored already are skipped; a block that was begun
and perhaps stored in part is read again and sent once more, with exactly the same records; and what happened before
decides about repetitions as it did then, because the ids before the block are read again.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from broker.blocks import RecordBlock
from broker.log import Log, Record
from broker.trace_headers import traces_of
from core.clock import Clock
from core.errors import HubError, Poison
from core.traces import NO_TRACES, Traces, Value
from streams.config import StreamsConfig
from streams.pipeline import Pipeline, Prepared
from streams.sink import Sink, Writer
from streams.steps.decode import Rejected
from streams.steps.dedupe import Deduper
from streams.tail import read_exactly, restored

logger = logging.getLogger(__name__)

_ROWS_HEADER: Final = "rows"


@dataclass(slots=True)
class Place:
    """Where a partition stands: records up to ``stored_through`` are stored, ``next_offset`` is what the ids expect."""

    stored_through: int
    resend: tuple[int, int] | None
    next_offset: int = -1
    deduper: Deduper | None = None


def rows_of(record: Record) -> int:
    """How many events a record says it has."""
    for name, value in record.headers:
        if name == _ROWS_HEADER and value.isdigit():
            return int(value)
    return 1


class BlockHandler:
    """Handles the blocks of all partitions, one after the other.

    Idempotent: a block that comes again after an error, a crash or a rebalance changes nothing twice. An error forgets
    what is known of the partition, and the next attempt begins with reading it again.
    """

    def __init__(
        self,
        config: StreamsConfig,
        log: Log,
        writer: Writer,
        pipeline: Pipeline,
        sink: Sink,
        clock: Clock,
        traces: Traces = NO_TRACES,
    ) -> None:
        self._config, self._log, self._writer = config, log, writer
        self._pipeline, self._sink, self._clock = pipeline, sink, clock
        self._traces = traces
        self._places: dict[tuple[str, int], Place] = {}

    def stored_through(self, topic: str, partition: int) -> int | None:
        """The highest stored offset of a partition; None while it is not known."""
        place = self._places.get((topic, partition))
        return None if place is None else place.stored_through

    def forget(self, partitions: Iterable[tuple[str, int]]) -> None:
        """These belong to somebody else now."""
        for partition in partitions:
            self._places.pop(partition, None)

    async def take_up(self, partitions: Iterable[tuple[str, int]]) -> None:
        """Look where these stand before their first block comes: what was stored last may not be in the rollups."""
        for partition in partitions:
            try:
                await self.place(*partition)
            except HubError:
                logger.warning("%s[%d] is taken up with its first block", *partition, exc_info=True)

    async def handle(self, block: RecordBlock) -> None:
        """Store everything of a block that is not stored yet."""
        if self._sink.health.state == "given_up":
            raise Poison(self._sink.health.detail)
        causes = traces_of(block.records) if self._traces.on else ()
        told: dict[str, Value] = {
            "messaging.destination.name": block.topic,
            "messaging.destination.partition.id": str(block.partition),
            "messaging.batch.message_count": len(block.records),
        }
        with self._traces.span(f"process {block.topic}", "consumer", attributes=told, caused_by=causes) as span:
            span.set("llm_hub.rows", block.rows)
            await self._handle(block)

    async def _handle(self, block: RecordBlock) -> None:
        key = (block.topic, block.partition)
        try:
            place = await self.place(*key)
            await self._resend(key, place)
            records = [record for record in block.records if record.offset > place.stored_through]
            await self._store(place, self._pieces(records))
        except BaseException:
            # The ids of this block may be remembered although it is not stored: read anew, or its events would be lost.
            self._places.pop(key, None)
            raise

    async def place(self, topic: str, partition: int) -> Place:
        """Where a partition stands, asked of the journal when it is not known."""
        known = self._places.get((topic, partition))
        if known is None:
            resume = await asyncio.to_thread(self._writer.resume, topic, partition)
            through = -1 if resume.stored_through is None else resume.stored_through
            known = self._places[topic, partition] = Place(through, resume.resend)
        return known

    async def _resend(self, key: tuple[str, int], place: Place) -> None:
        """Finish a block that a process before this one has begun."""
        if place.resend is None:
            return
        first, last = place.resend
        logger.info("sending %s[%d] %d–%d again", *key, first, last)
        records = await read_exactly(self._log, *key, first, last)
        if records:
            await self._store(place, [records], bounds=(first, last))
        place.resend, place.stored_through = None, max(place.stored_through, last)

    def _pieces(self, records: Sequence[Record]) -> list[list[Record]]:
        """Cut into runs of at most a block's rows."""
        pieces: list[list[Record]] = []
        rows = 0
        for record in records:
            count = rows_of(record)
            if not pieces or rows + count > self._config.block_rows:
                pieces.append([])
                rows = 0
            pieces[-1].append(record)
            rows += count
        return pieces

    async def _store(self, place: Place, pieces: list[list[Record]], bounds: tuple[int, int] | None = None) -> None:
        """Store runs of records; each is prepared while the one before it is being stored."""
        storing: asyncio.Task[None] | None = None
        try:
            for piece in pieces:
                prepared = await self._prepare(place, piece, bounds)
                if storing is not None:
                    await storing
                storing = asyncio.create_task(self._keep(place, prepared), name="store block")
            if storing is not None:
                await storing
        except asyncio.CancelledError:
            if storing is not None:
                storing.cancel()
            raise
        finally:
            # The thread of an insert cannot be stopped: another attempt must not overtake it.
            if storing is not None:
                await asyncio.wait([storing])

    async def _keep(self, place: Place, prepared: Prepared) -> None:
        await self._sink.store(prepared)
        place.stored_through = max(place.stored_through, prepared.block.last_offset)

    async def _prepare(self, place: Place, records: list[Record], bounds: tuple[int, int] | None) -> Prepared:
        await self._follow(place, records[0])
        try:
            prepared = await self._steps(place, records, bounds)
        except Exception:
            logger.exception("preparing offsets %d–%d failed", records[0].offset, records[-1].offset)
            prepared = await self._without_offenders(place, records, bounds)
        place.next_offset = records[-1].offset + 1
        return prepared

    async def _steps(
        self, place: Place, records: list[Record], bounds: tuple[int, int] | None, aside: Sequence[Rejected] = ()
    ) -> Prepared:
        now = self._clock.now()
        with self._traces.span("prepare"):
            return await asyncio.to_thread(self._pipeline.prepare, records, place.deduper, now, bounds, aside)

    async def _follow(self, place: Place, record: Record) -> None:
        """Have the ids of exactly the events before this record."""
        if self._config.window.is_open and (place.deduper is None or place.next_offset != record.offset):
            place.deduper = await restored(self._log, record, self._config.window)

    async def _without_offenders(self, place: Place, records: list[Record], bounds: tuple[int, int] | None) -> Prepared:
        """A step failed: find the records that make it fail, and put them aside.

        When every record fails it is not the records: the error goes up, and the block is tried again.
        """
        aside = []
        for index, record in enumerate(records):
            try:
                await asyncio.to_thread(self._pipeline.prepare, [record], None, self._clock.now())
            except Exception as error:
                aside.append(Rejected(index, f"{type(error).__name__}: {error}"))
        if len(aside) in (0, len(records)):
            raise aside_error(aside)
        place.deduper = None
        await self._follow(place, records[0])
        return await self._steps(place, records, bounds, aside)


def aside_error(aside: Sequence[Rejected]) -> Exception:
    """What is raised when putting records aside does not help."""
    reason = aside[0].reason if aside else "only together do its records fail"
    return Poison(f"The block cannot be prepared: {reason}")
