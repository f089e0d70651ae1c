"""Contents of events (prompts, completions, arguments …), apart from the events and strongly compressed."""

from typing import Final

from storage.warehouse.migrations.migration import Migration

PAYLOADS: Final = Migration(
    number=2,
    name="payloads",
    forward=(
        """
CREATE TABLE IF NOT EXISTS payloads $on_cluster
(
    tenant LowCardinality(String),
    time DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    received_at DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    id UUID CODEC(NONE),
    trace_id FixedString(16) CODEC(ZSTD(1)),
    type LowCardinality(String),
    body String CODEC(ZSTD(6)),
    expires_at DateTime DEFAULT toDateTime('2106-01-01 00:00:00') CODEC(Delta(4), ZSTD(1)),
    INDEX by_id id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = $merge_tree
PARTITION BY toYYYYMM(time)
ORDER BY (tenant, time)
TTL expires_at
SETTINGS auto_statistics_types = '', $window = 10000, index_granularity = 1024, merge_with_ttl_timeout = 3600
""",
    ),
    backward=("DROP TABLE IF EXISTS payloads $on_cluster SYNC",),
)
