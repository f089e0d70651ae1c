"""The one place that questions about events go through."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from core.clock import Clock
from core.errors import HubError, SlowDown, TooManyRequests, Unprocessable
from core.metrics import Metrics
from core.traces import NO_TRACES, Traces
from semantic.answer import Answer, Cells, assemble, columns_of, convert_money, rfc3339
from semantic.cache import PastCache, SingleFlight, Writes
from semantic.compile import MAX_BUCKETS, Compiled, compile_question, time_range
from semantic.question import MAX_ROWS, Question
from semantic.sources import Source
from storage.warehouse.roller import UNKNOWN, Level
from storage.warehouse.rows import Rows
from storage.warehouse.session import Settings

logger = logging.getLogger(__name__)

Known = TypeVar("Known")

#: Engine codes whose cause is the question: wrong regex, too much time or memory.
_BAD_PATTERN: Final = 427
_TOO_DEAR: Final = frozenset({159, 160, 241})


class Engine(Protocol):
    """What answers SQL: ``storage.warehouse.client.Warehouse``. Blocks; safe from several threads."""

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None, *, settings: Settings | None = None) -> Rows:
        """The rows of a SELECT; values are bound on the server."""
        ...


def _no_watermark(_tenant: str) -> datetime | None:
    return None


def _no_rates(_tenant: str) -> Mapping[str, float]:
    return {}


def _no_level() -> Level:
    return UNKNOWN


def _may_have_moved(_: Level) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class LayerConfig:
    """Limits of questions.

    Parameters
    ----------
    workers
        Threads that wait for the engine.
    per_tenant, waiting
        Questions of one tenant at a time, and how many more may wait; beyond that 429.
    total
        Questions of all tenants, running and waiting; beyond that 503.
    seconds, memory_bytes, read_rows
        What one question may cost the engine.
    keep_seconds
        How long an answer may be given again, as long as nothing was written since.
    kept
        Most answers remembered.
    threads
        Threads of the engine for a question that rollups answer; 0 leaves it to the engine.
    """

    workers: int = 6
    per_tenant: int = 6
    waiting: int = 100
    total: int = 400
    seconds: float = 20.0
    memory_bytes: int = 600_000_000
    read_rows: int = 2_000_000_000
    keep_seconds: float = 1.0
    kept: int = 512
    threads: int = 0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a layer may ask of its neighbours; each has a harmless default.

    Parameters
    ----------
    writes
        Tells of every write to the warehouse; None where others write as well.
    watermark
        Up to when everything of a tenant is visible.
    rates
        A tenant's units of a currency per US dollar, by ISO code.
    level, holds
        How far the rollups are, and whether they still are.
    tries
        How often ``level`` is worth asking, as long as it does not hold. 0: this process knows it; more: it asks the
        warehouse, and both block.
    metrics, traces
        Where questions are counted and traced.
    """

    writes: Writes | None = None
    watermark: Callable[[str], datetime | None] = _no_watermark
    rates: Callable[[str], Mapping[str, float]] = _no_rates
    level: Callable[[], Level] = _no_level
    holds: Callable[[Level], bool] = _may_have_moved
    tries: int = 0
    metrics: Metrics = field(default_factory=Metrics)
    traces: Traces = NO_TRACES


@dataclass(slots=True)
class _Turn:
    """Who of a tenant is running and waiting."""

    free: asyncio.Semaphore
    inside: int = 0


@dataclass(slots=True)
class _Turns:
    by_tenant: dict[str, _Turn] = field(default_factory=dict)
    inside: int = 0


