"""The producer of the log on Kafka: renewed where it has lost its place, and never waited for without an end."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError  # type: ignore[import-untyped]

from core.clock import Clock
from core.errors import Retryable, SlowDown

T = TypeVar("T")
logger = logging.getLogger(__name__)

#: Topic, value, key, partition, timestamp and headers, as ``AIOKafkaProducer.send`` takes them.
Message = tuple[Any, ...]


class Appends:
    """Work that goes on although nobody waits for it any more.

    An idempotent producer tries for ever, which is right: whatever it has taken arrives once, in order. Its callers
    are told after ``patience_s``; and while one piece of work is older than that, new ones are refused at once, so that
    a broker that is away costs its callers nothing and the hub no memory.
    """

    def __init__(self, clock: Clock, patience_s: float) -> None:
        self._clock, self._patience_s = clock, patience_s
        self._under_way: dict[asyncio.Task[Any], float] = {}

    @property
    def stalled_s(self) -> float:
        """For how long the oldest append has been under way, once that is too long; else 0."""
        began = next(iter(self._under_way.values()), None)
        waited = 0.0 if began is None else self._clock.monotonic() - began
        return waited if waited >= self._patience_s else 0.0

    def admit(self) -> None:
        """Raise :class:`SlowDown` while the brokers do not answer."""
        if waited := self.stalled_s:
            raise SlowDown(f"Kafka has not answered for {waited:.0f} s; nothing was kept.", retry_after=2)

    async def wait_for(self, work: Awaitable[T]) -> T:
        """The work's result; raises :class:`Retryable` after a while, and the work goes on."""
        task = asyncio.ensure_future(work)
        self._under_way[task] = self._clock.monotonic()
        task.add_done_callback(self._end)
        pause = asyncio.ensure_future(self._clock.sleep(self._patience_s))
        try:
            await asyncio.wait((task, pause), return_when=asyncio.FIRST_COMPLETED)
        finally:
            pause.cancel()
        if not task.done():
            raise Retryable("Kafka does not answer; whether the events were kept is not known.", retry_after=2)
        return task.result()

    def _end(self, task: "asyncio.Task[Any]") -> None:
        del self._under_way[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.debug("an append failed: %r", error)  # its caller knows, if there still is one

    async def finish(self, timeout_s: float) -> None:
        """Wait for what is under way, then give up on it."""
        if not self._under_way:
            return
        _, left = await asyncio.wait(tuple(self._under_way), timeout=timeout_s)
        for task in left:
            task.cancel()
        if left:
            logger.warning("%d appends that nobody was promised were given up: Kafka does not answer", len(left))
            await asyncio.wait(left)


class Producer:
    """Sends to Kafka, by a client that is made anew after an error that it cannot recover from.

    To an idempotent client every error that reaches its caller is one: it has counted a record that the brokers do not
    have, and they refuse whatever it sends to that partition afterwards.

    Parameters
    ----------
    make
        A new ``AIOKafkaProducer``.
    timeout_s
        For how long a client may take to send what it has when it is closed.
    """

    def __init__(self, make: Callable[[], Any], timeout_s: float) -> None:
        self._make, self._timeout_s = make, timeout_s
        self._client: Any = None
        self._opening = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def connections(self) -> int:
        """Open connections to brokers."""
        # aiokafka has no public count of them
        found = () if self._client is None else self._client.client._conns.values()  # noqa: SLF001
        return sum(connection.connected() for connection in found)

    async def start(self) -> None:
        """Connect; raises aiokafka's errors."""
        await self._open()

    async def stop(self) -> None:
        """Send what was taken, then disconnect; harmless when not connected."""
        client, self._client = self._client, None
        if client is not None:
            self._close(client)
        await asyncio.gather(*self._closing)

    async def send(self, messages: Sequence[Message]) -> list[Any]:
        """Where each message was put, once all are there; raises aiokafka's errors."""
        client = self._client or await self._open()
        try:
            try:
                sent = [await client.send(*message) for message in messages]
            except (MessageSizeTooLargeError, KafkaTimeoutError) as error:
                raise _Refused from error  # it was not taken, and so is not counted
            return await asyncio.gather(*sent)
        except _Refused as refused:
            raise refused.__cause__ or refused from None
        except KafkaError as error:
            self._renew(client, error)
            raise

    async def _open(self) -> Any:
        async with self._opening:
            if self._client is None:
                client = self._make()
                try:
                    await client.start()
                except BaseException:
                    with suppress(KafkaError):
                        await client.stop()
                    raise
                self._client = client
            return self._client

    def _renew(self, client: Any, error: KafkaError) -> None:
        if self._client is client:
            logger.warning("Kafka's producer is made anew after %r", error)
            self._client = None
            self._close(client)

    def _close(self, client: Any) -> None:
        task = asyncio.create_task(self._closed(client))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _closed(self, client: Any) -> None:
        stopping = asyncio.ensure_future(client.stop())
        done, _ = await asyncio.wait((stopping,), timeout=self._timeout_s)
        if not done:
            logger.warning("Kafka did not take in %.0f s what was under way", self._timeout_s)
            # its own stop waits for ever for what cannot be sent, and has no call that gives up
            client._message_accumulator.fail_all(KafkaTimeoutError())  # noqa: SLF001
            done, _ = await asyncio.wait((stopping,), timeout=self._timeout_s)
        if not done:
            stopping.cancel()
        elif (error := stopping.exception()) is not None:
            logger.warning("Kafka's producer was not closed in order: %r", error)


class _Refused(Exception):
    """A message was refused before it was counted."""
