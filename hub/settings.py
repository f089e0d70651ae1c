"""Settings: the only place that reads the environment.

Precedence: command line, environment (``LLM_HUB_…``), the TOML file named by ``LLM_HUB_CONFIG``, defaults. An unknown
or wrong setting stops the start and is named.
"""

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from broker.kafka_address import parse_address
from broker.topics import parse_mirrors, region
from core.errors import SettingsError
from ingest.bridge.topics import parse_topics
from ingest.scrape.targets import parse_targets

PREFIX = "LLM_HUB_"
#: Names with the prefix that are no settings of the server: the file of settings, the client's two, and those of tests.
_NOT_SETTINGS = ("CONFIG", "URL", "KEY")
_TEST_PREFIXES = ("TEST_", "BENCH_", "CHAOS_")


class Settings(BaseModel):
    """Every setting, with the same meaning in both ways to run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data_dir: Path = Field(Path("llm-hub-data"), description="Folder of everything that the hub keeps on this machine.")
    host: str = Field("127.0.0.1", description="Address to listen on; loopback unless told otherwise.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    broker_url: str = Field(
        "",
        repr=False,
        description="`sqlite:////absolute/log.db` or `kafka://[user:password@]host:port,…[?security=…]` (see the user "
        "guide); default in data_dir.",
    )
    warehouse_url: str = Field(
        "",
        repr=False,
        description="`chdb:////absolute/dir` or `clickhouse://user:password@host:8123/db`; default in data_dir.",
    )
    database_url: str = Field(
        "",
        repr=False,
        description="SQLAlchemy URL of the metadata, SQLite or `postgresql://…`; default SQLite in data_dir.",
    )
    data_key: SecretStr = Field(
        SecretStr(""),
        description="The hub's own key, 64 hex digits (`openssl rand -hex 32`), the same in all processes of a hub; "
        "without it `data.key` in data_dir.",
    )
    admin_key: SecretStr = Field(
        SecretStr(""),
        description="The first key of a new hub, `lh_` + 16 + `_` + 64 hex digits; without it one is made and "
        "written to `admin.key` in data_dir.",
    )
    metrics_key: SecretStr = Field(
        SecretStr(""),
        description="What a Prometheus on another machine sends as its bearer token to read `/metrics`, and can do "
        "nothing else with; 32 characters at least.",
    )
    secure_cookies: bool = Field(False, description="The session cookie goes over https only: set it behind TLS.")
    partitions: int = Field(1, ge=1, le=1024, description="Partitions of `hub.events`; fixed when a hub is created.")
    region: str = Field("", description="Where this hub stands, for hubs in several regions: every event keeps it.")
    mirrors: str = Field(
        "",
        description="Names of other regions, between commas, whose `NAME.hub.events` MirrorMaker 2 copies to this "
        "hub's Kafka: they are read too.",
    )
    kafka_replication: int = Field(
        -1,
        ge=-1,
        le=9,
        description="On Kafka: copies of each topic that the hub makes; -1 leaves it to the brokers "
        "(`default.replication.factor`).",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe message logged.")
    log_format: Literal["text", "json"] = Field("text", description="`json` for machines.")
    max_body_bytes: int = Field(16 << 20, ge=1024, description="Largest request body.")
    max_decompressed_bytes: int = Field(64 << 20, ge=1024, description="Largest body once decompressed.")
    gather_ms: float = Field(20.0, ge=0, le=1000, description="How far apart appends of small bodies begin.")
    gather_events: int = Field(5000, ge=1, description="How many events of small bodies go without waiting.")
    inflight_bytes: int = Field(256 << 20, ge=1 << 20, description="Bytes in the doors from which on they answer 503.")
    block_rows: int = Field(100_000, ge=1, description="Rows of a warehouse insert at most.")
    block_linger_ms: float = Field(250.0, ge=0, le=10_000, description="How long a block gathers before its insert.")
    dedupe_seconds: int = Field(600, ge=0, description="How long an event id is remembered.")
    dedupe_events: int = Field(1_000_000, ge=0, description="How many event ids of a tenant are remembered at most.")
    poison_in_a_row: int = Field(
        1000, ge=1, description="Records in a row that cannot be processed, after which the streams stop."
    )
    log_retention_hours: float = Field(72.0, ge=1, description="How long the log keeps records for replay.")
    log_retention_bytes: int = Field(
        20 << 30,
        ge=1 << 20,
        description="How many bytes of `hub.events` the embedded log keeps; on Kafka the time alone decides.",
    )
    warehouse_memory_mb: int = Field(1000, ge=256, description="Memory cap of the embedded engine.")
    warehouse_cluster: str = Field(
        "",
        pattern=r"^[A-Za-z0-9_-]*$",
        description="Name of the cluster (in `system.clusters`) whose shards hold the rows; none: one server.",
    )
    warehouse_connections: int = Field(12, ge=1, le=1000, description="Connections to the warehouse at most.")
    warehouse_connect_timeout_s: float = Field(
        5.0, gt=0, le=300, description="How long a ClickHouse server may take to accept a connection."
    )
    warehouse_read_timeout_s: float = Field(
        30.0, gt=0, le=3600, description="How long it may be silent while it answers a question."
    )
    warehouse_insert_timeout_s: float = Field(
        120.0, gt=0, le=3600, description="How long an insert or a statement may take."
    )
    warehouse_retries: int = Field(
        2, ge=0, le=20, description="Further attempts where a server did not answer and trying again does no harm."
    )
    warehouse_breaker_failures: int = Field(
        6, ge=1, description="Failures in a row after which a server is left alone; questions are answered 503 then."
    )
    warehouse_breaker_s: float = Field(5.0, gt=0, le=600, description="For how long at a time it is left alone.")
    min_free_disk_mb: int = Field(500, ge=0, description="Free disk below which the doors answer 503.")
    otlp_grpc: Literal["auto", "on", "off"] = Field(
        "auto",
        description="OTLP over gRPC: `auto` where `grpcio` is installed and the port is free, `on` stops the start "
        "where it cannot be.",
    )
    otlp_grpc_port: int = Field(
        4317, ge=0, le=65535, description="Port of OTLP over gRPC, at the same address; 0 takes a free one."
    )
    scrape_targets: str = Field(
        "",
        description="Pages of vLLM metrics that the hub asks for itself, `TENANT=URL` or `URL` (tenant `default`), "
        "between commas; none: no call leaves the hub.",
    )
    scrape_interval_s: float = Field(15.0, ge=1, le=3600, description="How often each of them is asked.")
    scrape_timeout_s: float = Field(5.0, gt=0, le=60, description="How long an answer may take.")
    bridge_url: str = Field(
        "",
        repr=False,
        description="`kafka://host:port,…`, as broker_url, where modules write events to topics of their own.",
    )
    bridge_topics: str = Field(
        "",
        description="Topics of plain JSON events or CloudEvents that the hub reads there, `TENANT=TOPIC` or `TOPIC` "
        "(tenant `default`), between commas.",
    )
    session_timeout_s: float = Field(
        8.0, ge=6, le=300, description="On Kafka: after this long a dead worker's partitions are given to another."
    )
    stall_s: float = Field(
        60.0, ge=5, le=3600, description="Records wait for so long without any progress: the worker is started anew."
    )
    drain_s: float = Field(
        0.0,
        ge=0,
        le=300,
        description="After SIGTERM the hub goes on answering for so long, not ready any more: whoever spreads the "
        "requests is to notice.",
    )
    otel_endpoint: str = Field(
        "",
        description="Where the hub sends traces of itself, over OTLP/HTTP: `http://host:port` of a collector or of a "
        "hub, this one too; none: it makes none. Needs the extra `otel`.",
    )
    otel_headers: SecretStr = Field(
        SecretStr(""),
        description="Headers sent with them, `name=value` between commas, values percent-encoded: "
        "`authorization=Bearer%20lh_…`.",
    )
    otel_sample_ratio: float = Field(
        0.01, ge=0, le=1, description="Share of the requests that are traced, unless their sender has decided."
    )
    backup_passphrase: SecretStr = Field(
        SecretStr(""),
        description="Seals the hub's own keys in backups; the same is needed to restore. Empty: they are in it as they "
        "are.",
    )
    query_concurrency: int = Field(4, ge=1, le=256, description="Questions that run at the same time.")

    @field_validator("data_key")
    @classmethod
    def _key(cls, key: SecretStr) -> SecretStr:
        text = key.get_secret_value().strip()
        if text and (len(text) != 64 or not set(text.lower()) <= set("0123456789abcdef")):
            raise ValueError("must be 64 hex digits, as `openssl rand -hex 32` makes them")
        return SecretStr(text)

    @field_validator("admin_key")
    @classmethod
    def _admin_key(cls, key: SecretStr) -> SecretStr:
        from access.keys import public_id_of

        text = key.get_secret_value().strip()
        if text and public_id_of(text) is None:
            raise ValueError("must be `lh_`, 16 hex digits, `_` and 64 hex digits")
        return SecretStr(text)

    @field_validator("metrics_key")
    @classmethod
    def _metrics_key(cls, key: SecretStr) -> SecretStr:
        text = key.get_secret_value().strip()
        if text and len(text) < 32:
            raise ValueError("must have 32 characters at least, for instance of `openssl rand -hex 32`")
        return SecretStr(text)

    @field_validator("kafka_replication")
    @classmethod
    def _replication(cls, copies: int) -> int:
        if copies == 0:
            raise ValueError("must be -1 or the number of copies")
        return copies

    @field_validator("scrape_targets")
    @classmethod
    def _targets(cls, text: str) -> str:
        parse_targets(text)
        return text

    @field_validator("region")
    @classmethod
    def _region(cls, name: str) -> str:
        return region(name) if name else ""

    @field_validator("mirrors")
    @classmethod
    def _mirrors(cls, text: str) -> str:
        parse_mirrors(text)
        return text

    @field_validator("bridge_topics")
    @classmethod
    def _topics(cls, text: str) -> str:
        parse_topics(text)
        return text

    @field_validator("otel_endpoint")
    @classmethod
    def _endpoint(cls, text: str) -> str:
        if text and urlsplit(text).scheme not in ("http", "https"):
            raise ValueError("must be http://host:port or https://…")
        return text

    @field_validator("otel_headers")
    @classmethod
    def _headers(cls, text: SecretStr) -> SecretStr:
        parse_headers(text.get_secret_value())
        return text

    @field_validator("bridge_url")
    @classmethod
    def _bridge(cls, text: str) -> str:
        if text:
            try:
                parse_address(text)
            except SettingsError as error:
                raise ValueError(error.detail) from None
        return text

    @model_validator(mode="after")
    def _both_or_none(self) -> "Settings":
        if bool(self.bridge_url) != bool(self.bridge_topics):
            raise ValueError("bridge_url and bridge_topics are of use only together")
        return self

    @model_validator(mode="after")
    def _mirrored(self) -> "Settings":
        if not self.mirrors:
            return self
        if self.embedded_log:
            raise ValueError("mirrors need a broker_url of Kafka: MirrorMaker 2 copies from one Kafka to another")
        if not self.region:
            raise ValueError("mirrors need a region: the others are to tell these events from their own")
        if self.region in parse_mirrors(self.mirrors):
            raise ValueError(f"mirrors are other regions: {self.region!r} is this one")
        return self

    @property
    def embedded_log(self) -> bool:
        """Whether the log is in the data folder."""
        return self.resolved().broker_url.startswith("sqlite:")

    @property
    def folder(self) -> Path:
        """:attr:`data_dir`, absolute."""
        return self.data_dir.expanduser().absolute()

    def resolved(self) -> "Settings":
        """With every URL filled in."""
        folder = self.folder
        return self.model_copy(
            update={
                "data_dir": folder,
                "broker_url": self.broker_url or f"sqlite:////{str(folder / 'log.db').lstrip('/')}",
                "warehouse_url": self.warehouse_url or f"chdb:////{str(folder / 'warehouse').lstrip('/')}",
                "database_url": self.database_url or f"sqlite:////{str(folder / 'hub.db').lstrip('/')}",
            }
        )


def parse_headers(text: str) -> dict[str, str]:
    """Headers from ``name=value,name=value`` with percent-encoded values, as OpenTelemetry writes them.

    Examples
    --------
    >>> parse_headers("authorization=Bearer%20lh_1, x-team=a")
    {'authorization': 'Bearer lh_1', 'x-team': 'a'}
    """
    found = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, separator, value = part.partition("=")
        if not separator or not name.strip():
            raise ValueError("must be name=value between commas")  # it may hold a secret: not repeated here
        found[name.strip().lower()] = unquote(value.strip())
    return found


def load(overrides: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    Parameters
    ----------
    overrides
        What the command line says; ``None`` values count as not said.
    environ
        Environment to read, default the process's own.

    Raises
    ------
    SettingsError
        A setting is unknown or wrong; names it, where it came from and what would be right.
    """
    environment = os.environ if environ is None else environ
    values: dict[str, Any] = _from_file(environment.get(PREFIX + "CONFIG"))
    values |= _from_environment(environment)
    values |= {name: value for name, value in (overrides or {}).items() if value is not None}
    try:
        return Settings.model_validate(values).resolved()
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None


def _from_file(path: str | None) -> dict[str, Any]:
    if not path:
        return {}
    try:
        with Path(path).open("rb") as file:
            return tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{PREFIX}CONFIG={path}: {error}") from None


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    names = [name.removeprefix(PREFIX) for name in environ if name.startswith(PREFIX)]
    return {
        name.lower(): environ[PREFIX + name]
        for name in names
        if name not in _NOT_SETTINGS and not name.startswith(_TEST_PREFIXES)
    }


def _explain(error: ValidationError) -> str:
    lines = []
    for item in error.errors(include_input=False, include_url=False):
        name = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            near = difflib.get_close_matches(name, Settings.model_fields, n=1)
            lines.append(
                f"unknown setting {name!r} ({PREFIX}{name.upper()})" + (f": did you mean {near[0]!r}?" if near else "")
            )
        elif not name:
            lines.append(str(item["msg"]))
        else:
            lines.append(f"setting {name!r} ({PREFIX}{name.upper()}): {item['msg']}")
    return "; ".join(lines)
