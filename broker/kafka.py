"""The log on Apache Kafka: :class:`KafkaLog`."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError, MessageSizeTooLargeError  # type: ignore[import-untyped]

from broker.kafka_address import KafkaAddress
from broker.kafka_admin import KafkaAdmin
from broker.kafka_marks import MARKS, MarkIndex, encode_mark
from broker.kafka_producer import Appends, Message, Producer
from broker.kafka_reader import KafkaReader
from broker.log import LogHealth, Mark, NewRecord, Position, Record, TopicConfig, as_marks
from core.clock import Clock
from core.errors import NotFound, Retryable, SlowDown, TooLarge

_OVERHEAD = 256


@dataclass(frozen=True, slots=True)
class KafkaLogConfig:
    """Settings of a :class:`KafkaLog`.

    Parameters
    ----------
    queue_bytes
        Appends on their way to the brokers may hold this much; more is refused with ``SlowDown``.
    record_bytes
        Largest single value; also the topics' ``max.message.bytes``.
    batch_bytes
        The producer sends what it has for a partition in batches up to this size.
    replication
        Of topics that the hub creates; -1 as the brokers see fit.
    timeout_s
        How long the brokers may take to answer a single question.
    patience_s
        How long an append is waited for.
    """

    queue_bytes: int = 256 << 20
    record_bytes: int = 16 << 20
    batch_bytes: int = 1 << 20
    replication: int = -1
    timeout_s: float = 30.0
    patience_s: float = 5.0


class KafkaLog:
    """A log on Kafka; implements :class:`broker.log.Log`.

    Records are written with ``acks=all`` by an idempotent producer, uncompressed since values are compressed already.
    Marks live in the compacted topic ``hub.marks``: written after their records, and looked up in an index in memory
    that follows the topic. Two processes that get the same request at the same moment may both append it; the rows
    are recognised further on.

    Parameters
    ----------
    address
        Brokers and credentials.
    clock
        Stamps records and expires marks.
    config
        Sizes and times.
    """

    def __init__(self, address: KafkaAddress, clock: Clock, config: KafkaLogConfig | None = None) -> None:
        self.config = config or KafkaLogConfig()
        self._address, self._clock = address, clock
        self._admin = KafkaAdmin(address, self.config.timeout_s)
        self._reader = KafkaReader(address)
        self._marks = MarkIndex(address, clock)
        self._producer = Producer(self._new_producer, self.config.patience_s)
        self._appends = Appends(clock, self.config.patience_s)
        self._open = False
        self._queued = 0

    @property
    def queued_bytes(self) -> int:
        """Bytes on their way to the brokers."""
        return self._queued

    @property
    def connections(self) -> int:
        """Open connections of the producer to brokers."""
        return self._producer.connections

    def check(self) -> LogHealth:
        """How it is now; never waits."""
        if waited := self._appends.stalled_s:
            return LogHealth("disconnected", f"Kafka has not answered for {waited:.0f} s")
        return self._marks.check()

    async def start(self) -> None:
        """Connect, and load the marks."""
        if self._open:
            return
        with _down():
            try:
                await self._producer.start()
                await self._admin.start()
                await self._admin.create(MARKS, self.config.replication, self.config.record_bytes)
                await self._marks.start()
            except BaseException:
                await self._disconnect()
                raise
        self._open = True

    async def stop(self) -> None:
        """Send what was accepted, then disconnect."""
        if self._open:
            self._open = False
            await self._appends.finish(self.config.patience_s)
            await self._disconnect()

    async def _disconnect(self) -> None:
        await self._producer.stop()
        await self._marks.stop()
        await self._reader.stop()
        await self._admin.stop()

    def _new_producer(self) -> Any:
        return AIOKafkaProducer(
            **self._address.options(),
            acks="all",
            enable_idempotence=True,
            max_request_size=self.config.record_bytes + (1 << 20),
            max_batch_size=self.config.batch_bytes,
            request_timeout_ms=int(self.config.timeout_s * 1000),
        )

    async def create_topic(self, topic: TopicConfig) -> None:
        """Create a topic or renew its retention."""
        self._started()
        with _down():
            await self._admin.create(topic, self.config.replication, self.config.record_bytes)

    def partitions(self, topic: str) -> int:
        """Number of partitions of a topic, as of the start or of ``create_topic``."""
        return self._admin.partitions(topic)

    async def append(self, records: Sequence[NewRecord], mark: Mark | Sequence[Mark] | None = None) -> list[Position]:
        """Append; returns when every in-sync replica has everything, the marks too.

        Raises ``Retryable`` when that takes longer than ``patience_s``: the records are still on their way then, and
        count as queued. Until they have arrived others are refused at once.
        """
        self._started()
        marks, size = as_marks(mark), self._check(records)
        self._appends.admit()
        if self._queued and self._queued + size > self.config.queue_bytes:
            raise SlowDown(f"{self._queued} bytes are on their way to Kafka; nothing was kept.")
        self._queued += size
        return await self._appends.wait_for(self._append(records, marks, size))

    async def _append(self, records: Sequence[NewRecord], marks: Sequence[Mark], size: int) -> list[Position]:
        try:
            with self._marks.reserve(marks), _down():
                return await self._send(records, marks)
        finally:
            self._queued -= size

    def _check(self, records: Sequence[NewRecord]) -> int:
        size = 0
        for record in records:
            self._check_partition(record.topic, record.partition)
            length = len(record.value or b"")
            if length > self.config.record_bytes:
                raise TooLarge(f"A record of {length} bytes is over the log's limit of {self.config.record_bytes}.")
            size += length + _OVERHEAD
        return size

    def _check_partition(self, topic: str, partition: int) -> None:
        count = self.partitions(topic)
        if not 0 <= partition < count:
            raise NotFound(f"Topic {topic!r} has the partitions 0 to {count - 1}, not {partition}.")

    async def _send(self, records: Sequence[NewRecord], marks: Sequence[Mark]) -> list[Position]:
        now_ms = int(self._clock.now().timestamp() * 1000)
        done = await self._producer.send([_message(record, now_ms) for record in records])
        if marks:
            await self._producer.send([(MARKS.name, encode_mark(mark), mark.key, 0) for mark in marks])
            self._marks.add(marks)
        return [Position(at.topic, at.partition, at.offset) for at in done]

    async def read(
        self, topic: str, partition: int, offset: int, *, max_records: int = 500, max_bytes: int = 8 << 20
    ) -> list[Record]:
        """Records from an offset on."""
        self._started()
        self._check_partition(topic, partition)
        with _down():
            return await self._reader.read(topic, partition, offset, max_records, max_bytes)

    async def range(self, topic: str, partition: int) -> tuple[int, int]:
        """``(earliest, next)`` of a partition."""
        self._started()
        self._check_partition(topic, partition)
        with _down():
            return await self._reader.range(topic, partition)

    async def tail(self, topic: str, partition: int, since: datetime) -> AsyncIterator[Record]:
        """From the first record stamped at or after ``since`` to the end as it is now."""
        _, end = await self.range(topic, partition)
        with _down():
            offset = await self._reader.offset_since(topic, partition, since)
        while offset is not None and offset < end:
            records = await self.read(topic, partition, offset)
            for record in records:
                if record.offset < end:
                    yield record
            offset = records[-1].offset + 1 if records else None

    async def lookup_mark(self, key: bytes) -> Mark | None:
        """The live mark of a key, if any."""
        self._started()
        return self._marks.get(key)

    async def marks(self) -> AsyncIterator[Mark]:
        """Every live mark that this process has seen."""
        self._started()
        for mark in self._marks.live():
            yield mark

    async def committed(self, group: str, topic: str, partition: int) -> int | None:
        """The next offset a group will process; None when it has never committed."""
        self._started()
        with _down():
            return await self._admin.committed(group, topic, partition)

    def _started(self) -> None:
        if not self._open:
            raise Retryable("The log on Kafka is not open.")


@contextmanager
def _down() -> Iterator[None]:
    """Kafka's errors in the words of the hub."""
    try:
        yield
    except MessageSizeTooLargeError as error:
        raise TooLarge(f"A record is larger than Kafka takes ({error}).") from error
    except KafkaError as error:
        raise Retryable(f"Kafka cannot be reached or refused ({error!r}).") from error


def _message(record: NewRecord, now_ms: int) -> Message:
    stamp = now_ms if record.timestamp_ms is None else record.timestamp_ms
    return record.topic, record.value, record.key, record.partition, stamp, list(record.headers)
