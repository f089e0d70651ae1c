"""Prices history anew: after a new price, or with a newer table of prices; each event once, whatever dies meanwhile.

The work is a job in the metadata: what is wanted, the steps it falls into, and how far it is. A step is first written
down in the warehouse, with the old and the new costs of its events (state ``stage``: nothing has changed, it may begin
anew); then rollups and raw rows are brought in line with that (state ``apply``: it is ended, never begun anew).
"""

import asyncio
import contextlib
import logging
import math
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import text

from core.clock import Clock
from core.errors import Conflict, HubError, Retryable
from hub.backup.making import REPROCESS as JOB
from storage.metadata.database import Metadata
from storage.metadata.engine import make_sync_engine
from storage.metadata.jobs import Jobs
from storage.warehouse.client import Warehouse
from storage.warehouse.repricing import COSTS, DIMENSIONS, KEY, STAGED, Repricing, Which
from streams.columnar import MONEY, flat
from streams.prices.table import PriceTable
from streams.steps.price import price

logger = logging.getLogger("llm_hub.reprocess")

#: Any number, the same in every process: one of them prices anew.
_LOCK: Final = 7_316_255
_LOOK_S: Final = 30.0
_TOKENS: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "reasoning_output_tokens",
)
_NAMES: Final = ("provider", "model", "response_model")
_SETTINGS: Final[dict[str, str | int | float]] = {"max_threads": 1, "max_block_size": 65_536}


@dataclass
class Figures:
    """What pricing anew finds: events read and changed, and their costs before and after."""

    events: int = 0
    changed: int = 0
    unpriced_before: int = 0
    unpriced_after: int = 0
    usd_before: Decimal = field(default_factory=Decimal)
    usd_after: Decimal = field(default_factory=Decimal)

    def told(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            name: format(value, "f") if isinstance(value, Decimal) else value for name, value in asdict(self).items()
        }

    @classmethod
    def read(cls, told: dict[str, Any]) -> "Figures":
        """What :meth:`told` gave."""
        read: dict[str, Any] = {
            name: Decimal(value) if isinstance(value, str) else value for name, value in told.items()
        }
        return cls(**read)


