"""Topics and consumer groups on Kafka."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from aiokafka import TopicPartition  # type: ignore[import-untyped]
from aiokafka.admin import AIOKafkaAdminClient, NewTopic  # type: ignore[import-untyped]
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType  # type: ignore[import-untyped]
from aiokafka.errors import (  # type: ignore[import-untyped]
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
    TopicAlreadyExistsError,
    for_code,
)

from broker.kafka_address import KafkaAddress
from broker.log import TopicConfig
from core.errors import NotFound, SettingsError

_COORDINATOR_RETRY = 0.2


class KafkaAdmin:
    """What the log needs of Kafka's administration. Raises aiokafka's own errors beside the hub's."""

    def __init__(self, address: KafkaAddress, timeout_s: float) -> None:
        self._address, self._timeout_ms = address, int(timeout_s * 1000)
        self._client: Any = None
        self._partitions: dict[str, int] = {}

    async def start(self) -> None:
        """Connect and learn the topics there are."""
        self._client = AIOKafkaAdminClient(**self._address.options(), request_timeout_ms=self._timeout_ms)
        await self._client.start()
        await self._learn(None)

    async def stop(self) -> None:
        """Disconnect; harmless when not connected."""
        if self._client is not None:
            client, self._client = self._client, None
            with suppress(KafkaError):
                await client.close()

    def partitions(self, topic: str) -> int:
        """Number of partitions of a known topic."""
        try:
            return self._partitions[topic]
        except KeyError:
            raise NotFound(f"The log has no topic {topic!r}.") from None

    async def create(self, topic: TopicConfig, replication: int, record_bytes: int) -> None:
        """Create a topic, or renew its settings if it is there."""
        if topic.partitions < 1:
            raise SettingsError(f"Topic {topic.name!r} needs at least one partition.")
        settings = _settings(topic, record_bytes)
        new = NewTopic(topic.name, topic.partitions, 1, topic_configs=settings)
        new.replication_factor = replication  # afterwards: its constructor knows no -1, the brokers' default
        try:
            _check((await self._client.create_topics([new])).topic_errors)
            self._partitions[topic.name] = topic.partitions
        except TopicAlreadyExistsError:
            await self._renew(topic, settings)

    async def _renew(self, topic: TopicConfig, settings: dict[str, str]) -> None:
        await self._learn([topic.name])
        known = self._partitions.get(topic.name, topic.partitions)
        if known != topic.partitions:
            raise SettingsError(
                f"Topic {topic.name!r} has {known} partitions and cannot get {topic.partitions}: "
                "the number is fixed when a hub is created."
            )
        self._partitions[topic.name] = known
        await self._client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name, settings)])

    async def _learn(self, topics: list[str] | None) -> None:
        for found in await self._client.describe_topics(topics):
            if found["partitions"]:
                self._partitions[found["topic"]] = len(found["partitions"])

    async def committed(self, group: str, topic: str, partition: int) -> int | None:
        """The offset a group has committed, if any."""
        tp = TopicPartition(topic, partition)
        found = (await self._group_offsets(group, [tp])).get(tp)
        return None if found is None or found.offset < 0 else int(found.offset)

    async def _group_offsets(self, group: str, partitions: list[Any]) -> dict[Any, Any]:
        """A cluster that has had no group yet answers only once it has made its topic of offsets."""
        deadline = asyncio.get_running_loop().time() + self._timeout_ms / 1000
        while True:
            try:
                offsets: dict[Any, Any] = await self._client.list_consumer_group_offsets(group, partitions=partitions)
            except (GroupCoordinatorNotAvailableError, GroupLoadInProgressError):
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(_COORDINATOR_RETRY)
            else:
                return offsets


def _settings(topic: TopicConfig, record_bytes: int) -> dict[str, str]:
    """The topic's settings in Kafka's words."""
    limited = topic.retention_s is not None or topic.retention_bytes is not None
    policies = (["compact"] if topic.compacted else []) + (["delete"] if limited or not topic.compacted else [])
    return {
        "cleanup.policy": ",".join(policies),
        "retention.ms": "-1" if topic.retention_s is None else str(int(topic.retention_s * 1000)),
        "retention.bytes": "-1" if topic.retention_bytes is None else str(topic.retention_bytes),
        "max.message.bytes": str(record_bytes + (1 << 20)),
    }


def _check(topic_errors: Sequence[Sequence[Any]]) -> None:
    for name, code, *rest in topic_errors:
        if code:
            raise for_code(code)(f"{name}: {rest}")
