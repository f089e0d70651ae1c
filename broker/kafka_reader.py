"""Reading Kafka by offset, without a consumer group."""

import asyncio
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition  # type: ignore[import-untyped]

from broker.kafka_address import KafkaAddress
from broker.kafka_closing import close_consumer
from broker.log import Record

_POLL_MS = 500
#: A larger record comes all the same, alone. What was fetched beyond what is asked for stays in memory until the
#: collector finds it (aiokafka's batches refer to themselves): with 16 MiB each, looking at a backlog took gigabytes.
_FETCH_BYTES = 1 << 20


class _PartitionReader:
    """A consumer of one partition; it goes on where the last read ended, or seeks."""

    def __init__(self, consumer: Any, tp: Any) -> None:
        self.consumer, self.tp = consumer, tp
        self.lock = asyncio.Lock()
        self.position = -1

    async def read(self, offset: int, max_records: int, max_bytes: int) -> list[Record]:
        async with self.lock:
            earliest, end = await _bounds(self.consumer, self.tp)
            offset = max(offset, earliest)
            if self.position != offset:
                self.consumer.seek(self.tp, offset)
                self.position = offset
            found: list[Any] = []
            while not found and self.position < end:
                fetched = await self.consumer.getmany(self.tp, timeout_ms=_POLL_MS, max_records=max_records)
                found = fetched.get(self.tp, [])
                self.position = await self.consumer.position(self.tp)
            records = _take(found, max_bytes)
            if len(records) < len(found):
                self.position = -1  # the consumer is further on than what was handed out
            return records


async def _bounds(consumer: Any, tp: Any) -> tuple[int, int]:
    earliest = await consumer.beginning_offsets([tp])
    following = await consumer.end_offsets([tp])
    return earliest[tp], following[tp]


class KafkaReader:
    """Reads any partition at any offset; keeps a consumer for each that was read, and one that only asks for bounds."""

    def __init__(self, address: KafkaAddress) -> None:
        self._address = address
        self._readers: dict[tuple[str, int], _PartitionReader] = {}
        self._asking: Any = None
        self._opening = asyncio.Lock()

    async def stop(self) -> None:
        """Disconnect."""
        readers, self._readers = self._readers, {}
        asking, self._asking = self._asking, None
        for consumer in [reader.consumer for reader in readers.values()] + ([asking] if asking else []):
            await close_consumer(consumer)

    async def read(self, topic: str, partition: int, offset: int, max_records: int, max_bytes: int) -> list[Record]:
        """As :meth:`broker.log.Log.read`."""
        return await (await self._reader(topic, partition)).read(offset, max_records, max_bytes)

    async def range(self, topic: str, partition: int) -> tuple[int, int]:
        """As :meth:`broker.log.Log.range`."""
        async with self._opening:
            if self._asking is None:
                self._asking = await self._open([])
        return await _bounds(self._asking, TopicPartition(topic, partition))

    async def offset_since(self, topic: str, partition: int, since: datetime) -> int | None:
        """The first offset stamped at or after a time, if any."""
        reader = await self._reader(topic, partition)
        stamp = max(0, int(since.timestamp() * 1000))
        found = (await reader.consumer.offsets_for_times({reader.tp: stamp})).get(reader.tp)
        return None if found is None else int(found.offset)

    async def _reader(self, topic: str, partition: int) -> _PartitionReader:
        async with self._opening:
            reader = self._readers.get((topic, partition))
            if reader is None:
                tp = TopicPartition(topic, partition)
                reader = self._readers[topic, partition] = _PartitionReader(await self._open([tp]), tp)
            return reader

    async def _open(self, partitions: list[Any]) -> Any:
        consumer = AIOKafkaConsumer(
            **self._address.options(),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=_FETCH_BYTES,
            fetch_max_wait_ms=100,
        )
        if partitions:  # without any, nothing is fetched
            consumer.assign(partitions)
        await consumer.start()
        return consumer


def _take(found: list[Any], max_bytes: int) -> list[Record]:
    records: list[Record] = []
    size = 0
    for message in found:
        size += len(message.value or b"")
        if records and size > max_bytes:
            break
        headers = tuple((name, value) for name, value in message.headers)
        records.append(
            Record(
                *(message.topic, message.partition, message.offset, message.key, message.value),
                headers,
                message.timestamp,
            )
        )
    return records
