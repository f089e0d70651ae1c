"""The embedded log: :class:`SqliteLog`."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from broker.embedded import registry
from broker.embedded.catalogue import Catalogue
from broker.embedded.config import SqliteLogConfig
from broker.embedded.groups import TopicPartition, commit, forget_group, read_commits
from broker.embedded.reader import Readers, first_offset_since, read_records
from broker.embedded.retention import retain
from broker.embedded.schema import connect
from broker.embedded.tail import Tail
from broker.embedded.topics import create_topic
from broker.embedded.transaction import Transaction, find_mark, marks_after
from broker.embedded.wakeups import Wakeups
from broker.embedded.writer import Writer, WriterCounts
from broker.log import LogHealth, Mark, NewRecord, Position, Record, TopicConfig, as_marks
from core.clock import Clock
from core.errors import HubError, TooLarge

logger = logging.getLogger(__name__)

#: What a request weighs in the queue beside its values.
_OVERHEAD = 256


class SqliteLog:
    """A durable log in one SQLite file (WAL); implements :class:`broker.log.Log`.

    Any number of processes may read and append; group commit, retention and wake-ups are at their best in one.

    Parameters
    ----------
    path
        The file; created where missing. ``-wal``, ``-shm`` and ``.<group>.lock`` files lie beside it.
    clock
        Stamps records, expires marks, paces retention and the look for other processes' appends.
    config
        Sizes and times.
    """

    def __init__(self, path: Path, clock: Clock, config: SqliteLogConfig | None = None) -> None:
        self.path = path.resolve()
        self.config = config or SqliteLogConfig()
        self._clock = clock
        self._catalogue = Catalogue()
        self._tail = Tail(self.config.tail_bytes)
        self._wakeups = Wakeups()
        self._writer = Writer(self.path, self.config, clock, self._catalogue, self._tail, self._wakeups)
        self._readers = Readers(self.path, self.config)
        self._watch: sqlite3.Connection
        self._tasks: list[asyncio.Task[None]] = []
        self._started = False
        self._starting = asyncio.Lock()
        self._retaining = asyncio.Lock()

    @property
    def counts(self) -> WriterCounts:
        """Transactions, requests and refusals since the start."""
        return self._writer.counts

    @property
    def queued_bytes(self) -> int:
        """Bytes that wait for the disk."""
        return self._writer.queued_bytes

    def check(self) -> LogHealth:
        """How it is; what goes wrong with the file is told to whoever appends."""
        return LogHealth() if self._started else LogHealth("failed", "the log is not open")

    async def start(self) -> None:
        """Open the file; see :meth:`broker.log.Log.start`."""
        async with self._starting:
            if not self._started:
                await self._start()

    async def _start(self) -> None:
        await asyncio.to_thread(self._writer.start)
        self._readers.start()
        self._watch = connect(self.path, self.config)
        self._tasks = [asyncio.create_task(self._watch_others()), asyncio.create_task(self._keep_house())]
        self._started = True
        registry.register(self)

    async def stop(self) -> None:
        """Make durable what was accepted, then close the file."""
        if not self._started:
            return
        self._started = False
        registry.unregister(self)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._wakeups.notify_all()
        await asyncio.to_thread(self._writer.stop)
        await asyncio.to_thread(self._readers.stop)
        self._watch.close()

    async def create_topic(self, topic: TopicConfig) -> None:
        """Create a topic or renew its retention."""
        await self._writer.submit(create_topic(topic))

    def topics(self) -> list[TopicConfig]:
        """Every topic of the file."""
        return [topic.config for topic in self._catalogue.topics.values()]

    def has_topic(self, topic: str) -> bool:
        """Whether there is such a topic."""
        return topic in self._catalogue.topics

    def partitions(self, topic: str) -> int:
        """Number of partitions of a topic."""
        return len(self._catalogue.topic(topic).partitions)

    async def append(self, records: Sequence[NewRecord], mark: Mark | Sequence[Mark] | None = None) -> list[Position]:
        """Append all of it or nothing; returns when it survives a power cut."""
        return await self.append_soon(records, as_marks(mark))

    def append_soon(
        self, records: Sequence[NewRecord], marks: Sequence[Mark] = (), *, bounded: bool = True
    ) -> "asyncio.Future[list[Position]]":
        """As :meth:`append`, for callers that must not lose their turn: appends happen in the order of the calls.

        With ``bounded`` False it is never refused for want of room. Only for what is small and bounded by what
        caused it, such as the changelog of a table.
        """
        size = _OVERHEAD + sum(len(mark.answer) for mark in marks) + self._check(records)
        return self._writer.submit(lambda group: group.append(records, marks), size if bounded else 0)

    def _check(self, records: Sequence[NewRecord]) -> int:
        """Refuse what cannot be stored before it takes room; returns what the records weigh."""
        size = 0
        for record in records:
            length = len(record.value or b"")
            if length > self.config.record_bytes:
                raise TooLarge(f"A record of {length} bytes is over the log's limit of {self.config.record_bytes}.")
            self._catalogue.partition(record.topic, record.partition)
            size += length + _OVERHEAD
        return size

    async def read(
        self, topic: str, partition: int, offset: int, *, max_records: int = 500, max_bytes: int = 8 << 20
    ) -> list[Record]:
        """Records from an offset on: from memory where they are still there, else from the file."""
        target = self._catalogue.partition(topic, partition)
        offset = max(offset, target.earliest)
        if offset >= target.next:
            return []
        records = self._tail.read(target.id, offset, max_records, max_bytes)
        if records is not None:
            return records
        return await self._readers.run(
            lambda connection: read_records(connection, target, offset, max_records, max_bytes)
        )

    async def range(self, topic: str, partition: int) -> tuple[int, int]:
        """``(earliest, next)`` of a partition."""
        return self.bounds(topic, partition)

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """As :meth:`range`, without waiting: what this process knows."""
        target = self._catalogue.partition(topic, partition)
        return target.earliest, target.next

    async def tail(self, topic: str, partition: int, since: datetime) -> AsyncIterator[Record]:
        """From the first record stamped at or after ``since`` to the end as it is now."""
        target = self._catalogue.partition(topic, partition)
        end, since_ms = target.next, int(since.timestamp() * 1000)
        offset = await self._readers.run(lambda connection: first_offset_since(connection, target, since_ms))
        while offset < end:
            records = await self.read(topic, partition, offset)
            for record in records:
                if record.offset < end:
                    yield record
            offset = records[-1].offset + 1 if records else end

    async def lookup_mark(self, key: bytes) -> Mark | None:
        """The live mark of a key, if any."""
        now_ms = int(self._clock.now().timestamp() * 1000)
        return await self._readers.run(lambda connection: find_mark(connection, key, now_ms))

    async def marks(self) -> AsyncIterator[Mark]:
        """Every live mark, by key."""
        now_ms, after = int(self._clock.now().timestamp() * 1000), b""
        while found := await self._readers.run(partial(marks_after, key=after, now_ms=now_ms)):
            for mark in found:
                yield mark
            after = found[-1].key

    async def wait(self, positions: Mapping[TopicPartition, int], timeout: float) -> bool:
        """Wait until one of the partitions reaches beyond its offset; False after ``timeout`` seconds."""
        targets = {self._catalogue.partition(*tp): offset for tp, offset in positions.items()}
        future = self._wakeups.register(target.id for target in targets)
        try:
            # Registered first: what became durable just before is seen here, what comes after wakes the future.
            if any(target.next > offset for target, offset in targets.items()):
                return True
            await asyncio.wait([future], timeout=timeout)
            return any(target.next > offset for target, offset in targets.items())
        finally:
            self._wakeups.forget(future)

    async def commit(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        """Write down the next offset the group will process, by partition; returns when durable."""
        await self._writer.submit(commit(group, dict(offsets)))

    async def commits(self, group: str) -> dict[TopicPartition, int]:
        """Every offset a group has committed."""
        return await self._readers.run(lambda connection: read_commits(connection, group))

    async def committed(self, group: str, topic: str, partition: int) -> int | None:
        """The next offset a group will process; None when it has never committed."""
        return (await self.commits(group)).get((topic, partition))

    async def forget_group(self, group: str) -> None:
        """Retention need not wait for a group that will not come back."""
        await self._writer.submit(forget_group(group))

    async def retain(self) -> bool:
        """One bite of retention and compaction; True when there is more to drop. Done by itself every now and then."""
        async with self._retaining:  # two bites in one transaction would both count what the first one drops
            return await self._writer.submit(retain(self.config.retention_records, self.config.compact_records))

    async def _watch_others(self) -> None:
        """Look for appends of other processes: SQLite counts every commit that is not this connection's own."""
        seen = None
        while True:
            try:
                (version,) = self._watch.execute("PRAGMA data_version").fetchone()
                if seen is not None and version != seen:
                    await self._writer.submit(_look)
                seen = version
            except (sqlite3.Error, HubError) as error:
                logger.warning("cannot look for other processes' appends: %s", error)
            await self._clock.sleep(self.config.poll_s)

    async def _keep_house(self) -> None:
        """Retention, in bites, as long as there is something to drop."""
        more = True
        while True:
            if not more:
                await self._clock.sleep(self.config.retention_s)
            try:
                more = await self.retain()
            except HubError as error:  # a full disk or a busy file: the next round tries again
                logger.warning("retention has to wait: %s", error)
                more = False


def _look(_: Transaction) -> None:
    """Nothing to write: beginning a transaction is what makes the writer look."""
