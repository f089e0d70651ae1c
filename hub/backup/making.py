"""Makes a backup of a hub, running or not, as of one moment.

The moment is the *cut*: how far the journal of stored blocks is in each partition. Of the events and their contents,
all that blocks up to the cut have brought are taken, whatever is stored meanwhile; what the log holds behind the cut
goes along as records, and so do the records just before it, by which retries are recognised. The rollups are read
before the cut: what they lack of it is folded after a restore, by their own marks.
"""

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import text

from broker.log import Log, Record
from broker.topics import DEAD_LETTERS, EVENTS
from core.clock import Clock
from core.errors import Conflict, Poison, Retryable
from hub import wiring
from hub.backup import blocks, rows, secrets
from hub.backup.archive import FORMAT, HEADER, VERSION, Writing
from hub.release import release
from hub.settings import Settings
from storage.metadata.database import Metadata
from storage.metadata.engine import READ_ONLY, make_sync_engine
from storage.metadata.jobs import Jobs
from storage.metadata.journal import SqlBlockJournal, Stand
from storage.warehouse.client import Warehouse
from storage.warehouse.migrations import check
from storage.warehouse.rollups import LANE_BITS, ROLLUPS
from streams.handler import rows_of
from streams.steps.decode import decode_record
from streams.tail import SLACK_MS, read_exactly

T = TypeVar("T")

#: Records read at a time.
_STEP: Final = 256
#: The job that rewrites what is stored: no moment of it is to be kept.
REPROCESS: Final = "reprocess"


@dataclass(frozen=True, slots=True)
class Stores:
    """What a hub consists of, all of it open."""

    settings: Settings
    metadata: Metadata
    warehouse: Warehouse
    log: Log
    clock: Clock


@dataclass(frozen=True, slots=True)
class Cut:
    """The moment of a backup: partition → how far it was stored, and where its log ended."""

    stands: dict[int, Stand]
    ends: dict[int, int]

    def events_sql(self) -> str:
        """Condition on ``events``: rows that were stored by then."""
        parts = [
            f"NOT (position > {stand.position} AND position < {(number + 1) << LANE_BITS})"
            for number, stand in self.stands.items()
        ]
        return " AND ".join(parts)


