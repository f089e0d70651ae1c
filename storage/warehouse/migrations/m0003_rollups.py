"""Rollups of 10 seconds, chained to one minute and one hour, and one by user.

Only the first view reads the inserted block: the others read what it made. Uniques are kept by the hour alone, by a
view of their own into the same table, because a sketch of every ten seconds would outweigh the events.
"""

from typing import Final

from storage.warehouse.migrations.migration import Migration

_DIMENSIONS: Final = (
    "tenant",
    "type",
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

#: Column of sums → its type and its aggregate over the events of a block.
SUMS: Final = {
    "events": ("UInt64", "count()"),
    "input_tokens": ("UInt64", "sum(ifNull(e.input_tokens, 0))"),
    "output_tokens": ("UInt64", "sum(ifNull(e.output_tokens, 0))"),
    "cache_read_input_tokens": ("UInt64", "sum(ifNull(e.cache_read_input_tokens, 0))"),
    "cache_write_input_tokens": ("UInt64", "sum(ifNull(e.cache_write_input_tokens, 0))"),
    "reasoning_output_tokens": ("UInt64", "sum(ifNull(e.reasoning_output_tokens, 0))"),
    "cost_usd": ("Decimal(38, 10)", "sum(ifNull(e.cost_usd, 0))"),
    "priced": ("UInt64", "count(e.cost_usd)"),
    "unpriced": ("UInt64", "countIf(e.cost_source = 'unpriced')"),
    "duration_ms_sum": ("Float64", "sum(ifNull(e.duration_ms, 0))"),
    "duration_ms_count": ("UInt64", "count(e.duration_ms)"),
    "time_to_first_token_ms_sum": ("Float64", "sum(ifNull(e.time_to_first_token_ms, 0))"),
    "time_to_first_token_ms_count": ("UInt64", "count(e.time_to_first_token_ms)"),
    "tokens_per_second_sum": ("Float64", "sum(ifNull(e.tokens_per_second, 0))"),
    "tokens_per_second_count": ("UInt64", "count(e.tokens_per_second)"),
    "score_sum": ("Float64", "sum(ifNull(e.score, 0))"),
    "score_count": ("UInt64", "count(e.score)"),
    "rating_sum": ("Float64", "sum(ifNull(e.rating, 0))"),
    "rating_count": ("UInt64", "count(e.rating)"),
    "value_sum": ("Float64", "sum(ifNull(e.value, 0))"),
    "value_count": ("UInt64", "count(e.value)"),
    "cache_hits": ("UInt64", "countIf(e.cache_hit)"),
    "passed": ("UInt64", "countIf(e.passed)"),
    "judged": ("UInt64", "count(e.passed)"),
}

LEVELS: Final = "0.01, 0.5, 0.9, 0.95, 0.99, 0.999"

#: Column of a quantile sketch → the column it is a sketch of.
SKETCHES: Final = {"duration_ms_sketch": "e.duration_ms", "time_to_first_token_ms_sketch": "e.time_to_first_token_ms"}

#: Column of a unique sketch → the column, its type and its value where there is none.
UNIQUES: Final = {
    "users_sketch": ("user_id", "String", "''"),
    "sessions_sketch": ("session_id", "String", "''"),
    "traces_sketch": ("trace_id", "FixedString(16)", "toFixedString('', 16)"),
}

_BY: Final = ", ".join(("time", *_DIMENSIONS))


def _sum_column(column: str) -> str:
    kind, _ = SUMS[column]
    return f"{column} SimpleAggregateFunction(sum, {kind}) CODEC({'T64, ' if kind == 'UInt64' else ''}ZSTD(1))"


def columns_of_states(*, uniques: bool) -> list[str]:
    """Declarations of the kept columns of a rollup."""
    return [
        *(_sum_column(column) for column in SUMS),
        *(
            f"{column} AggregateFunction(quantilesDD({LEVELS}), Nullable(Float32)) CODEC(ZSTD(1))"
            for column in SKETCHES
        ),
        *(
            f"{column} AggregateFunction(uniq, {kind}) CODEC(ZSTD(1))"
            for column, (_, kind, _) in UNIQUES.items()
            if uniques
        ),
    ]


def _table(name: str, *, uniques: bool, days: int) -> str:
    texts = [f"{column} LowCardinality(String) CODEC(ZSTD(1))" for column in _DIMENSIONS]
    columns = ["time DateTime('UTC') CODEC(Delta(4), ZSTD(1))", *texts, *columns_of_states(uniques=uniques)]
    order = ", ".join(("tenant", "type", "time", *_DIMENSIONS[2:]))
    return f"""
CREATE TABLE IF NOT EXISTS {name} $on_cluster
({", ".join(columns)})
ENGINE = $aggregating_merge_tree
PARTITION BY toYYYYMM(time)
PRIMARY KEY (tenant, type, time)
ORDER BY ({order})
TTL time + INTERVAL {days} DAY
SETTINGS auto_statistics_types = '', $window = 10000, merge_with_ttl_timeout = 3600
"""


def _bucket(column: str, seconds: int) -> str:
    return f"toDateTime(intDiv(toUnixTimestamp({column}), {seconds}) * {seconds}, 'UTC')"


def selection(seconds: int, events: str = "events") -> str:
    """What a rollup of ``seconds`` keeps of events: the first view's query, also for rebuilding a rollup."""
    sums = ", ".join(f"{aggregate} AS {column}" for column, (_, aggregate) in SUMS.items())
    sketches = ", ".join(f"quantilesDDState({LEVELS})({of}) AS {column}" for column, of in SKETCHES.items())
    dimensions = ", ".join(f"e.{column} AS {column}" for column in _DIMENSIONS)
    return f"""SELECT {_bucket("e.time", seconds)} AS time, {dimensions}, {sums}, {sketches}
FROM {events} AS e
GROUP BY {_BY}
"""  # noqa: S608 - all names are of this file


def uniques_selection(events: str = "events") -> str:
    """The uniques that the hourly rollup keeps of events."""
    uniques = ", ".join(
        f"uniqStateIf(e.{of}, e.{of} != {empty}) AS {column}" for column, (of, _, empty) in UNIQUES.items()
    )
    dimensions = ", ".join(f"e.{column} AS {column}" for column in _DIMENSIONS)
    return f"""SELECT {_bucket("e.time", 3600)} AS time, {dimensions}, {uniques}
FROM {events} AS e
GROUP BY {_BY}
"""  # noqa: S608 - all names are of this file


def _next_selection(source: str, seconds: int) -> str:
    sums = ", ".join(f"sum(r.{column}) AS {column}" for column in SUMS)
    sketches = ", ".join(f"quantilesDDMergeState({LEVELS})(r.{column}) AS {column}" for column in SKETCHES)
    dimensions = ", ".join(f"r.{column} AS {column}" for column in _DIMENSIONS)
    return f"""SELECT {_bucket("r.time", seconds)} AS time, {dimensions}, {sums}, {sketches}
FROM {source} AS r
GROUP BY {_BY}
"""  # noqa: S608 - all names are of this file


def _view(name: str, target: str, query: str) -> str:
    return f"CREATE MATERIALIZED VIEW IF NOT EXISTS {name} $on_cluster TO {target} AS\n{query}"


#: What the rollup by user keeps of :data:`SUMS`.
_OF_USERS: Final = (
    "events",
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "reasoning_output_tokens",
    "cost_usd",
    "priced",
    "unpriced",
)


def _users_table() -> str:
    return f"""
CREATE TABLE IF NOT EXISTS rollup_users_1h $on_cluster
(
    time DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    tenant LowCardinality(String),
    type LowCardinality(String),
    user_id String CODEC(ZSTD(1)),
    project LowCardinality(String),
    environment LowCardinality(String),
    status LowCardinality(String),
    {", ".join(_sum_column(column) for column in _OF_USERS)},
    expires_at SimpleAggregateFunction(max, DateTime) CODEC(Delta(4), ZSTD(1))
)
ENGINE = $aggregating_merge_tree
PARTITION BY toYYYYMM(time)
PRIMARY KEY (tenant, type, time)
ORDER BY (tenant, type, time, user_id, project, environment, status)
TTL expires_at
SETTINGS auto_statistics_types = '', $window = 10000, merge_with_ttl_timeout = 3600
"""


def users_selection(events: str = "events") -> str:
    """What the rollup by user keeps of events."""
    return f"""SELECT
    {_bucket("e.time", 3600)} AS time, e.tenant AS tenant, e.type AS type, e.user_id AS user_id,
    e.project AS project, e.environment AS environment, e.status AS status,
    {", ".join(f"{SUMS[column][1]} AS {column}" for column in _OF_USERS)},
    max(e.expires_at) AS expires_at
FROM {events} AS e
GROUP BY time, tenant, type, user_id, project, environment, status
"""  # noqa: S608 - all names are of this file


_VIEWS: Final = (
    "rollup_users_1h_view",
    "rollup_1h_uniques_view",
    "rollup_1h_view",
    "rollup_1m_view",
    "rollup_10s_view",
)
_TABLES: Final = ("rollup_users_1h", "rollup_1h", "rollup_1m", "rollup_10s")

ROLLUPS: Final = Migration(
    number=3,
    name="rollups",
    forward=(
        _table("rollup_1h", uniques=True, days=800),
        _table("rollup_1m", uniques=False, days=100),
        _table("rollup_10s", uniques=False, days=2),
        _users_table(),
        _view("rollup_1h_view", "rollup_1h", _next_selection("rollup_1m", 3600)),
        _view("rollup_1m_view", "rollup_1m", _next_selection("rollup_10s", 60)),
        _view("rollup_10s_view", "rollup_10s", selection(10)),
        _view("rollup_1h_uniques_view", "rollup_1h", uniques_selection()),
        _view("rollup_users_1h_view", "rollup_users_1h", users_selection()),
    ),
    backward=(
        *(f"DROP VIEW IF EXISTS {view} $on_cluster SYNC" for view in _VIEWS),
        *(f"DROP TABLE IF EXISTS {table} $on_cluster SYNC" for table in _TABLES),
    ),
)
