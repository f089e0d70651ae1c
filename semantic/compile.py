"""From a question to SQL: values bound, the tenant first, the cheapest source that can answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Final

from core.errors import Unprocessable
from semantic import catalogue
from semantic.aggregates import Aggregate
from semantic.buckets import Buckets, buckets
from semantic.dimensions import Dimension
from semantic.filters import Filter, condition, field_sql
from semantic.measures import Measure
from semantic.parameters import Parameters
from semantic.question import MAX_ROWS, Order, Question
from semantic.sources import Segment, Source, by_source, cover, merged, nothing, time_condition
from semantic.times import EPOCH, grain, is_relative, parse_moment, zone
from storage.warehouse.roller import UNKNOWN, Level

#: Longest range, in buckets of the granularity and in days.
MAX_BUCKETS: Final = 11_000
MAX_RANGE: Final = timedelta(days=3660)

#: A table of few dimensions is small over so many buckets.
_LONG: Final = 200


@dataclass(frozen=True, slots=True)
class Compiled:
    """SQL that answers a question, and what is needed to read its rows.

    Parameters
    ----------
    sql, parameters
        The statement and the values bound to it. The text depends on the shape of the question alone.
    dimensions, measures
        In the order of the columns; with ``buckets`` the column ``t`` comes before them.
    start, end
        The range, UTC.
    buckets
        None without granularity.
    source
        Names of the sources, coarsest first, joined by ``+``.
    limit
        Most rows of the statement; one more is asked for, to know whether there are more.
    reads_behind
        Whether it reads raw events that the rollups do not have yet.
    """

    sql: str
    parameters: dict[str, Any]
    dimensions: tuple[Dimension, ...]
    measures: tuple[Measure, ...]
    start: datetime
    end: datetime
    buckets: Buckets | None
    source: str
    limit: int
    reads_behind: bool = False


def time_range(question: Question, now: datetime) -> tuple[datetime, datetime]:
    """The range of a question, UTC.

    An end that moves with the clock is as ragged as the moment of asking, and every ragged edge costs the engine
    another table. So a start like ``now-6h`` is cut, and the end ``now`` extended, to whole buckets that are small
    beside the range (:func:`semantic.times.grain`); ``meta.from`` and ``meta.to`` of the answer say where to.

    Raises
    ------
    Unprocessable
        No times, an end before its start, or too long a range.
    """
    tz = zone(question.time_zone)
    start = parse_moment(question.time.start, now, tz, "time.from")
    end = parse_moment(question.time.end, now, tz, "time.to")
    if end < start:
        raise Unprocessable("time.to: lies before time.from.", field="time.to")
    if end - start > MAX_RANGE:
        raise Unprocessable(f"time: a range has at most {MAX_RANGE.days} days.", field="time")
    width = grain(end - start)
    if width and is_relative(question.time.start):
        start = start - (start - EPOCH) % width
    if width and question.time.end == "now":
        end = end + (EPOCH - end) % width
    return start, end


def compile_question(
    question: Question,
    tenant: str,
    now: datetime,
    sources: Sequence[Source],
    *,
    within: tuple[datetime, datetime] | None = None,
    series: int | None = None,
    level: Level = UNKNOWN,
) -> Compiled:
    """The SQL of a question.

    Parameters
    ----------
    question
        The question, its names already known to be right.
    tenant
        Whose events; comes from the credential.
    now
        The time of the question.
    sources
        Rollups, coarsest first, and raw events last.
    within
        The range in place of the question's own (the previous period).
    series
        With granularity and dimensions: only so many series, the first by ``order``; default the question's ``limit``.
    level
        How far the rollups are. Ranges that end before the earliest event behind need no look at the raw events.

    Raises
    ------
    Unprocessable
        Wrong values, too long a range, too fine a granularity.
    """
    start, end = within or time_range(question, now)
    grid = _grid(question, start, end)
    compiler = _Compiler(question, tenant, now, sources, start, end, grid, level)
    return compiler.compile(series or question.limit)


def _grid(question: Question, start: datetime, end: datetime) -> Buckets | None:
    if question.granularity is None:
        return None
    grid = buckets(question.granularity, start, end, zone(question.time_zone))
    if grid.count(start, end) > MAX_BUCKETS:
        raise Unprocessable(
            f"granularity: `{question.granularity}` cuts the range into more than {MAX_BUCKETS} buckets; "
            "take a coarser one, or `auto`.",
            field="granularity",
        )
    return grid


@dataclass(frozen=True, slots=True)
class _Grouped:
    """Aggregates by keys, as parts of a SELECT: ``expression AS name`` of keys and aggregates, FROM and GROUP BY."""

    keys: tuple[str, ...]
    aggregates: tuple[str, ...]
    body: str
    group: str

    @property
    def sql(self) -> str:
        """The whole SELECT."""
        return f"SELECT {', '.join((*self.keys, *self.aggregates))} {self.body}{self.group}"


class _Compiler:
    """One compilation: holds what its steps share."""

    def __init__(
        self,
        question: Question,
        tenant: str,
        now: datetime,
        sources: Sequence[Source],
        start: datetime,
        end: datetime,
        grid: Buckets | None,
        level: Level,
    ) -> None:
        self.question, self.grid, self.events = question, grid, sources[-1]
        self.level, self.reads_behind = level, False
        self.start, self.end = start, end
        self.parameters = Parameters()
        self.tenant = self.parameters.add(tenant, "String")
        self.dimensions = tuple(catalogue.dimension(name, group=True) for name in question.dimensions)
        self.measures = tuple(catalogue.measure(name) for name in question.measures)
        self.aggregates = tuple(dict.fromkeys(chain.from_iterable(item.aggregates for item in self.measures)))
        filtered = [catalogue.dimension(item.field) for item in question.filters]
        self.types = _named_types([*self.dimensions, *filtered])
        self.own_types = self.types is not None or "type" in question.dimensions or _names_type(question.filters)
        self.filters = self._filters()
        self.keys = tuple(field_sql(item, self.parameters) for item in self.dimensions)
        self.segments = cover(start, end, self._usable(sources, filtered), now)

    def compile(self, limit: int | None) -> Compiled:
        grouped = self._grouped()
        if self.grid is None:
            rows = limit or MAX_ROWS
            sql = self._final(grouped, self._order(self.question.order), rows + 1)
        else:
            rows = MAX_ROWS
            if limit is not None and self.dimensions:
                grouped = self._top(grouped.sql, limit)
            elif limit is not None:
                rows = min(rows, limit)
            order = ["t", *(f"d{index}" for index in range(len(self.dimensions)))]
            sql = self._final(grouped, order, rows + 1)
        names = [source.name for source, _ in by_source(self.segments)]
        return Compiled(
            sql,
            self.parameters.within(sql),
            self.dimensions,
            self.measures,
            self.start,
            self.end,
            self.grid,
            "+".join(names) or "none",
            rows,
            self.reads_behind,
        )

    def _filters(self) -> str:
        """The question's filters, on every source."""
        parts = [
            condition(item, self.parameters, f"filters.{index}") for index, item in enumerate(self.question.filters)
        ]
        return "".join(f" AND {part}" for part in parts)

    def _types_of(self, item: Aggregate) -> tuple[str, ...]:
        return () if item.follows and self.own_types else item.types

    def _counted_types(self, mine: Sequence[Aggregate]) -> tuple[str, ...]:
        """The types that these aggregates together count; empty when one counts all types."""
        types = [self._types_of(item) for item in mine]
        return tuple(dict.fromkeys(chain.from_iterable(types))) if all(types) else ()

    def _counted(self, mine: Sequence[Aggregate]) -> str:
        """The condition on types of a part that computes these aggregates."""
        types = self._counted_types(mine) if self.types is None else self.types
        return f" AND {_type_in(types)}" if types or self.types is not None else ""

    def _scope(self, item: Aggregate, mine: Sequence[Aggregate]) -> str:
        """The condition on types that an aggregate still needs within the rows of :meth:`_counted`."""
        types = self._types_of(item)
        if not types or (self.types is None and set(types) == set(self._counted_types(mine))):
            return ""
        return _type_in(types)

    def _groups(self, source: Source, ranges: Sequence[Segment]) -> list[Sequence[Aggregate]]:
        """Aggregates to be computed together.

        A sketch is dear to read, whether its row counts or not. Where sketches are of some types and other aggregates
        of more, two readings cost less than one of all rows.
        """
        sketches = [item for item in self.aggregates if item.function in ("quantiles", "unique")]
        types = set(self._counted_types(sketches))
        if not types or self.types is not None or not source.tells_types:
            return [self.aggregates]
        inside = [item for item in self.aggregates if self._types_of(item) and types.issuperset(self._types_of(item))]
        outside = [item for item in self.aggregates if item not in inside]
        buckets = sum((item.end - item.start).total_seconds() for item in ranges) / source.seconds
        # a narrow table has few rows: planning a second reading of it costs more than they do
        worth = source.wide or buckets > _LONG
        return [inside, outside] if outside and worth else [self.aggregates]

    def _usable(self, sources: Sequence[Source], filtered: Sequence[Dimension]) -> list[Source]:
        """The sources that can answer, coarsest first: dimensions, measures, filters and bucket edges fit."""
        columns = frozenset(item.column for item in (*self.dimensions, *filtered))
        if self.types is not None:
            columns |= {"type"}
        usable = [
            source
            for source in sources
            if source.table not in self.level.lagging
            and source.has(columns, self.aggregates)
            and (self.grid is None or not source.seconds or self._aligned(self.grid, source.seconds))
        ]
        return [source for source in usable if not any(source.dearer(other) for other in usable)]

    def _aligned(self, grid: Buckets, seconds: int) -> bool:
        return grid.aligned_to(seconds, self.start, self.end)

    def _grouped(self, *, totals: bool = False) -> _Grouped:
        """Aggregates by bucket and dimensions, over all segments; with ``totals`` by dimensions alone."""
        by = [f"d{index}" for index in range(len(self.dimensions))]
        if self.grid is not None and not totals:
            by = ["t", *by]
        group = f" GROUP BY {', '.join(by)}" if by else ""
        found = [(source, ranges) for source, ranges in by_source(self.segments) if source.seconds]
        readings = [(source, ranges, mine) for source, ranges in found for mine in self._groups(source, ranges)]
        raw = self._raw(found)
        state = len(readings) + bool(raw) > 1
        parts = [
            self._part(source, time_condition(source, ranges, self.parameters), group, mine, totals=totals, state=state)
            for source, ranges, mine in readings
        ]
        if raw or not parts:
            parts.append(self._part(self.events, raw or "0", group, self.aggregates, totals=totals, state=state))
        if len(parts) == 1:
            return parts[0]
        columns = (f"{merged(item, f's.a{index}')} AS a{index}" for index, item in enumerate(self.aggregates))
        body = f"FROM ({' UNION ALL '.join(part.sql for part in parts)}) AS s"
        return _Grouped(tuple(by), tuple(columns), body, group)

    def _raw(self, found: Sequence[tuple[Source, Sequence[Segment]]]) -> str:
        """Which raw events are needed: those of ranges without a rollup, and those that a rollup does not have yet."""
        plain = [segment for segment in self.segments if not segment.source.seconds]
        parts = [time_condition(self.events, plain, self.parameters)] if plain else []
        for source, ranges in found:
            late = [item for item in ranges if self.level.since is not None and item.end > self.level.since]
            if late and source.lanes:
                self.reads_behind = True
                known = self.level.marks.get(source.table, {})
                marks = {lane: self.parameters.add(mark, "UInt64") for lane, mark in known.items()}
                parts.append(f"{time_condition(self.events, late, self.parameters)} AND {source.behind(marks)}")
        return parts[0] if len(parts) == 1 else " OR ".join(f"({part})" for part in parts)

    def _part(
        self, source: Source, when: str, group: str, mine: Sequence[Aggregate], *, totals: bool, state: bool
    ) -> _Grouped:
        """Some of the aggregates, of one source over the rows that ``when`` says; of the others nothing."""
        keys = [f"{sql} AS d{index}" for index, sql in enumerate(self.keys)]
        if self.grid is not None and not totals:
            tz = self.parameters.add(self.grid.tz.key, "String")
            keys.insert(0, f"{self.grid.sql(source.time, tz)} AS t")
        columns = (
            f"{source.sql(item, self._scope(item, mine), state=state) if item in mine else nothing(item)} AS a{index}"
            for index, item in enumerate(self.aggregates)
        )
        types = self._counted(mine) if source.tells_types else ""
        body = f"FROM {source.table} WHERE tenant = {self.tenant} AND ({when}){types}{self.filters}"
        return _Grouped(tuple(keys), tuple(columns), body, group)

    def _top(self, grouped: str, limit: int) -> _Grouped:
        """Only the first series by their value over the whole range."""
        order = self.question.order or (Order(field=self.question.measures[0], direction="desc"),)
        order = tuple(item for item in order if item.field != "time")
        keys = ", ".join(_comparable(item, f"d{index}") for index, item in enumerate(self.dimensions))
        totals = self._final(self._grouped(totals=True), self._order(order), limit)
        body = f"FROM ({grouped}) AS g WHERE ({keys}) IN (SELECT {keys} FROM ({totals}) AS c)"  # noqa: S608
        names = ("t", *(f"d{index}" for index in range(len(self.dimensions))))
        return _Grouped(names, tuple(f"a{index}" for index in range(len(self.aggregates))), body, "")

    def _final(self, grouped: _Grouped, order: Sequence[str], limit: int) -> str:
        """Formulas over aggregates, sorted and cut; in one SELECT with them, as each level more has to be planned."""
        names = {item.name: _reference(item, f"a{index}") for index, item in enumerate(self.aggregates)}
        columns = [*grouped.keys, *(f"{item.sql(names)} AS m{index}" for index, item in enumerate(self.measures))]
        by = f" ORDER BY {', '.join(order)}" if order else ""
        most = self.parameters.add(limit, "UInt64")
        with_ = f"WITH {', '.join(grouped.aggregates)} " if grouped.group or self.grid is None else ""
        return f"{with_}SELECT {', '.join(columns)} {grouped.body}{grouped.group}{by} LIMIT {most}"

    def _order(self, order: Sequence[Order]) -> list[str]:
        """What is asked for, then every dimension, so that the order is always the same."""
        positions = {name: f"m{index}" for index, name in enumerate(self.question.measures)}
        positions |= {name: f"d{index}" for index, name in enumerate(self.question.dimensions)}
        asked = [f"{positions[item.field]} {item.direction.upper()} NULLS LAST" for item in order]
        return [*asked, *(f"d{index}" for index in range(len(self.dimensions)))]


def _named_types(dimensions: Sequence[Dimension]) -> tuple[str, ...] | None:
    """The event types that names such as ``tool_name`` narrow a question to; None where nothing does."""
    types: tuple[str, ...] | None = None
    for item in dimensions:
        if item.types:
            types = item.types if types is None else tuple(name for name in types if name in item.types)
    return types


def _names_type(filters: Sequence[Filter]) -> bool:
    return any(item.field == "type" and item.op in ("in", "eq", "starts_with", "regex", "contains") for item in filters)


def _type_in(types: Sequence[str]) -> str:
    """SQL of a condition on event types; the names are the hub's own, never a user's."""
    if not types:
        return "0"
    return f"type IN ({', '.join(repr(name) for name in types)})"


def _reference(item: Aggregate, column: str) -> str:
    """A sum over no rows, or over nulls alone, is 0."""
    return f"ifNull({column}, 0)" if item.function == "sum" else column


def _comparable(item: Dimension, column: str) -> str:
    """A key without SQL NULL, which ``IN`` would never find."""
    return f"ifNull(toString({column}), '')" if item.nullable else column