class Maker:
    """Makes one backup.

    Parameters
    ----------
    stores
        Of the hub; a running one goes on.
    calm
        Held from the rollups to the events: whatever rewrites what is stored waits meanwhile.
    """

    def __init__(self, stores: Stores, calm: Callable[[], Any]) -> None:
        self._stores, self._calm = stores, calm
        self._writing = Writing()
        self._totals: dict[str, Any] = {}

    async def expected_bytes(self) -> int:
        """About how large it will be."""
        text = "SELECT sum(data_compressed_bytes) FROM system.parts WHERE active AND database = {database:String}"
        values = {"database": self._stores.warehouse.database}
        found = await asyncio.to_thread(self._stores.warehouse.query, text, values)
        return int(found.scalar()) + (1 << 20)

    async def pieces(self) -> AsyncGenerator[bytes]:
        """The bytes of the file.

        Raises
        ------
        Conflict
            History is being priced anew: come again when that is done.
        Retryable
            A part does not answer.
        """
        async with self._undisturbed():
            yield await self._header()
            for rollup in ROLLUPS:
                async for piece in self._table(rollup.name, blocks.rollup_sql(rollup), blocks.BYTES):
                    yield piece
            cut = await self._cut()
            async for piece in self._payloads(cut):
                yield piece
            async for piece in self._metadata():
                yield piece
            async for piece in self._log(cut):
                yield piece
            columns = ", ".join(blocks.EVENTS)
            wanted = f"SELECT {columns} FROM events WHERE {cut.events_sql()}"  # noqa: S608 - own names and numbers
            async for piece in self._table("events", wanted, blocks.STREAM_SETTINGS):
                yield piece
        yield self._writing.end(self._totals)

    @asynccontextmanager
    async def _undisturbed(self) -> AsyncIterator[None]:
        """Nothing that is stored is written anew meanwhile, here or in another process."""
        jobs = Jobs(self._stores.metadata, self._stores.clock)
        if await jobs.get(REPROCESS) is not None:
            raise Conflict("History is being priced anew (llm-hub reprocess); make the backup when that is done.")
        async with self._calm():
            yield
        if await jobs.get(REPROCESS) is not None:
            raise Conflict("Pricing history anew was begun meanwhile; make the backup again when that is done.")

    async def _header(self) -> bytes:
        stores = self._stores
        header = {
            "format": FORMAT,
            "version": VERSION,
            "id": uuid.uuid4().hex,
            "release": release(),
            "made_at": stores.clock.now(),
            "partitions": stores.log.partitions(EVENTS),
            "metadata": await stores.metadata.current(),
            "warehouse": max((await asyncio.to_thread(check, stores.warehouse)).applied, default=0),
        }
        return self._writing.member(HEADER, orjson.dumps(header, option=orjson.OPT_INDENT_2))

    async def _table(self, name: str, sql: str, settings: Any) -> AsyncIterator[bytes]:
        stream = self._stores.warehouse.arrow_stream(sql, settings=settings)
        async for piece in self._batches(name, in_a_thread(stream)):
            yield piece

    async def _batches(self, name: str, batches: AsyncIterator[pa.RecordBatch]) -> AsyncIterator[bytes]:
        totals, number = blocks.Totals(), 0
        async for batch in batches:
            table = pa.Table.from_batches([batch])
            if table.num_rows:
                totals.add(table)
                content = await asyncio.to_thread(blocks.packed, table)
                yield self._writing.member(f"{name}/{number:06}.arrow", content, table.num_rows)
                number += 1
        self._totals[name] = totals.told()

    async def _cut(self) -> Cut:
        stands = await self._stands()
        log = self._stores.log
        ends = {number: (await log.range(EVENTS, number))[1] for number in stands}
        found = {number: await self._positioned(number, stand) for number, stand in stands.items()}
        self._totals["cut"] = {str(number): stand.last for number, stand in found.items()}
        return Cut(found, ends)

    async def _stands(self) -> dict[int, Stand]:
        def ask() -> dict[int, Stand]:
            journal = SqlBlockJournal(self._stores.settings.database_url)
            try:
                return journal.stands(wiring.GROUP, EVENTS)
            finally:
                journal.close()

        found = await asyncio.to_thread(ask)
        return {number: found.get(number, Stand()) for number in range(self._stores.log.partitions(EVENTS))}

    async def _positioned(self, number: int, stand: Stand) -> Stand:
        """With the position that it reaches, which a journal of an earlier release does not tell."""
        first = number << LANE_BITS
        if stand.position is not None or stand.last < 0:
            return Stand(stand.last, first if stand.position is None else stand.position, stand.pending)
        if stand.pending is not None:
            raise Retryable("The hub was ended in the middle of a block: start it once, then make the backup.")
        text = "SELECT max(position) FROM events WHERE position >= {low:UInt64} AND position < {high:UInt64}"
        values = {"low": first, "high": (number + 1) << LANE_BITS}
        found = await asyncio.to_thread(self._stores.warehouse.query, text, values)
        return Stand(stand.last, max(first, int(found.scalar())), None)

    async def _payloads(self, cut: Cut) -> AsyncIterator[bytes]:
        """Contents of events up to the cut. They have no position: what came later is known from the log."""
        columns = ", ".join(blocks.PAYLOADS)
        text = f"SELECT {columns} FROM payloads"  # noqa: S608 - the hub's own names
        batches = in_a_thread(self._stores.warehouse.arrow_stream(text, settings=blocks.STREAM_SETTINGS))
        first = await anext(batches, None)  # from here on the engine shows no row that comes later
        late = await self._late(cut) if first is not None else _Keys()

        async def earlier() -> AsyncIterator[pa.RecordBatch]:
            if first is not None:
                yield late.without(first)
                async for batch in batches:
                    yield late.without(batch)

        async for piece in self._batches("payloads", earlier()):
            yield piece

    async def _late(self, cut: Cut) -> "_Keys":
        """Events of blocks that were begun behind the cut, by now."""
        keys = _Keys()
        for number, stand in (await self._stands()).items():
            last = max(stand.last, -1 if stand.pending is None else stand.pending)
            low = cut.stands[number].last + 1
            for first in range(low, last + 1, _STEP):
                through = min(last, first + _STEP - 1)
                for record in await read_exactly(self._stores.log, EVENTS, number, first, through):
                    keys.add(record)
        return keys

    async def _metadata(self) -> AsyncIterator[bytes]:
        """Every table, all of one moment, and the keys."""
        async for name, content, count in in_a_thread(self._rows()):
            yield self._writing.member(name, content, count)
        content = await asyncio.to_thread(secrets.packed, self._stores.settings)
        yield self._writing.member(secrets.MEMBER, content)

    def _rows(self) -> Generator[tuple[str, bytes, int]]:
        engine = make_sync_engine(self._stores.settings.database_url)
        options: dict[str, Any] = {READ_ONLY: True}
        if engine.dialect.name == "postgresql":
            options["isolation_level"] = "REPEATABLE READ"
        try:
            with engine.connect().execution_options(**options) as connection, connection.begin():
                if engine.dialect.name == "postgresql":  # whoever takes the bytes may be slow
                    connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
                for table in rows.tables():
                    total = 0
                    for number, (content, count) in enumerate(rows.pages(connection, table)):
                        total += count
                        yield f"metadata/{table.name}/{number:06}.jsonl.zst", content, count
                    self._totals[f"metadata/{table.name}"] = {"rows": total}
        finally:
            engine.dispose()

    async def _log(self, cut: Cut) -> AsyncIterator[bytes]:
        """Records that are not stored yet, those by which retries are recognised, dead letters and marks."""
        for number, stand in cut.stands.items():
            waiting = await self._first_waiting(number, stand, cut.ends[number])
            start = await self._window_start(number, stand.last + 1, waiting)
            async for piece in self._records(EVENTS, number, start, stand.last + 1, stored=True):
                yield piece
            async for piece in self._records(EVENTS, number, stand.last + 1, cut.ends[number], stored=False):
                yield piece
        earliest, end = await self._stores.log.range(DEAD_LETTERS, 0)
        async for piece in self._records(DEAD_LETTERS, 0, earliest, end, stored=True):
            yield piece
        marks = [mark async for mark in self._stores.log.marks()]
        for first in range(0, len(marks), 1000):
            content = blocks.packed(blocks.mark_table(marks[first : first + 1000]))
            yield self._writing.member(f"marks/{first // 1000:06}.arrow", content, len(marks[first : first + 1000]))
        self._totals["marks"] = {"rows": len(marks)}

    async def _records(self, topic: str, number: int, first: int, end: int, *, stored: bool) -> AsyncIterator[bytes]:
        kind = "stored" if stored else "waiting"
        count = 0
        while first < end:
            records = await self._stores.log.read(topic, number, first, max_records=_STEP)
            records = [record for record in records if record.offset < end]
            if not records:
                break
            content = await asyncio.to_thread(blocks.packed, blocks.record_table(records, stored))
            name = f"log/{topic}/{number}/{kind}/{count:06}.arrow"
            yield self._writing.member(name, content, len(records))
            first, count = records[-1].offset + 1, count + 1

    async def _first_waiting(self, number: int, stand: Stand, end: int) -> Record | None:
        if stand.last + 1 >= end:
            return None
        found = await self._stores.log.read(EVENTS, number, stand.last + 1, max_records=1)
        return found[0] if found else None

    async def _window_start(self, number: int, end: int, waiting: Record | None) -> int:
        """The first record before ``end`` that decides about repetitions of what is still to come."""
        settings, now = self._stores.settings, self._stores.clock.now()
        window = wiring.streams_config(settings, 1).window
        newest_ms = int(now.timestamp() * 1000)
        if waiting is not None:
            newest_ms = min(newest_ms, waiting.timestamp_ms)
        since = newest_ms - window.seconds * 1000 - SLACK_MS
        earliest, _ = await self._stores.log.range(EVENTS, number)
        start, count = end, 0
        while start > earliest and count <= window.total:
            first = max(earliest, start - _STEP)
            records = await read_exactly(self._stores.log, EVENTS, number, first, start - 1)
            recent = [record for record in records if record.timestamp_ms >= since]
            count += sum(map(rows_of, recent))
            if recent:
                start = recent[0].offset
            if len(recent) < len(records) or not records:
                break
            start = first
        return start


