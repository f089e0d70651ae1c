"""From settings and tenants to the narrow configuration objects that the rooms take."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from access.service import Access, AccessConfig
from broker.kafka import KafkaLogConfig
from broker.kafka_address import parse_address
from broker.log import TopicConfig
from broker.topics import hub_topics, parse_mirrors
from core.errors import SettingsError
from hub.settings import Settings, parse_headers
from ingest.bridge.bridge import BridgeConfig
from ingest.bridge.topics import parse_topics
from ingest.encode import ipc_bytes
from ingest.limits import Limits
from ingest.scrape.scraper import ScrapeConfig
from ingest.scrape.targets import parse_targets
from storage.warehouse.config import WarehouseConfig
from streams.config import StreamsConfig
from streams.prices.model import TenantPrice
from streams.steps.decode import decode_record
from streams.steps.dedupe import Window

if TYPE_CHECKING:
    from hub.tracing import OtelTraces

#: Consumer group of the streams, and so the name under which blocks are in the journal: never to be changed.
GROUP = "llm-hub-streams"


def topics(settings: Settings) -> tuple[TopicConfig, ...]:
    """Every topic of the hub, as large and for as long as it is kept."""
    # A broker would drop what is not stored yet; the embedded log keeps that.
    limit = settings.log_retention_bytes // settings.partitions if settings.embedded_log else None
    hours, mirrors = settings.log_retention_hours, parse_mirrors(settings.mirrors)
    return hub_topics(settings.partitions, events_bytes=limit, events_hours=hours, mirrors=mirrors)


def access_config(settings: Settings) -> AccessConfig:
    """How access works."""
    key = settings.data_key.get_secret_value()
    return AccessConfig(
        data_dir=settings.data_dir,
        data_key=bytes.fromhex(key) if key else None,
        admin_key=settings.admin_key.get_secret_value(),
        metrics_key=settings.metrics_key.get_secret_value(),
        secure_cookies=settings.secure_cookies,
    )


def kafka_config(settings: Settings) -> KafkaLogConfig:
    """How the log on Kafka is written."""
    return KafkaLogConfig(replication=settings.kafka_replication)


def warehouse_config(settings: Settings) -> WarehouseConfig:
    """The warehouse's limits."""
    return WarehouseConfig(
        memory_bytes=settings.warehouse_memory_mb << 20,
        cluster=settings.warehouse_cluster,
        connections=settings.warehouse_connections,
        connect_seconds=settings.warehouse_connect_timeout_s,
        read_seconds=settings.warehouse_read_timeout_s,
        insert_seconds=settings.warehouse_insert_timeout_s,
        retries=settings.warehouse_retries,
        breaker_failures=settings.warehouse_breaker_failures,
        breaker_seconds=settings.warehouse_breaker_s,
    )


def limits(settings: Settings) -> Limits:
    """The doors' limits."""
    return Limits(
        body_bytes=settings.max_body_bytes,
        decompressed_bytes=settings.max_decompressed_bytes,
        in_flight_bytes=settings.inflight_bytes,
        gather_ms=settings.gather_ms,
        gather_events=settings.gather_events,
    )


def wants_grpc(settings: Settings) -> bool:
    """Whether OTLP over gRPC is to be served; raises :class:`SettingsError` where it is and cannot be."""
    if settings.otlp_grpc == "off":
        return False
    installed = find_spec("grpc") is not None
    if settings.otlp_grpc == "on" and not installed:
        raise SettingsError("otlp_grpc = on needs grpcio: pip install 'llm-analytics-hub[grpc]'")
    return installed


def own_traces(settings: Settings, role: str) -> "OtelTraces | None":
    """Traces of the hub itself where they are wanted; raises :class:`SettingsError` where they cannot be made."""
    if not settings.otel_endpoint:
        return None
    try:
        from hub.tracing import OtelTraces, otlp_exporter
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("opentelemetry"):
            raise
        raise SettingsError("otel_endpoint needs OpenTelemetry's SDK: pip install 'llm-analytics-hub[otel]'") from None
    exporter = otlp_exporter(settings.otel_endpoint, parse_headers(settings.otel_headers.get_secret_value()))
    return OtelTraces(role, settings.otel_sample_ratio, exporter)


def bridge_config(settings: Settings) -> BridgeConfig:
    """Which topics of modules are read, and where."""
    if not settings.bridge_url:
        return BridgeConfig()
    return BridgeConfig(parse_address(settings.bridge_url), parse_topics(settings.bridge_topics))


def scrape_config(settings: Settings) -> ScrapeConfig:
    """Whom the scraper asks, and how often."""
    return ScrapeConfig(
        targets=parse_targets(settings.scrape_targets),
        interval_s=settings.scrape_interval_s,
        timeout_s=settings.scrape_timeout_s,
    )


def streams_config(settings: Settings, partitions: int, *, alone: bool = False) -> StreamsConfig:
    """Sizes and times of the streams; a process that does nothing else (``alone``) ends when they give up."""
    return StreamsConfig(
        broker_url=settings.broker_url,
        group=GROUP,
        partitions=partitions,
        mirrors=parse_mirrors(settings.mirrors),
        data_dir=settings.data_dir,
        linger_s=settings.block_linger_ms / 1000,
        block_rows=settings.block_rows,
        window=Window(seconds=settings.dedupe_seconds, events=settings.dedupe_events),
        poison_in_a_row=settings.poison_in_a_row,
        exit_on_give_up=alone,
        session_timeout_s=settings.session_timeout_s,
        stall_s=settings.stall_s,
        watch_s=0.25 if settings.embedded_log else 1.0,  # over the network it costs requests
    )


def record_again(value: bytes, now: datetime) -> bytes:
    """A record of ``hub.events`` as it was, but received now: the streams know ids by the time of their receipt."""
    table = decode_record(value)
    at = table.column_names.index("received_at")
    kind = table.schema.field(at).type
    received = pa.array([now], pa.timestamp("us", "UTC")).cast(kind).take(pa.array([0] * table.num_rows, pa.int64()))
    return ipc_bytes(table.set_column(at, "received_at", received))


def retention(access: Access, tenant: str, kind: Literal["events", "payloads", "rollups"]) -> timedelta:
    """How long a kind of a tenant's data is kept."""
    return timedelta(days=access.settings(tenant).retention_days.of(kind))


def tenant_prices(access: Access, tenant: str) -> tuple[TenantPrice, ...]:
    """A tenant's own prices, the one that wins first."""
    return tuple(TenantPrice(**price.rates()) for price in access.prices.current(tenant))


def rates(access: Access, tenant: str) -> Mapping[str, float]:
    """Units of a tenant's display currency per US dollar."""
    currency = access.settings(tenant).currency
    return {currency.code: float(currency.per_usd)}
