"""Rollups of 10 seconds, one minute, one hour and a day.

No views fill them: an insert into ``events`` with seven views costs five times as much as without, however few rows it
has. They are folds over the events by position, made every few seconds (:mod:`storage.warehouse.rollups`). A fold must
be one part, to be visible all at once: so the tables have no partitions.

Merging a quantile sketch takes some four microseconds: a month of the full hourly rollup has so many rows that reading
the raw events would be quicker. A page's unfiltered questions read the slim ones, by model and by type alone, and a
month's top users the daily one.

A granule is read whole, and its sketches are most of the work: they are small here.
"""

from typing import Final

from storage.warehouse.migrations.migration import Migration

DIMENSIONS: Final = (
    "source",
    "project",
    "environment",
    "service",
    "provider",
    "model",
    "operation",
    "name",
    "status",
    "error_class",
    "verdict",
)

_COUNT, _MONEY, _NUMBER = "UInt64", "Decimal(38, 10)", "Float64"
_TOKENS: Final = {
    "input_tokens": _COUNT,
    "output_tokens": _COUNT,
    "cache_read_input_tokens": _COUNT,
    "cache_write_input_tokens": _COUNT,
    "reasoning_output_tokens": _COUNT,
}
_COSTS: Final = {"cost_usd": _MONEY, "priced": _COUNT, "unpriced": _COUNT}
_MEANS: Final = {
    f"{name}_{part}": kind
    for name in ("duration_ms", "time_to_first_token_ms", "tokens_per_second", "score", "rating", "value")
    for part, kind in (("sum", _NUMBER), ("count", _COUNT))
}
#: Column of sums → its type.
SUMS: Final = (
    {"events": _COUNT} | _TOKENS | _COSTS | _MEANS | {"cache_hits": _COUNT, "passed": _COUNT, "judged": _COUNT}
)
_SKETCH: Final = "AggregateFunction(quantilesDD(0.01, 0.5, 0.9, 0.95, 0.99, 0.999), Nullable(Float32))"
STATES: Final = {"duration_ms_sketch": _SKETCH, "time_to_first_token_ms_sketch": _SKETCH}
_USERS: Final = {"users_sketch": "AggregateFunction(uniq, String)"}
UNIQUES: Final = _USERS | {
    "sessions_sketch": "AggregateFunction(uniq, String)",
    "traces_sketch": "AggregateFunction(uniq, FixedString(16))",
}
BY_USER: Final = ("user_id", "project", "environment")
OF_USERS: Final = {
    "events": _COUNT,
    "requests": _COUNT,
    "errors": _COUNT,
    "input_tokens": _COUNT,
    "output_tokens": _COUNT,
    "cache_read_input_tokens": _COUNT,
} | _COSTS


def _sum(column: str, kind: str) -> str:
    return f"{column} SimpleAggregateFunction(sum, {kind}) CODEC({'T64, ' if kind == _COUNT else ''}ZSTD(1))"


def _text(column: str) -> str:
    kind = "String" if column == "user_id" else "LowCardinality(String)"
    return f"{column} {kind} CODEC(ZSTD(1))"


def rollup(
    name: str,
    before_time: tuple[str, ...],
    after_time: tuple[str, ...],
    kept: dict[str, str],
    days: int | None,
    granule: int = 512,
) -> str:
    """A rollup sorted by tenant, some dimensions, time and the others; ``days`` None: each row says when it goes."""
    columns = [
        "time DateTime('UTC') CODEC(Delta(4), ZSTD(1))",
        *(_text(column) for column in ("tenant", *before_time, *after_time)),
        *(
            f"{column} {kind} CODEC(ZSTD(1))" if kind.startswith("Aggregate") else _sum(column, kind)
            for column, kind in kept.items()
        ),
        "through SimpleAggregateFunction(max, UInt64) CODEC(ZSTD(1))",
    ]
    if days is None:
        columns.append("expires_at SimpleAggregateFunction(max, DateTime) CODEC(Delta(4), ZSTD(1))")
    primary = ("tenant", *before_time, "time")
    return f"""
CREATE TABLE IF NOT EXISTS {name} $on_cluster
({", ".join(columns)})
ENGINE = $aggregating_merge_tree
PRIMARY KEY ({", ".join(primary)})
ORDER BY ({", ".join((*primary, *after_time))})
TTL {"expires_at" if days is None else f"time + INTERVAL {days} DAY"}
SETTINGS auto_statistics_types = '', index_granularity = {granule}, $window = 10000, merge_with_ttl_timeout = 3600
"""


_TABLES: Final = {
    "rollup_10s": rollup("rollup_10s", ("type",), DIMENSIONS, SUMS | STATES, 2),
    "rollup_1m": rollup("rollup_1m", ("type",), DIMENSIONS, SUMS | STATES, 100),
    "rollup_1h": rollup("rollup_1h", ("type",), DIMENSIONS, SUMS | STATES | UNIQUES, 800),
    "rollup_models_1m": rollup("rollup_models_1m", ("type",), ("provider", "model", "status"), SUMS | STATES, 8, 128),
    "rollup_models_1h": rollup(
        "rollup_models_1h", ("type",), ("provider", "model", "status"), SUMS | STATES | _USERS, 800, 64
    ),
    "rollup_total_1h": rollup("rollup_total_1h", ("type",), ("status",), SUMS | STATES | UNIQUES, 800, 64),
    "rollup_users_1h": rollup("rollup_users_1h", (), BY_USER, OF_USERS, None),
    "rollup_users_1d": rollup("rollup_users_1d", (), BY_USER, OF_USERS, None),
}

ROLLUPS: Final = Migration(
    number=3,
    name="rollups",
    forward=tuple(_TABLES.values()),
    backward=tuple(f"DROP TABLE IF EXISTS {table} $on_cluster SYNC" for table in _TABLES),
)