class _Keys:
    """Which events came behind the cut: their ids, and when each was received."""

    def __init__(self) -> None:
        self._keys: set[tuple[bytes, int]] = set()

    def add(self, record: Record) -> None:
        """The events of a record; one that is none has none."""
        with suppress(Poison):
            table = decode_record(record.value, ("id", "received_at"))
            self._keys.update(_keys_of(table))

    def without(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows that are not of these events."""
        if not self._keys:
            return batch
        table = pa.Table.from_batches([batch])
        keep = np.fromiter((key not in self._keys for key in _keys_of(table)), np.bool_, table.num_rows)
        return batch.filter(pa.array(keep))


def _keys_of(table: pa.Table) -> Iterator[tuple[bytes, int]]:
    ids = table.column("id")
    if isinstance(ids.type, pa.UuidType):
        ids = pa.chunked_array([chunk.storage for chunk in ids.chunks], pa.binary(16))
    received = pc.cast(table.column("received_at"), pa.int64())
    return zip(ids.to_pylist(), received.to_pylist(), strict=True)


async def in_a_thread(found: Generator[T]) -> AsyncIterator[T]:
    """What a blocking generator gives, from one thread of its own; closed at the end, however that comes."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="backup")
    loop = asyncio.get_running_loop()
    try:
        while (item := await loop.run_in_executor(thread, next, found, None)) is not None:
            yield item
    finally:
        thread.submit(found.close)
        thread.shutdown(wait=False)
