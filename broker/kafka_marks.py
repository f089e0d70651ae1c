"""Idempotency marks on Kafka: a compacted topic, and an index of it in memory."""

import asyncio
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition  # type: ignore[import-untyped]

from broker.log import Mark, TopicConfig
from core.clock import Clock
from core.errors import Conflict

#: Marks live for a day; Kafka drops them a day later at the latest.
MARKS = TopicConfig("hub.marks", 1, retention_s=2 * 86400.0, compacted=True)

#: Expiry in milliseconds, rows, length of the hash; hash and answer follow.
_HEAD = struct.Struct("<qIH")

_PURGE_EVERY = 10_000


def encode_mark(mark: Mark) -> bytes:
    """A mark as the value of its record; the key is the record's key.

    Examples
    --------
    >>> mark = Mark(b"k", b"hash", 3, b"answer", datetime(2026, 11, 20, tzinfo=UTC))
    >>> decode_mark(b"k", encode_mark(mark)) == mark
    True
    """
    expires_ms = int(mark.expires_at.timestamp() * 1000)
    return _HEAD.pack(expires_ms, mark.rows, len(mark.body_hash)) + mark.body_hash + mark.answer


def decode_mark(key: bytes, value: bytes) -> Mark:
    """What :func:`encode_mark` was given."""
    expires_ms, rows, hash_length = _HEAD.unpack_from(value)
    middle = _HEAD.size + hash_length
    expires_at = datetime.fromtimestamp(expires_ms / 1000, UTC)
    return Mark(key, value[_HEAD.size : middle], rows, value[middle:], expires_at)


class MarkIndex:
    """Every live mark, by key; follows the topic, so that it also learns the marks of other processes."""

    def __init__(self, servers: Sequence[str], clock: Clock) -> None:
        self._servers, self._clock = list(servers), clock
        self._marks: dict[bytes, Mark] = {}
        self._reserved: set[bytes] = set()
        self._consumer: Any = None
        self._following: asyncio.Task[None] | None = None
        self._since_purge = 0

    async def start(self) -> None:
        """Load what the topic holds, then follow it."""
        tp = TopicPartition(MARKS.name, 0)
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._servers, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        self._consumer.assign([tp])
        await self._consumer.start()
        end = (await self._consumer.end_offsets([tp]))[tp]
        await self._consumer.seek_to_beginning(tp)
        while await self._consumer.position(tp) < end:
            await self._take(timeout_ms=500)
        self._following = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Disconnect; harmless when not connected."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
            self._following = None
        if self._consumer is not None:
            consumer, self._consumer = self._consumer, None
            await consumer.stop()

    def get(self, key: bytes) -> Mark | None:
        """The live mark of a key."""
        mark = self._marks.get(key)
        return mark if mark is not None and mark.expires_at > self._clock.now() else None

    def live(self) -> list[Mark]:
        """Every live mark."""
        now = self._clock.now()
        return [mark for mark in self._marks.values() if mark.expires_at > now]

    def add(self, marks: Sequence[Mark]) -> None:
        """Marks that are stored, or were found in the topic."""
        for mark in marks:
            self._marks[mark.key] = mark
        self._since_purge += len(marks)
        if self._since_purge >= _PURGE_EVERY:
            self._since_purge = 0
            now = self._clock.now()
            self._marks = {key: mark for key, mark in self._marks.items() if mark.expires_at > now}

    @contextmanager
    def reserve(self, marks: Sequence[Mark]) -> Iterator[None]:
        """Keep other requests of this process from using the same keys; ``Conflict`` when one is in use or stored."""
        keys = {mark.key for mark in marks}
        if not keys.isdisjoint(self._reserved) or any(self.get(key) is not None for key in keys):
            raise Conflict("A request with the same key has been stored before or is in flight.")
        self._reserved |= keys
        try:
            yield
        finally:
            self._reserved -= keys

    async def _follow(self) -> None:
        while True:
            await self._take(timeout_ms=10_000)

    async def _take(self, timeout_ms: int) -> None:
        for messages in (await self._consumer.getmany(timeout_ms=timeout_ms)).values():
            self.add([decode_mark(message.key, message.value) for message in messages if message.value is not None])
