"""The catalogue of rollups: what each keeps, for how long, and so which questions it can answer.

Every kept aggregate is told as (function, argument, condition, types) over rows of ``events``: whoever computes the
same over raw rows gets the same answer. A count or sum is read back with ``sum(column)``, quantiles with
``quantilesDDMerge(0.01, levels…)(column)``, distinct values with ``uniqMerge(column)``.

A rollup is a fold over ``events`` in the order of their ``position``. Each fold of it is one part that carries, beside
the aggregates, a mark of how far it reaches: a row of no tenant, dated :data:`MARK` plus the lane. What a rollup
holds, and the mark that says so, become visible in the same instant, so an answer is exact at any moment: the rollup,
and of the raw events those behind the mark (:func:`behind`).

Reading the events is most of a fold's cost, so live traffic is read once for several rollups: into a staging table in
memory, fine enough for each of them, from which their folds are made.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

#: Relative error and levels of every quantile sketch; they are part of the type of its column.
ACCURACY: Final = 0.01
LEVELS: Final = (0.5, 0.9, 0.95, 0.99, 0.999)

#: What a column of texts holds where there is none.
EMPTY: Final = {"user_id": "''", "session_id": "''", "trace_id": "toFixedString('', 16)"}

#: Epoch seconds of 2100-01-01: the ``time`` of the mark of lane 0. No event is so late, and no TTL reaches it.
MARK: Final = 4_102_444_800

#: Bits of a position below its lane.
LANE_BITS: Final = 48


#: Settings under which a grouping gives one block, however many groups it has.
ONE_BLOCK: Final = {
    "max_threads": 1,
    "max_block_size": 10_000_000,
    "group_by_two_level_threshold": 0,
    "group_by_two_level_threshold_bytes": 0,
}


@dataclass(frozen=True, slots=True)
class Kept:
    """One column of mergeable states.

    Parameters
    ----------
    column
        Its name, the same in every rollup that has it.
    function
        ``count``, ``sum``, ``quantiles`` or ``unique``.
    argument
        Column of ``events``; empty when rows are counted.
    where
        Condition on rows of ``events``; empty for all. Of a count over an argument it says that the argument is there.
    types
        Event types that it is restricted to; empty for all.
    """

    column: str
    function: Literal["count", "sum", "quantiles", "unique"]
    argument: str = ""
    where: str = ""
    types: tuple[str, ...] = ()

    @property
    def sql(self) -> str:
        """Its state over rows of ``events AS e``."""
        where = [f"e.type IN ({', '.join(map(repr, self.types))})"] if self.types else []
        if self.function == "count":
            where += [_of_e(self.where)] if self.where else []
            return f"countIf({' AND '.join(where)})" if where else "count()"
        if self.function == "sum":
            of = f"ifNull(e.{self.argument}, 0)"
            return f"sumIf({of}, {where[0]})" if where else f"sum({of})"
        if self.function == "quantiles":
            return f"quantilesDDState({ACCURACY}, {', '.join(map(str, LEVELS))})(e.{self.argument})"
        return f"uniqStateIf(e.{self.argument}, e.{self.argument} != {EMPTY[self.argument]})"

    @property
    def merged(self) -> str:
        """Its state over rows ``AS s`` that have its states under the same name."""
        if self.function in ("count", "sum"):
            return f"sum(s.{self.column})"
        if self.function == "quantiles":
            return f"quantilesDDMergeState({ACCURACY}, {', '.join(map(str, LEVELS))})(s.{self.column})"
        return f"uniqMergeState(s.{self.column})"


@dataclass(frozen=True, slots=True)
class Rollup:
    """One rollup table: (``tenant``, ``time``, dimensions) → kept aggregates.

    Parameters
    ----------
    name
        Its table.
    seconds
        Width of a bucket; ``time`` is its start, ``DateTime('UTC')``.
    dimensions
        Columns it can group and filter by, beside ``tenant`` and ``time``; named as in ``events``.
    kept
        Its aggregates.
    retention
        How long its rows are kept, from ``time`` on; None: as long as the tenant's events.
    staging
        The table in :data:`STAGINGS` that live events are read into for it.
    """

    name: str
    seconds: int
    dimensions: frozenset[str]
    kept: tuple[Kept, ...]
    retention: timedelta | None
    staging: str = "staging"

    @property
    def columns(self) -> tuple[str, ...]:
        """Its columns, in the order in which the statements below give them."""
        expiry = () if self.retention is not None else ("expires_at",)
        dimensions = ("tenant", *sorted(self.dimensions))
        return ("time", *dimensions, *(kept.column for kept in self.kept), "through", *expiry)

    @property
    def fold(self) -> str:
        """SQL that adds the events of positions (``low``, ``high``] and the mark ``mark``.

        Events before ``since``, in epoch seconds, are left out: the rollup would forget them at once.
        """
        return f"{self._add(f'({self._read()})')} GROUP BY {', '.join(('time', *self._texts))}"

    @property
    def fold_staged(self) -> str:
        """SQL that adds what was staged for it as ``round``, and its mark.

        Nothing at all, and so no mark, unless all of the round is there: somebody else may have emptied the table.
        """
        whole = f"(SELECT count() FROM {self.staging} WHERE round = {{round:UUID}} AND tenant = '') = 1"  # noqa: S608
        recent = "(s.tenant = '' OR s.time >= fromUnixTimestamp({since:Int64}))"
        group = ", ".join(("time", *self._texts))
        return f"{self._add(self.staging)} WHERE s.round = {{round:UUID}} AND {recent} AND {whole} GROUP BY {group}"

    @property
    def stage(self) -> str:
        """Of a staging table: SQL that reads the events into it as ``round``; parameters as :attr:`fold`."""
        columns = ", ".join(self.columns)
        return f"INSERT INTO {self.name} (round, {columns}) SELECT {{round:UUID}}, {columns} FROM ({self._read()})"  # noqa: S608

    @property
    def _texts(self) -> tuple[str, ...]:
        return ("tenant", *sorted(self.dimensions))

    def _read(self) -> str:
        """SELECT of the aggregates of events, and of the mark."""
        bucket = f"toDateTime(intDiv(toUnixTimestamp(e.time), {self.seconds}) * {self.seconds}, 'UTC') AS time"
        states = ", ".join(f"{kept.sql} AS {kept.column}" for kept in self.kept)
        expiry, never = "", ""
        if self.retention is None:
            expiry, never = ", max(e.expires_at) AS expires_at", ", toDateTime(4294967295) AS expires_at"
        texts = ", ".join(f"e.{name} AS {name}" for name in self._texts)
        empty = ", ".join(f"'' AS {name}" for name in self._texts)
        return f"""SELECT {bucket}, {texts}, {states}, toUInt64(0) AS through{expiry}
