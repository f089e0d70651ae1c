"""Where an answer is read from: raw events, or rollups of some seconds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from semantic.aggregates import Aggregate
from semantic.parameters import Parameters
from semantic.times import EPOCH, micros
from storage.warehouse.rollups import ACCURACY, EMPTY, LEVELS, ROLLUPS, Rollup, behind, mark

#: What an aggregate keeps in a rollup: (function, argument, condition, types) → column.
Kept = dict[tuple[str, str, str, tuple[str, ...]], str]

#: Types of the columns that distinct values are counted of.
_KINDS: Final = {"user_id": "String", "session_id": "String", "trace_id": "FixedString(16)"}
#: Buckets that are few enough to be read from one source, where a coarser one would leave ragged edges: of a source
#: with few dimensions, and of one with many, whose buckets have many rows.
FEW_BUCKETS: Final = 400
FEW_WIDE_BUCKETS: Final = 100
#: A source of so few dimensions has few rows: about so many times fewer in a bucket.
NARROW: Final = 4
_ROWS: Final = 12
_LEVELS_SQL: Final = f"({ACCURACY}, {', '.join(str(level) for level in LEVELS)})"


@dataclass(frozen=True, slots=True)
class Source:
    """A table that answers can be read from.

    Parameters
    ----------
    name
        What ``meta.source`` calls it.
    table
        Its table.
    seconds
        Width of its time buckets; 0 for raw events.
    time
        Its time column.
    dimensions
        Columns that rows can be told apart by; None for raw events, which have all.
    kept
        Aggregates that it keeps, as rollups tell of them.
    lifetime
        How far back it reaches; None for as far as the events.
    lanes
        Of the log: for each a rollup says how far it has the events. None where a source has all of them.
    """

    name: str
    table: str
    seconds: int = 0
    time: str = "time"
    dimensions: frozenset[str] | None = None
    kept: Kept = field(default_factory=dict)
    lifetime: timedelta | None = None
    lanes: tuple[int, ...] = ()

    @property
    def tells_types(self) -> bool:
        """Whether rows know their event type; where they do not, the aggregates are kept of certain types."""
        return self.dimensions is None or "type" in self.dimensions

    @property
    def wide(self) -> bool:
        """Whether a bucket has many rows."""
        return len(self.dimensions or ()) > NARROW

    def dearer(self, other: "Source") -> bool:
        """Whether ``other``, as long-lived, has fewer rows although its buckets are finer: few in each."""
        few = self.wide and not other.wide and other.seconds < self.seconds <= other.seconds * _ROWS
        return few and (other.lifetime or timedelta.max) >= (self.lifetime or timedelta.max)

    def behind(self, marks: Mapping[int, str] | None) -> str:
        """Condition on raw events that it does not have yet.

        Parameters
        ----------
        marks
            SQL of the position that it reaches, by lane; None: the statement reads them itself.
        """
        return behind(marks or {lane: mark(self.table, lane) for lane in self.lanes})

    def has(self, columns: frozenset[str], aggregates: Sequence[Aggregate]) -> bool:
        """Whether it can tell ``columns`` apart and keeps every one of ``aggregates``, of their types."""
        if self.dimensions is None:
            return True
        if "user_id" in self.dimensions and "user_id" not in columns and not any(map(self._told, aggregates)):
            return False  # whoever does not ask about users need not read each of them
        return columns <= self.dimensions and all(self._column(item) is not None for item in aggregates)

    def _told(self, item: Aggregate) -> bool:
        """Whether distinct values can be counted from the values themselves, without a sketch."""
        told = item.function == "unique" and item.argument in (self.dimensions or ())
        return told and not item.where and (self.tells_types or not item.types)

    def _column(self, item: Aggregate) -> tuple[str, str] | None:
        """The column that keeps an aggregate, and the condition that is still to be applied."""
        dimensions = self.dimensions or frozenset()
        if self._told(item):
            return item.argument, ""
        if not self.tells_types:
            exact = self.kept.get((item.function, item.argument, item.where, item.types))
            return (exact, "") if exact else None
        if exact := self.kept.get((item.function, item.argument, item.where, ())):
            return exact, ""
        wider = self.kept.get((item.function, item.argument, "", ()))
        return (wider, item.where) if wider and item.columns <= dimensions else None

    def sql(self, item: Aggregate, scope: str, *, state: bool) -> str:
        """SQL of an aggregate over this table.

        Parameters
        ----------
        item
            The aggregate; :meth:`has` said yes to it.
        scope
            Condition on event types; may be empty.
        state
            For merging with other sources, instead of the final value.
        """
        if self.dimensions is None or self._told(item):
            return _raw(item, scope if self.tells_types else "", state)
        found = self._column(item)
        assert found is not None
        column, rest = found
        condition = " AND ".join(part for part in (scope if self.tells_types else "", rest) if part)
        if item.function in ("count", "sum"):
            return _call("sum", "", column, condition)
        function, levels = _sketch(item)
        return _call(f"{function}Merge{'State' if state else ''}", levels, column, condition)


def _sketch(item: Aggregate) -> tuple[str, str]:
    return ("quantilesDD", _LEVELS_SQL) if item.function == "quantiles" else ("uniq", "")


def _call(function: str, levels: str, argument: str, condition: str) -> str:
    if not condition:
        return f"{function}{levels}({argument})"
    return f"{function}If{levels}({', '.join(part for part in (argument, condition) if part)})"


def _raw(item: Aggregate, scope: str, state: bool) -> str:
    present = f"{item.argument} != {EMPTY[item.argument]}" if item.function == "unique" else ""
    condition = " AND ".join(part for part in (scope, item.where, present) if part)
    if item.function == "count":
        return _call("count", "", "", condition)
    if item.function == "sum":
        return _call("sum", "", item.argument, condition)
    function, levels = _sketch(item)
    if not state:
        return _call(function, levels, item.argument, condition)
    if item.function == "quantiles" and condition:
        # `-StateIf` would take the Nullable off the argument, and the state would not merge with those of rollups
        return f"{function}State{levels}(if({condition}, {item.argument}, NULL))"
    return _call(f"{function}State", levels, item.argument, condition)


def nothing(item: Aggregate) -> str:
    """SQL of what a part that does not compute an aggregate gives for it: :func:`merged` is not changed by it."""
    if item.function in ("count", "sum"):
        return "0"
    function, levels = _sketch(item)
    kind = "Nullable(Float32)" if item.function == "quantiles" else _KINDS[item.argument]
    return f"arrayReduce('{function}State{levels}', CAST([], 'Array({kind})'))"


def merged(item: Aggregate, column: str) -> str:
    """SQL that merges the states of several sources."""
    if item.function in ("count", "sum"):
        return f"sum({column})"
    function, levels = _sketch(item)
    return f"{function}Merge{levels}({column})"


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the range, and the source that answers for it."""

    source: Source
    start: datetime
    end: datetime


