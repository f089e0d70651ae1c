"""Group commit: what came in together goes into the log together, and who sent it hears when it is durable.

Small batches go at once, all that are ready; but their appends begin a moment apart, because a record costs its readers
as much as many events do, unless there are many by then and nothing else is on its way.
"""

import asyncio
import math
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass

from broker.log import Log, Mark, NewRecord
from broker.topics import EVENTS
from broker.trace_headers import traced
from core.clock import Clock
from core.errors import Conflict, HubError, Retryable, SlowDown
from core.metrics import Metrics
from core.traces import NO_TRACES, Traces
from ingest.batch import Batch
from ingest.dead_letters import Encrypt, dead_letter_records
from ingest.encode import event_records
from ingest.limits import Limits


@dataclass(slots=True)
class _Waiting:
    batch: Batch
    done: "asyncio.Future[None]"
    trace: str


class Publisher:
    """Puts batches into the log.

    Parameters
    ----------
    log
        Must have the hub's topics.
    clock, limits, metrics
        Of the process.
    encrypt
        For the dead letters.
    executor
        Threads that encode; its queue is bounded by the bytes in flight.
    traces
        Of the process. A record carries the traces that brought it about, for whoever works on it next.
    region
        Where events are taken in; every record says so.
    """

    def __init__(
        self,
        log: Log,
        clock: Clock,
        limits: Limits,
        metrics: Metrics,
        encrypt: Encrypt,
        executor: Executor,
        traces: Traces = NO_TRACES,
        region: str = "",
    ) -> None:
        self._log = log
        self._region = region
        self._clock = clock
        self._limits = limits
        self._metrics = metrics
        self._encrypt = encrypt
        self._traces = traces
        self._executor = executor
        self._gathered: list[_Waiting] = []
        self._rows = 0
        self._latest = -math.inf
        self._appending = 0
        self._coming = 0
        self._inside = 0
        self._looking: asyncio.Handle | None = None
        self._timer: asyncio.Task[None] | None = None
        self._commits: set[asyncio.Task[None]] = set()
        self._stopping = False
        metrics.ingest_gathered_rows.set_function(lambda: self._rows)

    @contextmanager
    def coming(self) -> Iterator[None]:
        """For as long as a batch is being made and published: small ones wait for it, not for long."""
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1

    async def publish(self, batch: Batch) -> None:
        """Return once the batch, its dead letters and its marks are durable.

        Raises
        ------
        SlowDown
            The log is full, or the hub is stopping; nothing was kept.
        Retryable
            The log is down; the sender should try the same request again.
        Conflict
            One of the batch's marks is known already; nothing was kept.
        """
        if self._stopping:
            self._metrics.ingest_refused.labels("stopping").inc()
            raise SlowDown("the hub is stopping; send the same body again", retry_after=2.0)
        waiting = _Waiting(batch, asyncio.get_running_loop().create_future(), self._traces.traceparent())
        self._inside += 1
        try:
            if batch.rows >= self._limits.direct_events:
                self._start([waiting], gathered=False)
            else:
                self._gather(waiting)
            await waiting.done
        finally:
            self._inside -= 1

    async def stop(self) -> None:
        """Commit what was gathered, and wait for it."""
        self._stopping = True
        self._flush()
        while self._commits:
            await asyncio.gather(*self._commits, return_exceptions=True)

    def _gather(self, waiting: _Waiting) -> None:
        self._gathered.append(waiting)
        self._rows += waiting.batch.rows
        if self._rows >= self._limits.gather_events:
            self._flush()
        elif self._looking is None:  # those that are ready in the same turn of the loop go together
            self._looking = asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        """Append what was gathered if it is time, or see to it that it is looked at again."""
        self._looking = None
        if not self._gathered:
            return
        pause = self._latest + self._limits.gather_ms / 1000 - self._clock.monotonic()
        nobody_else = not self._appending and self._coming <= self._inside
        if pause <= 0 or (self._rows >= self._limits.direct_events and nobody_else):
            self._flush()
        elif self._timer is None:
            self._timer = asyncio.create_task(self._look_later(pause))

    async def _look_later(self, pause: float) -> None:
        await self._clock.sleep(pause)
        self._timer = None
        self._look()

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        gathered, self._gathered, self._rows = self._gathered, [], 0
        if gathered:
            self._latest = self._clock.monotonic()
            self._appending += 1
            self._start(gathered, gathered=True)

    def _start(self, group: list[_Waiting], *, gathered: bool) -> None:
        task = asyncio.create_task(self._commit(group))
        self._commits.add(task)
        task.add_done_callback(self._commits.discard)
        if gathered:
            task.add_done_callback(self._appended)

    def _appended(self, _: "asyncio.Task[None]") -> None:
        self._appending -= 1
        self._look()

    async def _commit(self, group: list[_Waiting]) -> None:
        """One append for the group; every member hears how it went, whatever happens."""
        try:
            causes = [waiting.trace for waiting in group if waiting.trace]
            with self._traces.span("append", "producer", caused_by=causes):
                await self._append([waiting.batch for waiting in group], causes)
        except Conflict as error:
            if len(group) == 1:
                _fail(group, error)
            else:  # somebody else's mark: only its own request may fail
                for waiting in group:
                    await self._commit([waiting])
        except BaseException as error:
            _fail(group, error)
            if not isinstance(error, Exception):
                raise
        else:
            for waiting in group:
                if not waiting.done.done():
                    waiting.done.set_result(None)

    async def _append(self, batches: list[Batch], causes: list[str]) -> None:
        loop = asyncio.get_running_loop()
        records = await loop.run_in_executor(self._executor, self._encode, batches)
        if causes:
            records = traced(records, [self._traces.traceparent(), *causes[1:]])
        marks = [mark for batch in batches for mark in batch.marks]
        if records or marks:
            await self._write(records, marks)
            self._metrics.ingest_records.inc(len(records))
        for batch in batches:
            if batch.rejected:
                self._metrics.ingest_dead_letters.labels(batch.door).inc(len(batch.rejected))

    async def _write(self, records: list[NewRecord], marks: list[Mark]) -> None:
        began = time.perf_counter()
        try:
            await self._log.append(records, marks)
        except HubError as error:
            self._metrics.log_failures.labels(type(error).__name__).inc()
            if isinstance(error, SlowDown | Retryable):
                self._metrics.ingest_refused.labels("log").inc()
            raise
        self._metrics.log_append_seconds.observe(time.perf_counter() - began)
        self._metrics.log_append_bytes.observe(sum(len(record.value or b"") for record in records))

    def _encode(self, batches: list[Batch]) -> list[NewRecord]:
        tables = [batch.table for batch in batches if batch.table.num_rows]
        records = event_records(tables, self._log.partitions(EVENTS), self._region) if tables else []
        for batch in batches:
            records.extend(dead_letter_records(batch, self._encrypt))
        return records


def _fail(group: list[_Waiting], error: BaseException) -> None:
    for waiting in group:
        if not waiting.done.done():
            waiting.done.set_exception(error)