class Reprocessing:
    """The part of a hub that prices history anew, and goes on with what another process has left half way.

    Parameters
    ----------
    metadata, warehouse, clock
        The hub's.
    prices
        The prices as they are now.
    calm
        Held during a step: nothing else rewrites what is stored.
    changed
        Told the earliest time of what was changed, for whoever keeps answers.
    settle_s
        How long other processes may go on with old prices.
    """

    def __init__(
        self,
        metadata: Metadata,
        warehouse: Warehouse,
        clock: Clock,
        prices: PriceTable,
        calm: Callable[[], AbstractAsyncContextManager[None]],
        changed: Callable[[datetime], None],
        settle_s: float = 0.0,
    ) -> None:
        self._metadata, self._warehouse, self._clock = metadata, warehouse, clock
        self._prices, self._calm, self._changed, self._settle_s = prices, calm, changed, settle_s
        self._jobs = Jobs(metadata, clock)
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Go on with what was begun."""
        self._task = asyncio.create_task(self._run(), name="reprocess")

    async def stop(self) -> None:
        """Stop where it is; the next start goes on."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def try_out(
        self, start: datetime, end: datetime, tenants: Sequence[str] = (), models: Sequence[str] = ()
    ) -> dict[str, Any]:
        """What would change, without changing it."""
        which, figures = Which(_seconds(start), _seconds(end), tenants, models), Figures()
        await asyncio.to_thread(self._read, which, figures, None)
        return figures.told()

    async def begin(
        self, start: datetime, end: datetime, tenants: Sequence[str] = (), models: Sequence[str] = ()
    ) -> str:
        """Have it done; the id of the job. Raises :class:`Conflict` while another is under way."""
        Repricing(self._warehouse)
        if (state := await self._jobs.get(JOB)) is not None:
            raise Conflict(f"History is being priced anew already (since {state['begun_at']}): wait for its end.")
        name = uuid.uuid4().hex
        wanted = {"start": _seconds(start), "end": _seconds(end), "tenants": [*tenants], "models": [*models]}
        job = {"id": name, "begun_at": self._clock.now().isoformat(), "wanted": wanted, "state": "plan", "step": 0}
        await self._jobs.put(JOB, {**job, "steps": [], "figures": Figures().told()})
        self._wake.set()
        return name

    async def state(self) -> dict[str, Any] | None:
        """How far it is; None when nothing is under way."""
        job = await self._jobs.get(JOB)
        if job is None:
            return None
        return {name: job[name] for name in ("id", "begun_at", "step", "figures")} | {"steps": len(job["steps"])}

    async def _run(self) -> None:
        while True:
            try:
                await self._go_on()
            except HubError as error:
                logger.warning("pricing anew has to wait: %s", error.detail)
            except Exception:
                logger.exception("pricing anew failed and is tried again")
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _LOOK_S)
            self._wake.clear()

    async def _go_on(self) -> None:
        """The job that is there, to its end, unless another process has it in hand."""
        if await self._jobs.get(JOB) is None:
            return
        async with _alone(self._metadata.url) as check:
            if check is None:
                return
            async for job in self._steps(Repricing(self._warehouse)):
                await asyncio.to_thread(check)
                await self._jobs.put(JOB, job)
        await self._jobs.close(JOB)
        self._changed(datetime(1970, 1, 1, tzinfo=UTC))

    async def _steps(self, repricing: Repricing) -> AsyncIterator[dict[str, Any]]:
        """The job after each thing that was done."""
        job = await self._jobs.get(JOB)
        assert job is not None
        which = Which(**job["wanted"], high={int(lane): high for lane, high in job.get("high", {}).items()})
        if job["state"] == "plan":
            which.high = await self._folded(repricing)
            steps = await asyncio.to_thread(repricing.steps, which)
            job |= {"high": {str(lane): high for lane, high in which.high.items()}, "steps": steps, "state": "stage"}
            yield job
        while job["step"] < len(job["steps"]):
            async with self._calm():
                if job["state"] == "stage":
                    figures = Figures.read(job["figures"])
                    part = which.between(*job["steps"][job["step"]])
                    await asyncio.to_thread(self._stage, repricing, part, figures)
                    job |= {"figures": figures.told(), "state": "apply"}
                    yield job
                token = f"reprocess/{job['id']}/{job['step']}"
                await asyncio.to_thread(repricing.apply, token, self._clock.now())
                self._changed(datetime.fromtimestamp(job["steps"][job["step"]][0], UTC))
                job |= {"state": "stage", "step": job["step"] + 1}
                yield job
        await asyncio.to_thread(repricing.end)
        told = [job["figures"][name] for name in ("changed", "events", "usd_before", "usd_after")]
        logger.info("priced anew: %s of %s events, %s → %s USD", *told)

    async def _folded(self, repricing: Repricing) -> dict[int, int]:
        """The positions up to which every rollup has the events, once that is all that is stored now."""
        await self._clock.sleep(self._settle_s)
        stored = await asyncio.to_thread(repricing.stored)
        for _ in range(240):
            reached = await asyncio.to_thread(repricing.reached)
            if all(reached.get(lane, 0) >= high for lane, high in stored.items()):
                return reached
            await self._clock.sleep(0.5)
        raise Retryable("the rollups are behind the events: it begins when they are not")

    def _stage(self, repricing: Repricing, which: Which, figures: Figures) -> None:
        repricing.begin()
        self._read(which, figures, repricing.stage)

    def _read(self, which: Which, figures: Figures, stage: Callable[[pa.Table], None] | None) -> None:
        where, values = which.sql()
        for batch in self._warehouse.arrow_stream(_rows_sql(where), values, settings=_SETTINGS):
            changed = _changed(pa.Table.from_batches([batch]), self._prices, figures)
            if stage is not None and changed.num_rows:
                stage(changed)


def _seconds(moment: datetime) -> int:
    return math.ceil(moment.timestamp())


def _rows_sql(where: str) -> str:
    """SQL of events with all that decides about their cost; with their contents where there are no tokens."""
    untold = " AND ".join(f"isNull({name})" for name in _TOKENS)
    names = (*KEY, *COSTS, *DIMENSIONS, "expires_at", "reported_cost_usd", "duration_ms", "batch", "cache_hit", "data")
    columns = ", ".join(f"e.{name} AS {name}" for name in dict.fromkeys((*names, *_TOKENS, "response_model")))
    bodies = (
        "SELECT tenant, id, received_at, any(body) AS body FROM payloads "  # noqa: S608 - the hub's own names
        f"WHERE id IN (SELECT id FROM events WHERE {where} AND {untold}) GROUP BY tenant, id, received_at"
    )
    return (
        f"SELECT {columns}, nullIf(p.body, '') AS body FROM (SELECT * FROM events WHERE {where}) AS e "  # noqa: S608
        f"LEFT JOIN ({bodies}) AS p ON e.tenant = p.tenant AND e.id = p.id AND e.received_at = p.received_at"
    )