FROM events AS e
WHERE e.position > {{low:UInt64}} AND e.position <= {{high:UInt64}} AND e.time >= fromUnixTimestamp({{since:Int64}})
GROUP BY {", ".join(("time", *self._texts))}
UNION ALL
SELECT toDateTime({{mark:UInt32}}, 'UTC') AS time, {empty}, {states}, {{high:UInt64}} AS through{never}
FROM events AS e
WHERE 0
"""  # noqa: S608 - all names are of this file

    def _add(self, source: str) -> str:
        """INSERT of what ``source`` has, as fine as this or finer, without the GROUP BY at its end.

        One grouping gives one block (with :data:`ONE_BLOCK`): its token depends on the number of blocks.
        """
        width = f"intDiv(toUnixTimestamp(s.time), {self.seconds}) * {self.seconds}"
        columns = [
            f"if(s.tenant = '', s.time, toDateTime({width}, 'UTC')) AS time",
            *(f"s.{name} AS {name}" for name in self._texts),
            *(f"{kept.merged} AS {kept.column}" for kept in self.kept),
            "max(s.through) AS through",
        ]
        if self.retention is None:
            columns.append("max(s.expires_at) AS expires_at")
        return f"INSERT INTO {self.name} ({', '.join(self.columns)}) SELECT {', '.join(columns)} FROM {source} AS s"  # noqa: S608


def mark(rollup: str, lane: int) -> str:
    """SQL of the position that ``rollup`` reaches in a lane.

    A statement sees one snapshot of each table (``enable_shared_storage_snapshot_in_query``, on by default): the mark
    belongs to the rows that the statement reads.
    """
    return (
        f"(SELECT max(through) FROM {rollup} "  # noqa: S608 - the hub's own names
        f"WHERE tenant = '' AND time = toDateTime({MARK + lane}, 'UTC'))"
    )


def behind(reached: Mapping[int, str]) -> str:
    """SQL condition on ``events``: rows that a rollup does not have yet, given what it reaches by lane.

    Examples
    --------
    >>> behind({0: "{p0:UInt64}"})
    'position > greatest(0, {p0:UInt64}) AND position <= 281474976710655'
    """
    lanes = [
        f"position > greatest({lane << LANE_BITS}, {position}) AND position <= {last_of(lane)}"
        for lane, position in reached.items()
    ]
    return lanes[0] if len(lanes) == 1 else f"({' OR '.join(f'({lane})' for lane in lanes)})"


def last_of(lane: int) -> int:
    """The last position that a lane has."""
    return (lane + 1 << LANE_BITS) - 1


def _of_e(condition: str) -> str:
    """A condition that begins with its column, on rows of ``events AS e``."""
    return f"e.{condition}"


def _count(column: str, where: str, *types: str) -> Kept:
    return Kept(column, "count", "", where, types)


def _sum(column: str, *types: str) -> Kept:
    return Kept(column, "sum", column, types=types)


def _present(column: str, argument: str) -> Kept:
    return Kept(column, "count", argument, f"{argument} IS NOT NULL")


def _mean(argument: str) -> tuple[Kept, Kept]:
    return Kept(f"{argument}_sum", "sum", argument), _present(f"{argument}_count", argument)


EVENTS: Final = Kept("events", "count")
TOKENS: Final = (
    _sum("input_tokens"),
    _sum("output_tokens"),
    _sum("cache_read_input_tokens"),
    _sum("cache_write_input_tokens"),
    _sum("reasoning_output_tokens"),
)
COSTS: Final = (_sum("cost_usd"), _present("priced", "cost_usd"), _count("unpriced", "cost_source = 'unpriced'"))
MEANS: Final = (
    *_mean("duration_ms"),
    *_mean("time_to_first_token_ms"),
    *_mean("tokens_per_second"),
    *_mean("score"),
    *_mean("rating"),
    *_mean("value"),
)
FLAGS: Final = (_count("cache_hits", "cache_hit"), _count("passed", "passed"), _present("judged", "passed"))
SKETCHES: Final = (
    Kept("duration_ms_sketch", "quantiles", "duration_ms"),
    Kept("time_to_first_token_ms_sketch", "quantiles", "time_to_first_token_ms"),
)
USERS: Final = Kept("users_sketch", "unique", "user_id")
UNIQUES: Final = (
    USERS,
    Kept("sessions_sketch", "unique", "session_id"),
    Kept("traces_sketch", "unique", "trace_id"),
)

DIMENSIONS: Final = frozenset(
    {"type", "source", "project", "environment", "service", "provider", "model", "operation", "name", "status"}
    | {"error_class", "verdict"}
)

_BASE: Final = (EVENTS, *TOKENS, *COSTS, *MEANS, *FLAGS, *SKETCHES)

_REQUEST: Final = ("llm.request",)
_MODEL_CALLS: Final = ("llm.request", "llm.embedding")
#: What is asked of users, with the types inside, so that a user's hour is one row.
_OF_USERS: Final = (
    EVENTS,
    _count("requests", "", *_REQUEST),
    _count("errors", "status = 'error'", *_REQUEST),
    _sum("input_tokens", *_MODEL_CALLS),
    _sum("output_tokens", *_MODEL_CALLS),
    _sum("cache_read_input_tokens", *_MODEL_CALLS),
    _sum("cost_usd"),
    _present("priced", "cost_usd"),
    _count("unpriced", "cost_source = 'unpriced'", *_MODEL_CALLS),
)

_BY_USER: Final = frozenset({"user_id", "project", "environment"})
_BY_USER_AND_MODEL: Final = _BY_USER | {"provider", "model"}

#: From fine to coarse, and of one width from wide to narrow: the last that fits is the cheapest.
ROLLUPS: Final[tuple[Rollup, ...]] = (
    Rollup("rollup_10s", 10, DIMENSIONS, _BASE, timedelta(days=2)),
    Rollup("rollup_1m", 60, DIMENSIONS, _BASE, timedelta(days=100)),
    Rollup("rollup_1h", 3600, DIMENSIONS, (*_BASE, *UNIQUES), timedelta(days=800)),
    Rollup("rollup_6h", 21_600, DIMENSIONS, _BASE, timedelta(days=800)),
    Rollup("rollup_users_models_1h", 3600, _BY_USER_AND_MODEL, _OF_USERS, None, "staging_users"),
    Rollup("rollup_users_models_1d", 86_400, _BY_USER_AND_MODEL, _OF_USERS, None, "staging_users"),
    Rollup("rollup_users_1h", 3600, _BY_USER, _OF_USERS, None, "staging_users"),
    Rollup("rollup_users_1d", 86_400, _BY_USER, _OF_USERS, None, "staging_users"),
    Rollup("rollup_models_1m", 60, frozenset({"type", "provider", "model", "status"}), _BASE, timedelta(days=8)),
    Rollup(
        "rollup_models_1h",
        3600,
        frozenset({"type", "provider", "model", "status"}),
        (*_BASE, USERS),
        timedelta(days=800),
    ),
    Rollup("rollup_total_1h", 3600, frozenset({"type", "status"}), (*_BASE, *UNIQUES), timedelta(days=800)),
)

#: What live events are read into, each as fine as the finest rollup that is made of it.
STAGINGS: Final[tuple[Rollup, ...]] = (
    Rollup("staging", 10, DIMENSIONS, (*_BASE, *UNIQUES), timedelta.max),
    Rollup("staging_users", 3600, _BY_USER_AND_MODEL, _OF_USERS, None),
)


def fitting(
    dimensions: Iterable[str], columns: Iterable[str], step_seconds: int | None = None, age: timedelta | None = None
) -> list[Rollup]:
    """Rollups that can answer a question, the coarsest first.

    Parameters
    ----------
    dimensions
        Columns it groups or filters by (``tenant`` and ``time`` need no mention).
    columns
        Kept columns it needs.
    step_seconds
        Greatest width that divides its buckets and both ends of its range; None when any will do.
    age
        How far back it begins; rollups that do not reach there are left out.

    Examples
    --------
    >>> [rollup.name for rollup in fitting({"model"}, {"events"}, 60)]
    ['rollup_1m', 'rollup_10s']
    >>> fitting({"prompt_id"}, {"events"}, 60)
    []
    """
    wanted, asked = set(dimensions), set(columns)
    return [
        rollup
        for rollup in reversed(ROLLUPS)
        if wanted <= rollup.dimensions
        and asked <= {kept.column for kept in rollup.kept}
        and (step_seconds is None or step_seconds % rollup.seconds == 0)
        and (age is None or rollup.retention is None or age <= rollup.retention)
    ]
