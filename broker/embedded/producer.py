"""The producer of the ``sqlite://`` transport."""

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Mapping
from functools import partial
from typing import Any

from faust.transport import base
from faust.types import TP
from faust.types.tuples import RecordMetadata
from mode.utils.times import want_seconds

from broker.embedded.lease import give_back, lease, log_path
from broker.embedded.log import SqliteLog
from broker.log import Headers, NewRecord, Position, TopicConfig
from broker.partition import partition_for
from core.errors import HubError, SlowDown

#: Pause before a send that found the queue full is tried again.
_PAUSE = 0.05


class Producer(base.Producer):
    """Appends to the log; ``send_soon`` (the changelog of tables) goes there directly, in order.

    Faust's own buffer holds changelog records until a task of its own gets to them: above 100 it stalls the
    streams, and flushing it waits for an emptiness that does not come while streams write. It is used only for
    what is sent before the log is open.
    """

    def __post_init__(self) -> None:
        self._log: SqliteLog | None = None
        self._in_flight: set[asyncio.Future[Any]] = set()
        self._late: deque[Any] = deque()
        self._turn = itertools.count()

    async def on_start(self) -> None:
        """Open the log, or share the process's."""
        self._log = await lease(log_path(self.transport))
        await super().on_start()

    async def on_stop(self) -> None:
        """Wait for what is on its way, then let go of the log."""
        await self.flush()
        if self._log is not None:
            await give_back(self._log)
            self._log = None

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
        *,
        transactional_id: str | None = None,
    ) -> Awaitable[RecordMetadata]:
        """Append a record; waits only for room. The awaitable is done when the record is durable."""
        del transactional_id
        log = self._open_log()
        await self._make_topic(log, topic)
        record = self._record(log, topic, key, value, partition, timestamp, headers)
        while True:
            try:
                return self._track(log.append_soon([record]))
            except SlowDown:
                await asyncio.sleep(_PAUSE)

    async def send_and_wait(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
        *,
        transactional_id: str | None = None,
    ) -> RecordMetadata:
        """Append a record and wait until it is durable."""
        del transactional_id
        return await (await self.send(topic, key, value, partition, timestamp, headers))

    def send_soon(self, fut: Any) -> None:
        """Append without waiting; a failure crashes the app, since nobody else would notice."""
        message = fut.message
        topic = message.channel if isinstance(message.channel, str) else message.channel.get_topic_name()
        log = self._log
        if log is None or self.buffer.size:
            self.buffer.put(fut)
            return
        if self._late or not log.has_topic(topic):
            self._send_late(fut)
            return
        record = self._record(
            log, topic, message.key, message.value, message.partition, message.timestamp, message.headers
        )
        self._track(log.append_soon([record], bounded=False)).add_done_callback(partial(self._published, fut))

    def _send_late(self, fut: Any) -> None:
        """What follows waits until the topic of the first one has been made: the order stays."""
        self._late.append(fut)
        if len(self._late) == 1:
            drain = asyncio.ensure_future(self._drain_late())
            self._in_flight.add(drain)
            drain.add_done_callback(self._in_flight.discard)

    async def _drain_late(self) -> None:
        while self._late:
            fut = self._late[0]
            try:
                await fut.message.channel.publish_message(fut, wait=False)
            except HubError as error:
                await self.app.crash(error)
            self._late.popleft()

    def _published(self, fut: Any, done: "asyncio.Future[RecordMetadata]") -> None:
        error = done.exception()
        if error is not None:
            fut.set_exception(error)
            self.add_future(self.app.crash(error))
            return
        fut.set_result(done.result())
        if fut.message.callback:
            fut.message.callback(fut)

    async def flush(self) -> None:
        """Wait until everything that was sent is durable."""
        while self.buffer.size and self.buffer.state == "running":
            await self.buffer.flush()
        while self._in_flight:
            await asyncio.wait(self._in_flight)

    async def create_topic(
        self,
        topic: str,
        partitions: int,
        replication: int,
        *,
        config: Mapping[str, Any] | None = None,
        timeout: Any = 1000.0,
        retention: Any = None,
        compacting: bool | None = None,
        deleting: bool | None = None,
        ensure_created: bool = False,
    ) -> None:
        """Create a topic unless it is there; replication and Kafka's own settings mean nothing here."""
        del replication, config, timeout, deleting, ensure_created
        log = self._open_log()
        if not log.has_topic(topic):
            seconds = want_seconds(retention) if retention else None
            await log.create_topic(TopicConfig(topic, partitions, seconds, compacted=bool(compacting)))

    def key_partition(self, topic: str, key: bytes) -> TP:
        """The topic and partition of a key."""
        return TP(topic, partition_for(key, self._open_log().partitions(topic)))

    def supports_headers(self) -> bool:
        """Headers are stored."""
        return True

    def _open_log(self) -> SqliteLog:
        if self._log is None:
            raise RuntimeError("The producer has not been started.")
        return self._log

    async def _make_topic(self, log: SqliteLog, topic: str) -> None:
        """As Kafka does by default: what is sent to comes into being."""
        if not log.has_topic(topic):
            await log.create_topic(TopicConfig(topic, self.app.conf.topic_partitions))

    def _record(
        self,
        log: SqliteLog,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
    ) -> NewRecord:
        if partition is None:
            count = log.partitions(topic)
            partition = next(self._turn) % count if key is None else partition_for(key, count)
        stamp = int(timestamp * 1000) if timestamp else None
        return NewRecord(topic, partition, key, value, _headers(headers), stamp)

    def _track(self, appended: "asyncio.Future[list[Position]]") -> "asyncio.Future[RecordMetadata]":
        future: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
        self._in_flight.add(future)
        future.add_done_callback(self._in_flight.discard)
        appended.add_done_callback(partial(_hand_on, future))
        return future


def _headers(headers: Any) -> Headers:
    pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
    return tuple((name, value) for name, value in pairs)


def _hand_on(future: "asyncio.Future[RecordMetadata]", appended: "asyncio.Future[list[Position]]") -> None:
    error = appended.exception()
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        (at,) = appended.result()
        future.set_result(RecordMetadata(at.topic, at.partition, TP(at.topic, at.partition), at.offset))
