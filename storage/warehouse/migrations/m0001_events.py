"""One wide row for every event.

Sorted by tenant, type and time: a question about one type reads it contiguously, and with some twenty types a question
over all of them still skips well. Random ids are not compressed. Columns that a block leaves out are not written at all
(`skip_empty_columns_on_insert`); nullable columns that are mostly null are kept sparse. `position` counts inserts by
partition of the log: the rollups are folded in its order.
"""

from typing import Final

from storage.warehouse.migrations.migration import Migration

EVENTS: Final = Migration(
    number=1,
    name="events",
    forward=(
        """
CREATE TABLE IF NOT EXISTS events $on_cluster
(
    tenant LowCardinality(String) CODEC(ZSTD(1)),
    received_at DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    id UUID CODEC(NONE),
    type LowCardinality(String) CODEC(ZSTD(1)),
    source LowCardinality(String) CODEC(ZSTD(1)),
    time DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    schema_version LowCardinality(String) CODEC(ZSTD(1)),
    project LowCardinality(String) CODEC(ZSTD(1)),
    environment LowCardinality(String) CODEC(ZSTD(1)),
    trace_id FixedString(16) CODEC(ZSTD(1)),
    span_id FixedString(8) CODEC(NONE),
    parent_span_id FixedString(8) CODEC(ZSTD(1)),
    session_id String CODEC(ZSTD(1)),
    user_id String CODEC(ZSTD(1)),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    feature LowCardinality(String) CODEC(ZSTD(1)),
    prompt_id LowCardinality(String) CODEC(ZSTD(1)),
    prompt_version LowCardinality(String) CODEC(ZSTD(1)),
    technique LowCardinality(String) CODEC(ZSTD(1)),
    intent LowCardinality(String) CODEC(ZSTD(1)),
    experiment_id LowCardinality(String) CODEC(ZSTD(1)),
    variant LowCardinality(String) CODEC(ZSTD(1)),
    model LowCardinality(String) CODEC(ZSTD(1)),
    provider LowCardinality(String) CODEC(ZSTD(1)),
    operation LowCardinality(String) CODEC(ZSTD(1)),
    response_model LowCardinality(String) CODEC(ZSTD(1)),
    input_tokens Nullable(UInt32) CODEC(T64, ZSTD(1)),
    output_tokens Nullable(UInt32) CODEC(T64, ZSTD(1)),
    cache_read_input_tokens Nullable(UInt32) CODEC(T64, ZSTD(1)),
    cache_write_input_tokens Nullable(UInt32) CODEC(T64, ZSTD(1)),
    reasoning_output_tokens Nullable(UInt32) CODEC(T64, ZSTD(1)),
    duration_ms Nullable(Float32) CODEC(ZSTD(1)),
    time_to_first_token_ms Nullable(Float32) CODEC(ZSTD(1)),
    status LowCardinality(String) CODEC(ZSTD(1)),
    error_type LowCardinality(String) CODEC(ZSTD(1)),
    http_status_code Nullable(UInt16) CODEC(T64, ZSTD(1)),
    finish_reason LowCardinality(String) CODEC(ZSTD(1)),
    stream Nullable(Bool) CODEC(ZSTD(1)),
    attempt Nullable(UInt16) CODEC(T64, ZSTD(1)),
    cache_hit Nullable(Bool) CODEC(ZSTD(1)),
    batch Nullable(Bool) CODEC(ZSTD(1)),
    cost_usd Nullable(Decimal(18, 10)) CODEC(ZSTD(1)),
    kind LowCardinality(String) CODEC(ZSTD(1)),
    service LowCardinality(String) CODEC(ZSTD(1)),
    severity LowCardinality(String) CODEC(ZSTD(1)),
    value Nullable(Float64) CODEC(ZSTD(1)),
    worker LowCardinality(String) CODEC(ZSTD(1)),
    queue_ms Nullable(Float32) CODEC(ZSTD(1)),
    action LowCardinality(String) CODEC(ZSTD(1)),
    version LowCardinality(String) CODEC(ZSTD(1)),
    verdict LowCardinality(String) CODEC(ZSTD(1)),
    stage LowCardinality(String) CODEC(ZSTD(1)),
    category LowCardinality(String) CODEC(ZSTD(1)),
    score Nullable(Float64) CODEC(ZSTD(1)),
    outcome LowCardinality(String) CODEC(ZSTD(1)),
    rating Nullable(Float64) CODEC(ZSTD(1)),
    returned Nullable(UInt16) CODEC(T64, ZSTD(1)),
    max_score Nullable(Float64) CODEC(ZSTD(1)),
    queue_depth Nullable(Float64) CODEC(ZSTD(1)),
    running Nullable(Float64) CODEC(ZSTD(1)),
    kv_cache_usage Nullable(Float32) CODEC(ZSTD(1)),
    gpu_utilization Nullable(Float32) CODEC(ZSTD(1)),
    generation_tokens_per_s Nullable(Float64) CODEC(ZSTD(1)),
    healthy Nullable(Bool) CODEC(ZSTD(1)),
    label LowCardinality(String) CODEC(ZSTD(1)),
    passed Nullable(Bool) CODEC(ZSTD(1)),
    state LowCardinality(String) CODEC(ZSTD(1)),
    revenue_usd Nullable(Decimal(18, 10)) CODEC(ZSTD(1)),
    name LowCardinality(String) CODEC(ZSTD(1)),
    data String CODEC(ZSTD(1)),
    reported_cost_usd Nullable(Decimal(18, 10)) CODEC(ZSTD(1)),
    hub_cost_usd Nullable(Decimal(18, 10)) CODEC(ZSTD(1)),
    cost_source LowCardinality(String) CODEC(ZSTD(1)),
    price_version LowCardinality(String) CODEC(ZSTD(1)),
    tokens_per_second Nullable(Float32) CODEC(ZSTD(1)),
    error_class LowCardinality(String) CODEC(ZSTD(1)),
    expires_at DateTime DEFAULT toDateTime('2106-01-01 00:00:00') CODEC(Delta(4), ZSTD(1)),
    position UInt64 CODEC(Delta(8), ZSTD(1)),
    INDEX by_position position TYPE minmax GRANULARITY 1,
    INDEX by_id id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_session session_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_user user_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = $merge_tree
PARTITION BY toYYYYMM(time)
ORDER BY (tenant, type, time)
TTL expires_at
SETTINGS
    auto_statistics_types = '', $window = 10000,
    min_bytes_for_wide_part = 134217728,
    nullable_serialization_version = 'allow_sparse',
    serialization_info_version = 'with_missing_columns',
    skip_empty_columns_on_insert = 1,
    merge_with_ttl_timeout = 3600
""",
    ),
    backward=("DROP TABLE IF EXISTS events $on_cluster SYNC",),
)
