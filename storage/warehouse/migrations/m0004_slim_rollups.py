"""Two slim hourly rollups: by model, and by type alone.

Merging a quantile sketch takes some four microseconds: a month of the full hourly rollup has so many rows that reading
the raw events would be quicker. A page's unfiltered questions read these two. Both are chained to the full one, which
the sums and the uniques reach by different views.
"""

from typing import Final

from storage.warehouse.migrations.m0003_rollups import LEVELS, SKETCHES, SUMS, UNIQUES, columns_of_states
from storage.warehouse.migrations.migration import Migration

_MODELS: Final = ("tenant", "type", "provider", "model", "status")
_TOTAL: Final = ("tenant", "type", "status")


def _table(name: str, dimensions: tuple[str, ...]) -> str:
    texts = [f"{column} LowCardinality(String) CODEC(ZSTD(1))" for column in dimensions]
    columns = ["time DateTime('UTC') CODEC(Delta(4), ZSTD(1))", *texts, *columns_of_states(uniques=True)]
    return f"""
CREATE TABLE IF NOT EXISTS {name} $on_cluster
({", ".join(columns)})
ENGINE = $aggregating_merge_tree
PARTITION BY toYYYYMM(time)
PRIMARY KEY (tenant, type, time)
ORDER BY (tenant, type, time, {", ".join(dimensions[2:])})
TTL time + INTERVAL 800 DAY
SETTINGS auto_statistics_types = '', $window = 10000, merge_with_ttl_timeout = 3600
"""


def _view(target: str, source: str, dimensions: tuple[str, ...]) -> str:
    sums = ", ".join(f"sum(r.{column}) AS {column}" for column in SUMS)
    sketches = ", ".join(f"quantilesDDMergeState({LEVELS})(r.{column}) AS {column}" for column in SKETCHES)
    uniques = ", ".join(f"uniqMergeState(r.{column}) AS {column}" for column in UNIQUES)
    names = ", ".join(f"r.{column} AS {column}" for column in dimensions)
    return f"""CREATE MATERIALIZED VIEW IF NOT EXISTS {target}_view $on_cluster TO {target} AS
SELECT r.time AS time, {names}, {sums}, {sketches}, {uniques}
FROM {source} AS r
GROUP BY time, {", ".join(dimensions)}
"""  # noqa: S608 - all names are of this file


SLIM_ROLLUPS: Final = Migration(
    number=4,
    name="slim rollups",
    forward=(
        _table("rollup_total_1h", _TOTAL),
        _table("rollup_models_1h", _MODELS),
        _view("rollup_total_1h", "rollup_models_1h", _TOTAL),
        _view("rollup_models_1h", "rollup_1h", _MODELS),
    ),
    backward=(
        "DROP VIEW IF EXISTS rollup_models_1h_view $on_cluster SYNC",
        "DROP VIEW IF EXISTS rollup_total_1h_view $on_cluster SYNC",
        "DROP TABLE IF EXISTS rollup_models_1h $on_cluster SYNC",
        "DROP TABLE IF EXISTS rollup_total_1h $on_cluster SYNC",
    ),
)
