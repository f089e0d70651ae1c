"""As much of Kafka, behind aiokafka's classes, as :class:`broker.kafka.KafkaLog` uses; it all lives in this process."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError
from aiokafka.structs import ConsumerRecord, OffsetAndMetadata, OffsetAndTimestamp


class FakeCluster:
    """The brokers: topics as lists of partitions, each a list of records."""

    def __init__(self) -> None:
        self.topics: dict[str, list[list[Any]]] = {}
        self.settings: dict[str, dict[str, str]] = {}
        self.commits: dict[tuple[str, str, int], int] = {}
        self.down = False
        self.coordinator_errors: list[Exception] = []
        self.grown = asyncio.Event()

    def check(self) -> None:
        if self.down:
            raise KafkaConnectionError("no broker")

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put the fakes where the hub's modules look for aiokafka's classes."""
        for module, name, fake in (
            ("broker.kafka", "AIOKafkaProducer", FakeProducer),
            ("broker.kafka_admin", "AIOKafkaAdminClient", FakeAdmin),
            ("broker.kafka_reader", "AIOKafkaConsumer", FakeConsumer),
            ("broker.kafka_marks", "AIOKafkaConsumer", FakeConsumer),
        ):
            monkeypatch.setattr(f"{module}.{name}", lambda fake=fake, **options: fake(self, options))


class _Client:
    def __init__(self, cluster: FakeCluster, options: dict[str, Any]) -> None:
        self.cluster, self.options = cluster, options

    async def start(self) -> None:
        self.cluster.check()

    async def stop(self) -> None:
        pass

    close = stop


class FakeProducer(_Client):
    async def send(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> "asyncio.Future[Any]":
        self.cluster.check()
        if len(value or b"") > int(self.cluster.settings[topic]["max.message.bytes"]):
            raise MessageSizeTooLargeError
        log = self.cluster.topics[topic][partition or 0]
        log.append(
            ConsumerRecord(
                *(topic, partition, len(log), timestamp_ms or 0, 0, key, value, None),
                *(len(key or b""), len(value or b""), tuple(headers or ())),
            )
        )
        self.cluster.grown.set()
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.set_result(SimpleNamespace(topic=topic, partition=partition, offset=len(log) - 1))
        return future


class FakeAdmin(_Client):
    async def create_topics(self, topics: list[Any]) -> Any:
        self.cluster.check()
        (topic,) = topics
        if topic.name in self.cluster.topics:
            return SimpleNamespace(topic_errors=[(topic.name, 36, "there")])
        self.cluster.topics[topic.name] = [[] for _ in range(topic.num_partitions)]
        self.cluster.settings[topic.name] = topic.topic_configs
        return SimpleNamespace(topic_errors=[(topic.name, 0, None)])

    async def describe_topics(self, topics: list[str] | None) -> list[dict[str, Any]]:
        names = self.cluster.topics if topics is None else topics
        return [{"topic": name, "partitions": self.cluster.topics.get(name, [])} for name in names]

    async def alter_configs(self, resources: list[Any]) -> None:
        for resource in resources:
            self.cluster.settings[resource.name] = resource.configs

    async def list_consumer_group_offsets(self, group: str, partitions: list[Any]) -> dict[Any, Any]:
        if self.cluster.coordinator_errors:
            raise self.cluster.coordinator_errors.pop(0)
        return {tp: OffsetAndMetadata(self.cluster.commits.get((group, *tp), -1), "") for tp in partitions}


class FakeConsumer(_Client):
    positions: dict[Any, int]

    def assign(self, partitions: list[Any]) -> None:
        self.positions = dict.fromkeys(partitions, 0)

    def _log(self, tp: TopicPartition) -> list[Any]:
        self.cluster.check()
        return self.cluster.topics[tp.topic][tp.partition]

    async def beginning_offsets(self, partitions: list[Any]) -> dict[Any, int]:
        return dict.fromkeys(partitions, 0)

    async def end_offsets(self, partitions: list[Any]) -> dict[Any, int]:
        return {tp: len(self._log(tp)) for tp in partitions}

    async def offsets_for_times(self, times: dict[Any, int]) -> dict[Any, Any]:
        found = {}
        for tp, stamp in times.items():
            later = (record for record in self._log(tp) if record.timestamp >= stamp)
            record = next(later, None)
            found[tp] = record and OffsetAndTimestamp(record.offset, record.timestamp)
        return found

    def seek(self, tp: Any, offset: int) -> None:
        self.positions[tp] = offset

    async def seek_to_beginning(self, tp: Any) -> None:
        self.positions[tp] = 0

    async def position(self, tp: Any) -> int:
        return self.positions[tp]

    async def getmany(self, *_: Any, timeout_ms: int = 0, max_records: int | None = None) -> dict[Any, list[Any]]:
        (tp,) = self.positions
        if self.positions[tp] >= len(self._log(tp)):
            self.cluster.grown.clear()
            waiting = asyncio.ensure_future(self.cluster.grown.wait())
            await asyncio.wait([waiting], timeout=timeout_ms / 1000)
            waiting.cancel()
        start = self.positions[tp]
        found = self._log(tp)[start:][:max_records]
        self.positions[tp] += len(found)
        return {tp: found} if found else {}