def cover(start: datetime, end: datetime, sources: Sequence[Source], now: datetime) -> list[Segment]:
    """The range cut into segments: coarse sources for the middle, finer ones for ragged edges, raw for the rest.

    Parameters
    ----------
    start, end
        The range, [start, end).
    sources
        What suffices for the question, coarsest first, raw events last.
    now
        The time of the question, for sources that do not reach back far.
    """
    if start >= end:
        return []
    if (alone := _alone(start, end, sources, now)) is not None:
        return [Segment(alone, start, end)]
    source, rest = sources[0], sources[1:]
    if not source.seconds:
        return [Segment(source, start, end)]
    width = timedelta(seconds=source.seconds)
    low, high = _ceil(start, width), _floor(end, width)
    if source.lifetime is not None:
        low = max(low, _ceil(now - source.lifetime, width))
    if low >= high:
        return cover(start, end, rest, now)
    return [*cover(start, low, rest, now), Segment(source, low, high), *cover(high, end, rest, now)]


def _alone(start: datetime, end: datetime, sources: Sequence[Source], now: datetime) -> Source | None:
    """The coarsest source that answers for the whole range in few buckets: planning a second one costs more."""
    for source in sources:
        if source.seconds and "user_id" not in (source.dimensions or ()):
            width = timedelta(seconds=source.seconds)
            even = _floor(start, width) == start and _floor(end, width) == end
            reaches = source.lifetime is None or start >= now - source.lifetime
            few = FEW_WIDE_BUCKETS if source.wide else FEW_BUCKETS
            if even and reaches and (end - start) <= few * width:
                return source
    return None


def _floor(moment: datetime, width: timedelta) -> datetime:
    return moment - (moment - EPOCH) % width


def _ceil(moment: datetime, width: timedelta) -> datetime:
    return moment + (EPOCH - moment) % width


def by_source(segments: Sequence[Segment]) -> list[tuple[Source, list[Segment]]]:
    """Segments of one source together: planning a part of a statement costs more than reading one more range."""
    found: dict[str, tuple[Source, list[Segment]]] = {}
    for segment in segments:
        found.setdefault(segment.source.name, (segment.source, []))[1].append(segment)
    return sorted(found.values(), key=lambda item: -item[0].seconds)


def time_condition(source: Source, segments: Sequence[Segment], parameters: Parameters) -> str:
    """SQL of the segments' ranges, each [start, end), on the source's time column."""
    parts: list[str] = []
    for segment in segments:
        start, end = (parameters.add(micros(moment), "Int64") for moment in (segment.start, segment.end))
        parts.append(
            f"{source.time} >= fromUnixTimestamp64Micro({start}, 'UTC') "
            f"AND {source.time} < fromUnixTimestamp64Micro({end}, 'UTC')"
        )
    return parts[0] if len(parts) == 1 else f"({' OR '.join(f'({part})' for part in parts)})"


def _rollup(item: Rollup, lanes: tuple[int, ...]) -> Source:
    kept: Kept = {(entry.function, entry.argument, entry.where, entry.types): entry.column for entry in item.kept}
    return Source(item.name, item.name, item.seconds, "time", item.dimensions, kept, item.retention, lanes)


def warehouse_sources(lanes: tuple[int, ...] = (0,)) -> tuple[Source, ...]:
    """The sources of the warehouse: its rollups, the coarsest first, and the events.

    Of two of one width the one with fewer dimensions comes first, as it has fewer rows, and the one by user last.

    Parameters
    ----------
    lanes
        Lanes of the log: each says for itself how far the rollups have it.
    """
    ordered = sorted(ROLLUPS, key=lambda item: (-item.seconds, "user_id" in item.dimensions, len(item.dimensions)))
    return (*(_rollup(item, lanes) for item in ordered), Source("events", "events"))
