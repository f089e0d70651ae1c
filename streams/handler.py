"""Blocks of records from the log, to the sink: in order, each record once, also after a restart.

A partition is taken up where the warehouse has it: records that are stored already are skipped; a block that was begun
and perhaps stored in part is read again and sent once more, with exactly the same records; and what happened before
decides about repetitions as it did then, because the ids before the block are read again.

Where other regions are mirrored, partition p is that of several topics: the hub's own and one of each region. A client
that fails over sends again to one region what another had accepted, so an event may be in two of them, and by its key
it is in partition p of both. It counts once, whatever dies when:

- All topics of p share one memory of ids, so the second to come is a repetition. Blocks of p are handled one at a time.
- A block that was begun is finished before any block of any topic of p. So when a block is prepared, everything that
  was ever begun beside it is stored: nothing is half there.
- A memory that is read anew knows, of the block's own topic, the ids before the block, and of each other topic those of
  the records that are stored. When a block is sent again, that is what was known when it was begun, as nothing of p can
  have been stored in between: it is decided as it was then (but for what is at the very edge of the window).
- All of this holds for one worker. Another that believes that p is still its own cannot spoil it: a block names how far
  the other topics were stored when its repetitions were looked up, and the journal, in the transaction that begins it,
  refuses it if they are further now, or if a block of them is begun. Then, as after every error, all is read anew.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import pyarrow as pa

from broker.blocks import RecordBlock
from broker.log import Log, Record
from broker.trace_headers import traces_of
from core.clock import Clock
from core.errors import HubError, Poison
from core.traces import NO_TRACES, Traces, Value
from storage.warehouse.writer import Block
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
    """Where a partition of a topic stands.

    Records up to ``stored_through`` are stored; ``next_offset`` is the first one whose ids are not remembered.
    """

    topic: str
    partition: int
    stored_through: int
    resend: tuple[int, int] | None
    next_offset: int = -1


@dataclass(slots=True)
class _Shared:
    """What the partitions of one number have in common: one memory of ids, whatever topic they came by."""

    places: dict[str, Place] = field(default_factory=dict)
    deduper: Deduper | None = None

    def beside(self, place: Place) -> tuple[tuple[str, int], ...]:
        """The other topics, and how far each is stored."""
        return tuple((other.topic, other.stored_through) for other in self.places.values() if other is not place)


def rows_of(record: Record) -> int:
    """How many events a record says it has."""
    for name, value in record.headers:
        if name == _ROWS_HEADER and value.isdigit():
            return int(value)
    return 1


class BlockHandler:
    """Handles the blocks of all partitions, one after the other.

    Idempotent: a block that comes again after an error, a crash or a rebalance changes nothing twice. An error forgets
    what is known of the partition in all topics, and the next attempt begins with reading it again.
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
        self._shared: dict[int, _Shared] = {}
        self._asking = asyncio.Lock()

    def stored_through(self, topic: str, partition: int) -> int | None:
        """The highest stored offset of a partition; None while it is not known."""
        shared = self._shared.get(partition)
        place = None if shared is None else shared.places.get(topic)
        return None if place is None else place.stored_through

    def forget(self, partitions: Iterable[tuple[str, int]]) -> None:
        """These belong to somebody else now."""
        for _, partition in partitions:
            self._shared.pop(partition, None)

    async def take_up(self, partitions: Iterable[tuple[str, int]]) -> None:
        """Look where these stand before their first block comes: what was stored last may not be in the rollups."""
        for topic, partition in partitions:
            try:
                await self._place(self._of(partition), topic, partition)
            except HubError:
                logger.warning("%s[%d] is taken up with its first block", topic, partition, exc_info=True)

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
        shared = self._of(block.partition)
        try:
            for topic in self._config.topics:
                await self._place(shared, topic, block.partition)
            for place in shared.places.values():
                await self._resend(shared, place)
            place = shared.places[block.topic]
            records = [record for record in block.records if record.offset > place.stored_through]
            await self._store(shared, place, self._pieces(records))
        except BaseException:
            # The ids of this block may be remembered although it is not stored: read anew, or its events would be lost.
            self._shared.pop(block.partition, None)
            raise

    def _of(self, partition: int) -> _Shared:
        return self._shared.setdefault(partition, _Shared())

    async def _place(self, shared: _Shared, topic: str, partition: int) -> Place:
        """Where a partition stands, asked of the journal when it is not known."""
        async with self._asking:
            if (known := shared.places.get(topic)) is None:
                resume = await asyncio.to_thread(self._writer.resume, topic, partition)
                through = -1 if resume.stored_through is None else resume.stored_through
                known = shared.places[topic] = Place(topic, partition, through, resume.resend)
            return known

    async def _resend(self, shared: _Shared, place: Place) -> None:
        """Finish a block that a process before this one has begun."""
        if place.resend is None:
            return
        first, last = place.resend
        logger.info("sending %s[%d] %d–%d again", place.topic, place.partition, first, last)
        records = await read_exactly(self._log, place.topic, place.partition, first, last)
        if records:
            await self._store(shared, place, [records], bounds=(first, last))
        else:  # the log has none of them any more
            await asyncio.to_thread(self._writer.skip, Block(place.topic, place.partition, first, last, pa.table({})))
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

    async def _store(
        self, shared: _Shared, place: Place, pieces: list[list[Record]], bounds: tuple[int, int] | None = None
    ) -> None:
        """Store runs of records; each is prepared while the one before it is being stored."""
        storing: asyncio.Task[None] | None = None
        try:
            for piece in pieces:
                prepared = await self._prepare(shared, place, piece, bounds)
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

    async def _prepare(
        self, shared: _Shared, place: Place, records: list[Record], bounds: tuple[int, int] | None
    ) -> Prepared:
        await self._follow(shared, place, records[0])
        try:
            prepared = await self._steps(shared, records, bounds)
        except Exception:
            logger.exception("preparing offsets %d–%d failed", records[0].offset, records[-1].offset)
            prepared = await self._without_offenders(shared, place, records, bounds)
        place.next_offset = records[-1].offset + 1
        if shared.deduper is not None and (beside := shared.beside(place)):
            prepared = replace(prepared, block=replace(prepared.block, beside=beside))
        return prepared

    async def _steps(
        self, shared: _Shared, records: list[Record], bounds: tuple[int, int] | None, aside: Sequence[Rejected] = ()
    ) -> Prepared:
        now = self._clock.now()
        with self._traces.span("prepare"):
            return await asyncio.to_thread(self._pipeline.prepare, records, shared.deduper, now, bounds, aside)

    async def _follow(self, shared: _Shared, place: Place, record: Record) -> None:
        """Have the ids of exactly the events before this record, and of those that are stored beside it."""
        if self._config.window.is_open and (shared.deduper is None or place.next_offset != record.offset):
            beside = shared.beside(place)
            shared.deduper = await restored(self._log, record, self._config.window, beside)
            for topic, through in beside:
                shared.places[topic].next_offset = through + 1

    async def _without_offenders(
        self, shared: _Shared, place: Place, records: list[Record], bounds: tuple[int, int] | None
    ) -> Prepared:
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
        shared.deduper = None
        await self._follow(shared, place, records[0])
        return await self._steps(shared, records, bounds, aside)


def aside_error(aside: Sequence[Rejected]) -> Exception:
    """What is raised when putting records aside does not help."""
    reason = aside[0].reason if aside else "only together do its records fail"
    return Poison(f"The block cannot be prepared: {reason}")
