"""The catalogue of rollups: what each keeps, for how long, and so which questions it can answer.

Every kept aggregate is told as (function, argument, condition) over rows of ``events``: whoever computes the same over
raw rows gets the same answer. A count or sum is read back with ``sum(column)``, quantiles with
``quantilesDDMerge(0.01, levels…)(column)``, distinct values with ``uniqMerge(column)``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

#: Relative error and levels of every quantile sketch; they are part of the type of its column.
ACCURACY: Final = 0.01
LEVELS: Final = (0.5, 0.9, 0.95, 0.99, 0.999)


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
    """

    column: str
    function: Literal["count", "sum", "quantiles", "unique"]
    argument: str = ""
    where: str = ""


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
    """

    name: str
    seconds: int
    dimensions: frozenset[str]
    kept: tuple[Kept, ...]
    retention: timedelta | None


def _count(column: str, where: str) -> Kept:
    return Kept(column, "count", "", where)


def _sum(column: str) -> Kept:
    return Kept(column, "sum", column)


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
UNIQUES: Final = (
    Kept("users_sketch", "unique", "user_id"),
    Kept("sessions_sketch", "unique", "session_id"),
    Kept("traces_sketch", "unique", "trace_id"),
)

DIMENSIONS: Final = frozenset(
    {"type", "source", "project", "environment", "service", "provider", "model", "operation", "name", "status"}
    | {"error_class", "verdict"}
)

_BASE: Final = (EVENTS, *TOKENS, *COSTS, *MEANS, *FLAGS, *SKETCHES)

#: From fine to coarse, and of one width from wide to narrow: the last that fits is the cheapest.
ROLLUPS: Final[tuple[Rollup, ...]] = (
    Rollup("rollup_10s", 10, DIMENSIONS, _BASE, timedelta(days=2)),
    Rollup("rollup_1m", 60, DIMENSIONS, _BASE, timedelta(days=100)),
    Rollup("rollup_1h", 3600, DIMENSIONS, (*_BASE, *UNIQUES), timedelta(days=800)),
    Rollup(
        "rollup_users_1h",
        3600,
        frozenset({"type", "user_id", "project", "environment", "status"}),
        (EVENTS, *TOKENS, *COSTS),
        None,
    ),
    Rollup(
        "rollup_models_1h",
        3600,
        frozenset({"type", "provider", "model", "status"}),
        (*_BASE, *UNIQUES),
        timedelta(days=800),
    ),
    Rollup("rollup_total_1h", 3600, frozenset({"type", "status"}), (*_BASE, *UNIQUES), timedelta(days=800)),
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
