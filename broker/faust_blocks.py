"""Blocks of records for a Faust agent, committed only after they have been processed. Works on every transport.

Faust acknowledges a record when the agent's loop moves on, also when its body raised, and with ``take`` it
acknowledges what was never processed. Here Faust acknowledges nothing: the topic is declared without
acknowledgements, and the offset behind a block is committed when the block has been handled::

    topic = blocks_topic(app, "hub.events", partitions=8)
    blocks = Blocks(app, BlockLimits(linger_s=0.2, max_rows=100_000), clock, rows=rows_of_record)

    @app.agent(topic, concurrency=1)
    async def events(stream):
        await blocks.process(stream, handle)

    async def handle(block: RecordBlock) -> None:
        ...                                # journal, insert, send on; raise anything: the same block comes again

:meth:`Blocks.process` tries a block until it succeeds and meanwhile keeps its place; poison must be dealt with inside
``handle`` (dead letter, then return). :meth:`Blocks.iterate` is the plain form for those who catch everything
themselves; there a body that raises crashes the app, since nothing behind its block may be committed.

Use one ``Blocks`` for one agent, and do not run agents of one topic concurrently.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from faust import App
from faust.types import TP

from broker.blocks import BlockLimits, Gatherer, RecordBlock
from broker.log import Record
from core.clock import Clock
from core.errors import Retryable, SettingsError

logger = logging.getLogger(__name__)

__all__ = ["BlockLimits", "Blocks", "RecordBlock", "blocks_topic"]


def blocks_topic(app: App, name: str, partitions: int, *more: str) -> Any:
    """A topic of raw bytes for :class:`Blocks`: declared at the start, never acknowledged by Faust itself.

    With ``more`` names, several that have as many partitions each and are read as one.
    """
    return app.topic(
        name,
        *more,
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        partitions=partitions,
        internal=True,
        acks=False,
    )


def _one_row(_: Record) -> int:
    return 1


class Blocks:
    """Turns the stream of one agent into blocks, and commits behind each when it has been handled.

    Parameters
    ----------
    app
        The Faust app, on any transport.
    limits
        Sizes and times.
    clock
        For lingering and for the pauses between attempts.
    rows
        How many rows a record has, for ``max_rows``; called once for each record, on the event loop.
    """

    def __init__(self, app: App, limits: BlockLimits, clock: Clock, rows: Callable[[Record], int] = _one_row) -> None:
        self._app: Any = app
        self._limits, self._clock = limits, clock
        self._gathered = Gatherer(limits, rows)
        self._next: dict[TP, int] = {}
        self._paused: set[TP] = set()
        self._changed = asyncio.Event()
        self._in_hand: RecordBlock | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        app.on_partitions_revoked.connect(self._on_partitions_revoked)

    @property
    def buffered_bytes(self) -> int:
        """Bytes that have been fetched and are in no block yet."""
        return self._gathered.size

    async def process(self, stream: Any, handle: Callable[[RecordBlock], Awaitable[None]]) -> None:
        """Handle every block of the agent's stream, each until it succeeds, and commit behind it.

        Parameters
        ----------
        stream
            What the agent is given.
        handle
            Must be idempotent: after an error, a crash or a rebalance it gets the same records again.
        """
        async with aclosing(self.iterate(stream)) as blocks:
            async for block in blocks:
                await self._handle_until_done(block, handle)

    async def iterate(self, stream: Any) -> AsyncGenerator[RecordBlock, None]:
        """Blocks one after the other; asking for the next one commits the last one.

        A body that raises (or breaks) crashes the app: the process is to be started again, and goes on with the block.
        """
        if self._in_hand is not None:
            await self._abandon()
        drain = asyncio.ensure_future(self._drain(stream))
        drain.add_done_callback(lambda _: self._changed.set())
        try:
            while (block := await self._next_block(drain)) is not None and not self._app.should_stop:
                self._in_hand = block
                self._idle.clear()
                yield block
                self._in_hand = None
                await self._commit(block)
                self._idle.set()
        finally:
            self._idle.set()
            drain.cancel()
            if self._in_hand is not None:
                await self._abandon()

    async def _abandon(self) -> None:
        """A block was not handled to its end: nothing more may be committed, unless all stops anyway."""
        block, self._in_hand = self._in_hand, None
        if block is not None and not self._app.should_stop:
            await self._app.crash(
                Retryable(
                    f"The block {block.topic}[{block.partition}] {block.first_offset}–{block.last_offset} was not "
                    "handled; start the worker again to go on with it."
                )
            )

    async def _handle_until_done(self, block: RecordBlock, handle: Callable[[RecordBlock], Awaitable[None]]) -> None:
        pause = self._limits.retry_s
        while True:
            try:
                return await handle(block)
            except Exception:
                logger.exception(
                    "block %s[%d] %d-%d failed, attempt %d; again in %.1f s",
                    *(block.topic, block.partition, block.first_offset, block.last_offset, block.attempt, pause),
                )
            await self._clock.sleep(pause)
            pause = min(pause * 2, self._limits.retry_max_s)
            block = replace(block, attempt=block.attempt + 1)

    async def _next_block(self, drain: "asyncio.Future[None]") -> RecordBlock | None:
        while True:
            self._changed.clear()
            block = self._gathered.take(self._clock.monotonic())
            if block is not None:
                self._resume()
                return block
            if drain.done():
                drain.result()
                return None
            await self._wait()

    async def _wait(self) -> None:
        """Until something has changed or a block has lingered long enough."""
        due = self._gathered.due_in(self._clock.monotonic())
        waiting: set[asyncio.Future[Any]] = {asyncio.ensure_future(self._changed.wait())}
        if due is not None:
            waiting.add(asyncio.ensure_future(self._clock.sleep(due)))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiter in waiting:
                waiter.cancel()

    async def _drain(self, stream: Any) -> None:
        """Take over whatever Faust delivers: its own queue counts records and would not bound their bytes."""
        async for event in stream.events():
            message = event.message
            if self._app.topics.acks_enabled_for(message.topic):
                raise SettingsError(f"Topic {message.topic!r} must be made with blocks_topic().")
            expected = self._next.get(message.tp)
            if expected is not None and message.offset < expected:
                continue  # delivered again after a seek
            self._next[message.tp] = message.offset + 1
            if self._gathered.add(_record(message), self._clock.monotonic()):
                self._changed.set()
            if self._gathered.size > self._limits.buffer_bytes:
                self._pause()

    def _pause(self) -> None:
        """As a full stream buffer does: what is under way still arrives, nothing more is fetched."""
        for tp in self._partitions() - self._paused:
            self._app.consumer.on_buffer_full(tp)
            self._paused.add(tp)

    def _resume(self) -> None:
        if self._paused and self._gathered.size <= self._limits.buffer_bytes // 2:
            for tp in self._paused:
                self._app.consumer.on_buffer_drop(tp)
            self._paused.clear()

    def _partitions(self) -> set[TP]:
        topics = {tp.topic for tp in self._next}
        return {tp for tp in self._app.consumer.assignment() if tp.topic in topics}

    async def _commit(self, block: RecordBlock) -> None:
        """Commit behind a block; Faust first waits until what was sent while handling it is durable."""
        if self._app.crashed:
            return
        # There is no public call that commits an offset by itself; this one also tells tables and sensors.
        await self._app.consumer._commit_offsets(  # noqa: SLF001
            {TP(block.topic, block.partition): block.last_offset + 1}
        )

    async def _on_partitions_revoked(self, _sender: Any, /, *revoked: Any, **_: Any) -> None:
        """Let the block in hand end, so that the next owner goes on behind it, and forget the rest."""
        await asyncio.wait(
            [idle := asyncio.ensure_future(self._idle.wait())], timeout=self._app.conf.broker_session_timeout / 2
        )
        idle.cancel()
        for tp in set().union(*revoked):
            self._gathered.forget((tp.topic, tp.partition))
            self._next.pop(tp, None)
        self._resume()


def _record(message: Any) -> Record:
    headers = message.headers.items() if isinstance(message.headers, dict) else message.headers or ()
    return Record(
        message.topic,
        message.partition,
        message.offset,
        message.key,
        message.value,
        tuple((name, value) for name, value in headers),
        round(message.timestamp * 1000),
    )
