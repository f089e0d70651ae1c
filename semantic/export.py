"""Events as a table, however many there are: batch by batch, in constant memory."""

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

import pyarrow as pa

from core.errors import SlowDown, Unprocessable
from semantic import catalogue
from semantic.dimensions import DIMENSIONS, Dimension
from semantic.filters import Filter, condition, field_sql
from semantic.parameters import Parameters
from semantic.times import micros
from storage.warehouse.session import Settings

#: Exports at a time; more would take the engine from those who ask questions.
MAX_EXPORTS: Final = 2

#: Columns of an export unless told otherwise: everything that has a column, attributes, and the rest of ``data``.
DEFAULT_COLUMNS: Final = (*(item.name for item in DIMENSIONS if item.column and not item.types), "attributes", "data")

#: One thread, in the order of the table: reading it so needs no sorting and no memory to speak of.
_SETTINGS: Final[dict[str, str | int | float]] = {
    "max_threads": 1,
    "optimize_read_in_order": 1,
    "max_block_size": 16_384,
}


class Streaming(Protocol):
    """What gives answers batch by batch: ``storage.warehouse.client.Warehouse``."""

    def arrow_stream(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, settings: Settings | None = None
    ) -> Generator[pa.RecordBatch]:
        """Record batches; blocks between them, and holds a connection until closed."""
        ...


@dataclass(frozen=True, slots=True)
class Export:
    """Which events, and which of their columns.

    Parameters
    ----------
    start, end
        Events of [start, end).
    columns
        Names of dimensions, ``attributes`` (as JSON) and ``data`` (the fields without a column, as JSON).
    filters
        Conditions that must all hold.
    limit
        Most events; None for all.
    """

    start: datetime
    end: datetime
    columns: tuple[str, ...] = DEFAULT_COLUMNS
    filters: Sequence[Filter] = ()
    limit: int | None = None


def export_sql(tenant: str, export: Export) -> tuple[str, dict[str, Any]]:
    """SQL of an export, by type and time, and the values bound to it.

    Raises
    ------
    Unprocessable
        Unknown or repeated columns, wrong filters.
    """
    if len(set(export.columns)) < len(export.columns):
        raise Unprocessable("columns: every name once.", field="columns")
    parameters = Parameters()
    who = parameters.add(tenant, "String")
    columns = [_column(name, parameters, f"columns.{at}") for at, name in enumerate(export.columns)]
    named = ", ".join(f"{sql} AS c{at}" for at, sql in enumerate(columns))
    start, end = (parameters.add(micros(moment), "Int64") for moment in (export.start, export.end))
    where = "".join(f" AND {condition(item, parameters, f'filter.{at}')}" for at, item in enumerate(export.filters))
    limit = "" if export.limit is None else f" LIMIT {parameters.add(export.limit, 'UInt64')}"
    sql = (
        f"SELECT {named} FROM events AS e WHERE tenant = {who} "  # noqa: S608
        f"AND e.time >= fromUnixTimestamp64Micro({start}, 'UTC') AND e.time < fromUnixTimestamp64Micro({end}, 'UTC')"
        f"{where} ORDER BY e.tenant, e.type, e.time{limit}"
    )
    return sql, parameters.within(sql)


def _column(name: str, parameters: Parameters, where: str) -> str:
    if name == "attributes":
        return "toJSONString(attributes)"
    if name == "data":
        return "nullIf(data, '')"
    dimension = catalogue.dimension(name, where)
    return _forms(dimension, field_sql(dimension, parameters))


def _forms(dimension: Dimension, sql: str) -> str:
    """A dimension as people want it in a file: ids as hex digits, absent text as null."""
    if dimension.kind == "text":
        return f"nullIf(toString({sql}), '')"
    if dimension.kind == "uuid":
        return f"toString({sql})"
    if dimension.kind in ("trace", "span"):
        return f"if({sql} = toFixedString('', {16 if dimension.kind == 'trace' else 8}), NULL, lower(hex({sql})))"
    return dimension.column or sql


class Exporter:
    """Runs exports, a few at a time, each in a thread of its own.

    Parameters
    ----------
    engine
        The warehouse.
    most
        Exports at a time; one more is told to come again.
    """

    def __init__(self, engine: Streaming, most: int = MAX_EXPORTS) -> None:
        self._engine, self._most, self._open = engine, most, 0

    async def batches(self, tenant: str, export: Export) -> AsyncIterator[pa.RecordBatch]:
        """The events, batch by batch, columns named as asked for.

        Raises
        ------
        Unprocessable
            Wrong columns or filters.
        SlowDown
            Too many exports at a time.
        """
        sql, parameters = export_sql(tenant, export)
        if self._open >= self._most:
            raise SlowDown("Other exports are under way; try again in a moment.", retry_after=5.0)
        self._open += 1
        thread = ThreadPoolExecutor(1, thread_name_prefix="export")
        stream = self._engine.arrow_stream(sql, parameters, settings=_SETTINGS)
        try:
            while (batch := await _in(thread, lambda: next(stream, None))) is not None:
                yield pa.RecordBatch.from_arrays(batch.columns, names=list(export.columns))
        finally:
            self._open -= 1
            thread.submit(stream.close)
            thread.shutdown(wait=False)


async def _in(thread: ThreadPoolExecutor, call: Callable[[], pa.RecordBatch | None]) -> pa.RecordBatch | None:
    return await asyncio.get_running_loop().run_in_executor(thread, call)
