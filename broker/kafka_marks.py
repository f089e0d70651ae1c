"""Idempotency marks on Kafka: a compacted topic, and an index of it in memory."""

import asyncio
import logging
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

from broker.kafka_address import KafkaAddress
from broker.kafka_closing import close_consumer
from broker.log import LogHealth, Mark, TopicConfig
from core.clock import Clock
from core.errors import Conflict

#: Marks live for a day; Kafka drops them a day later at the latest.
MARKS = TopicConfig("hub.marks", 1, retention_s=2 * 86400.0, compacted=True)

#: Expiry in milliseconds, rows, length of the hash; hash and answer follow.
_HEAD = struct.Struct("<qIH")

_PURGE_EVERY = 10_000
_PLACE = TopicPartition(MARKS.name, 0)
#: First and longest pause before the topic is followed again after an error.
_RETRY_S, _RETRY_MAX_S = 0.5, 15.0

logger = logging.getLogger(__name__)


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

    def __init__(self, address: KafkaAddress, clock: Clock) -> None:
        self._address, self._clock = address, clock
        self._marks: dict[bytes, Mark] = {}
        self._reserved: set[bytes] = set()
        self._consumer: Any = None
        self._next = 0
        self._following: asyncio.Task[None] | None = None
        self._since_purge = 0
        self._health = LogHealth()

    def check(self) -> LogHealth:
        """Whether it learns what other processes mark; never waits."""
        return self._health

    async def start(self) -> None:
        """Load what the topic holds, then follow it."""
        await self._open()
        end = (await self._consumer.end_offsets([_PLACE]))[_PLACE]
        while await self._consumer.position(_PLACE) < end:
            await self._take(timeout_ms=500)
        self._following = asyncio.create_task(self._follow(), name="kafka marks")

    async def stop(self) -> None:
        """Disconnect; harmless when not connected."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
            self._following = None
        await self._close()

    async def _open(self) -> None:
        """A consumer that goes on behind what has been taken."""
        self._consumer = AIOKafkaConsumer(
            **self._address.options(), enable_auto_commit=False, auto_offset_reset="earliest"
        )
        self._consumer.assign([_PLACE])
        await self._consumer.start()
        if self._next:
            self._consumer.seek(_PLACE, self._next)
        else:
            await self._consumer.seek_to_beginning(_PLACE)

    async def _close(self) -> None:
        if self._consumer is not None:
            consumer, self._consumer = self._consumer, None
            await close_consumer(consumer)

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
        """Take what comes, for ever: whatever goes wrong is shown, and tried again with a consumer of its own."""
        pause = _RETRY_S
        while True:
            try:
                if self._consumer is None:
                    await self._open()
                await self._take(timeout_ms=10_000)
                self._health, pause = LogHealth(), _RETRY_S
            except Exception as error:
                logger.warning("marks of other processes are not learnt, again in %.1f s: %r", pause, error)
                state = "disconnected" if isinstance(error, KafkaError | OSError) else "failed"
                self._health = LogHealth(state, f"marks of other processes are not learnt ({type(error).__name__})")
                await self._close()
                await self._clock.sleep(pause)
                pause = min(2 * pause, _RETRY_MAX_S)

    async def _take(self, timeout_ms: int) -> None:
        for messages in (await self._consumer.getmany(timeout_ms=timeout_ms)).values():
            self.add([mark for message in messages if (mark := _mark_of(message)) is not None])
            self._next = messages[-1].offset + 1


def _mark_of(message: Any) -> Mark | None:
    """The mark of a record; a record that is none, which only a stranger writes, is left alone."""
    if message.value is None:
        return None
    try:
        return decode_mark(message.key, message.value)
    except (struct.error, TypeError, ValueError, OverflowError):
        logger.warning("offset %d of %s holds no mark", message.offset, MARKS.name)
        return None