def _changed(rows: pa.Table, prices: PriceTable, figures: Figures) -> pa.Table:
    """The rows whose cost is another now, with both; adds to the figures."""
    given = {name: flat(rows.column(name)) for name in rows.column_names}
    given |= {name: given[name].cast(pa.int64()) for name in _TOKENS}
    given |= {name: _without_empty(given[name]) for name in _NAMES}
    given["duration_ms"] = given["duration_ms"].cast(pa.float64())
    given["cost_usd"] = given["reported_cost_usd"].cast(pa.float64())
    fresh = price(pa.table(given), prices).table
    after = {name: _column(fresh, name) for name in COSTS}
    before = {name: _plain(rows.column(name)) for name in COSTS}
    gone = pc.and_(pc.equal(before["cost_source"], "estimated"), pc.equal(after["cost_source"], "unpriced"))
    other = np.zeros(rows.num_rows, np.bool_)
    for name in ("cost_usd", "hub_cost_usd", "cost_source"):
        other |= ~_same(before[name], after[name])
    other &= ~np.asarray(gone)  # estimated from contents that have left since
    mask = pa.array(other)
    figures.events += rows.num_rows
    figures.changed += int(other.sum())
    _add(figures, before, {name: pc.if_else(mask, after[name], before[name]) for name in COSTS})
    columns = {name: _plain(rows.column(name)) for name in (*KEY, *DIMENSIONS, "expires_at")} | after
    columns |= {"was_usd": before["cost_usd"], "was_source": before["cost_source"]}
    return pa.table({name: columns[name] for name in STAGED}).filter(mask)


def _add(figures: Figures, before: dict[str, Any], after: dict[str, Any]) -> None:
    wide = pa.decimal128(38, 10)
    figures.usd_before += pc.sum(before["cost_usd"].cast(wide)).as_py() or Decimal(0)
    figures.usd_after += pc.sum(after["cost_usd"].cast(wide)).as_py() or Decimal(0)
    figures.unpriced_before += pc.sum(pc.equal(before["cost_source"], "unpriced")).as_py() or 0
    figures.unpriced_after += pc.sum(pc.equal(after["cost_source"], "unpriced")).as_py() or 0


def _column(table: pa.Table, name: str) -> Any:
    """A column of costs as the warehouse has it: text without nulls, money with them."""
    money = name.endswith("_usd")
    if name not in table.column_names:
        return pa.nulls(table.num_rows, MONEY) if money else pa.repeat("", table.num_rows)
    column = _plain(table.column(name))
    return column if money else pc.fill_null(column, "")


def _plain(column: Any) -> Any:
    array = flat(column)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _same(left: Any, right: Any) -> Any:
    equal = pc.or_kleene(pc.equal(left, right), pc.and_(pc.is_null(left), pc.is_null(right)))
    return np.asarray(pc.fill_null(equal, False))


def _without_empty(column: Any) -> Any:
    """A missing name is no name that is empty."""
    plain = _plain(column)
    return pc.if_else(pc.equal(plain, ""), pa.scalar(None, pa.string()), plain)


@asynccontextmanager
async def _alone(url: str) -> AsyncIterator[Callable[[], Any] | None]:
    """Keeps other processes out; gives a check that this still holds, or None where another process is at it."""
    engine = make_sync_engine(url)
    if engine.dialect.name != "postgresql":  # one process has it all
        engine.dispose()
        yield lambda: None
        return
    connection = await asyncio.to_thread(engine.connect)
    try:
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        held = await asyncio.to_thread(connection.scalar, text(f"SELECT pg_try_advisory_lock({_LOCK})"))
        yield partial(connection.scalar, text("SELECT 1")) if held else None
    finally:
        await asyncio.to_thread(connection.close)
        await asyncio.to_thread(engine.dispose)