class SemanticLayer:
    """Answers questions of tenants.

    Parameters
    ----------
    engine
        The warehouse.
    sources
        Rollups, coarsest first, and raw events last.
    clock
        The time of questions.
    config, surroundings
        Limits, and what neighbours know.
    """

    def __init__(
        self,
        engine: Engine,
        sources: Sequence[Source],
        clock: Clock,
        config: LayerConfig | None = None,
        surroundings: Surroundings | None = None,
    ) -> None:
        self._engine, self._sources, self._clock = engine, tuple(sources), clock
        self.config = config or LayerConfig()
        self._around = surroundings or Surroundings()
        self._flights: SingleFlight[Answer] = SingleFlight(clock, self.config.kept)
        self._past: PastCache[Rows] | None = PastCache(self._around.writes, clock) if self._around.writes else None
        self._turns = _Turns()
        self._metrics = self._around.metrics
        self._metrics.query_open.set_function(lambda: self._turns.inside)
        self._metrics.query_open_limit.set(self.config.total)
        self._threads = ThreadPoolExecutor(self.config.workers, thread_name_prefix="question")

    async def start(self) -> None:
        """Nothing to do: threads begin with the first question."""

    async def stop(self) -> None:
        """Let running questions end and free the threads."""
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)

    async def ping(self) -> None:
        """Whether the engine answers; raises what it raises."""
        await asyncio.to_thread(self._query, "SELECT 1", {})

    def now(self) -> datetime:
        """The time of a question asked now."""
        return self._clock.now()

    async def ask(self, tenant: str, question: Question) -> Answer:
        """Answer a question of ``tenant``.

        Raises
        ------
        Unprocessable
            Wrong values, or a question that costs too much.
        TooManyRequests, SlowDown
            The tenant, or the hub, has too many questions open.
        """
        generation = self._around.writes.generation if self._around.writes else 0
        key = (tenant, generation, question.model_dump_json(by_alias=True))
        self._metrics.query_asked.inc()
        try:
            with self._around.traces.span("question") as span:
                answer = await self._flights.get(key, self.config.keep_seconds, lambda: self._answer(tenant, question))
                span.set("llm_hub.source", str(answer.meta["source"]))
                span.set("llm_hub.rows_read", int(answer.meta["rows_read"]))
                return answer
        except HubError as error:
            self._metrics.query_failures.labels(type(error).__name__).inc()
            raise

    async def rows(self, tenant: str, sql: str, parameters: Mapping[str, Any]) -> Rows:
        """Rows of SQL that this room has written (traces, events), within the tenant's turn and limits."""
        return await self._run(tenant, sql, parameters)

    async def _answer(self, tenant: str, question: Question) -> Answer:
        began = self._clock.monotonic()
        now = self._clock.now()
        rates = self._rates(tenant, question)
        within = time_range(question, now)
        asked = [self._cells(tenant, question, now, within)]
        if question.compare:
            start, end = within
            asked.append(self._cells(tenant, question, now, (start - (end - start), start)))
        (cells, read), *others = await asyncio.gather(*asked)
        compiled = cells.compiled
        columns = columns_of(cells.compiled, compare=bool(question.compare), currency=question.currency)
        rows = assemble(cells, others[0][0] if others else None)
        truncated = len(rows) > MAX_ROWS or cells.cut
        if question.currency:
            convert_money(columns, rows, question.currency, rates)
        elapsed, rows_read = self._clock.monotonic() - began, read + sum(item[1] for item in others)
        source = self._metrics.bounded("source", compiled.source)
        self._metrics.query_seconds.labels(source).observe(elapsed)
        self._metrics.query_rows_read.observe(rows_read)
        meta = {
            "elapsed_ms": round(elapsed * 1000, 3),
            "rows_read": rows_read,
            "source": compiled.source,
            "watermark": self._watermark(tenant),
            "from": rfc3339(compiled.start),
            "to": rfc3339(compiled.end),
            "truncated": truncated,
        }
        return Answer(columns, rows[:MAX_ROWS], meta)

    def _watermark(self, tenant: str) -> str | None:
        found = self._around.watermark(tenant)
        return rfc3339(found) if found else None

    def _rates(self, tenant: str, question: Question) -> Mapping[str, float]:
        rates = {"USD": 1.0, **self._around.rates(tenant)}
        if question.currency and question.currency not in rates:
            raise Unprocessable(
                f"currency: no rate for `{question.currency}`; set one for the tenant.",
                field="currency",
                known=sorted(rates),
            )
        return rates

    async def _cells(
        self, tenant: str, question: Question, now: datetime, within: tuple[datetime, datetime]
    ) -> tuple[Cells, int]:
        """The cells of a range; asked again for fewer series where they are too many."""
        compiled, found = await self._read(tenant, question, now, within)
        cut = len(found.rows) > compiled.limit
        if cut and compiled.buckets and compiled.dimensions:
            series = max(1, MAX_ROWS // min(compiled.buckets.count(*within), MAX_BUCKETS))
            again, more = await self._read(tenant, question, now, within, series)
            return Cells(again, more.rows[: again.limit], cut=True), found.rows_read + more.rows_read
        return Cells(compiled, found.rows[: compiled.limit], cut=cut), found.rows_read

    async def _read(
        self,
        tenant: str,
        question: Question,
        now: datetime,
        within: tuple[datetime, datetime],
        series: int | None = None,
    ) -> tuple[Compiled, Rows]:
        """A question's statement and its rows.

        Asking for the marks of the rollups costs as much as a small question. Where this process folds, it knows them;
        if a fold came between, the statement is asked once more and reads them itself. Of a cluster they are asked for
        before and after the statement, which has no one moment of its own there.
        """
        for ask in (*[self._around.level] * max(1, self._around.tries), _no_level):
            level = await self._known(ask)
            compiled = compile_question(question, tenant, now, self._sources, within=within, series=series, level=level)
            rows = await self._rows(tenant, compiled, now)
            if not (compiled.reads_behind and level.marks):
                break
            read = {name: places for name, places in level.marks.items() if name in compiled.source.split("+")}
            if await self._known(partial(self._around.holds, replace(level, marks=read))):
                break
        return compiled, rows

    async def _known(self, ask: Callable[[], Known]) -> Known:
        """What a neighbour knows; in a thread where it has to ask for it."""
        if not self._around.tries:
            return ask()
        return await asyncio.get_running_loop().run_in_executor(self._threads, ask)

    async def _rows(self, tenant: str, compiled: Compiled, now: datetime) -> Rows:
        """The rows of a statement; those of a range that is over may be known already."""
        threads = self.config.threads if "events" not in compiled.source else 0

        def run() -> Awaitable[Rows]:
            return self._run(tenant, compiled.sql, compiled.parameters, threads)

        if self._past is None or compiled.end > now or compiled.reads_behind:
            return await run()
        return await self._past.get((compiled.sql, repr(sorted(compiled.parameters.items()))), compiled.end, run)

    async def _run(self, tenant: str, sql: str, parameters: Mapping[str, Any], threads: int = 0) -> Rows:
        turn = self._enter(tenant)
        try:
            async with turn.free:
                loop = asyncio.get_running_loop()
                with self._around.traces.span("warehouse query", "client"):
                    return await loop.run_in_executor(self._threads, self._query, sql, parameters, threads)
        finally:
            self._leave(tenant, turn)

    def _query(self, sql: str, parameters: Mapping[str, Any], threads: int = 0) -> Rows:
        settings: dict[str, str | int | float] = {
            "max_execution_time": self.config.seconds,
            "timeout_overflow_mode": "throw",
            "max_memory_usage": self.config.memory_bytes,
            "max_rows_to_read": self.config.read_rows,
            "read_overflow_mode": "throw",
        }
        if threads:
            settings["max_threads"] = threads
        try:
            return self._engine.query(sql, parameters, settings=settings)
        except HubError as error:
            raise _blame(error) from error

    def _enter(self, tenant: str) -> _Turn:
        if self._turns.inside >= self.config.total:
            raise SlowDown("The hub has too many questions open; ask again in a moment.", retry_after=1.0)
        turn = self._turns.by_tenant.setdefault(tenant, _Turn(asyncio.Semaphore(self.config.per_tenant)))
        if turn.inside >= self.config.per_tenant + self.config.waiting:
            raise TooManyRequests("Too many questions of this tenant are open; ask again in a moment.", retry_after=1.0)
        turn.inside += 1
        self._turns.inside += 1
        return turn

    def _leave(self, tenant: str, turn: _Turn) -> None:
        turn.inside -= 1
        self._turns.inside -= 1
        if not turn.inside:
            self._turns.by_tenant.pop(tenant, None)


def _blame(error: HubError) -> HubError:
    """The question's own fault told as such."""
    code = error.extra.get("code")
    if code == _BAD_PATTERN:
        return Unprocessable("filters: `regex` is no valid RE2 pattern.", field="filters")
    if code in _TOO_DEAR:
        logger.warning("a question was too dear for the engine: code %s, %s", code, str(error.__cause__)[:300])
        return Unprocessable(
            "The question costs more than allowed: narrow its range or filters, or use fewer dimensions."
        )
    return error
