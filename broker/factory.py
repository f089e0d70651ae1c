"""From a broker URL to the log, and to what Faust is told."""

from urllib.parse import urlsplit

from broker.embedded.config import SqliteLogConfig
from broker.embedded.log import SqliteLog
from broker.embedded.transport import register
from broker.embedded.url import FORMS, sqlite_path
from broker.kafka import KafkaLog, KafkaLogConfig
from broker.log import Log
from core.clock import Clock
from core.errors import SettingsError


def open_log(
    url: str, *, clock: Clock, config: SqliteLogConfig | None = None, kafka: KafkaLogConfig | None = None
) -> Log:
    """The log a broker URL names, not yet started.

    Parameters
    ----------
    url
        ``sqlite:///relative/path`` or ``sqlite:////absolute/path`` as in SQLAlchemy, or ``kafka://host:port,…``.
    clock
        Given to the log.
    config
        Sizes and times of the embedded log.
    kafka
        Sizes and times of a log on Kafka.

    Raises
    ------
    SettingsError
        The URL is none of these.
    """
    if scheme_of(url) == "sqlite":
        return SqliteLog(sqlite_path(url), clock, config)
    return KafkaLog(kafka_servers(url), clock, kafka)


def faust_broker_url(url: str) -> str:
    """The broker URL as Faust wants it; makes ``sqlite://`` known to Faust.

    Examples
    --------
    >>> faust_broker_url("kafka://a:9093,b")
    'kafka://a:9093;kafka://b:9092'
    """
    if scheme_of(url) == "sqlite":
        sqlite_path(url)
        register()
        return url
    return ";".join(f"kafka://{server}" for server in kafka_servers(url))


def scheme_of(url: str) -> str:
    """``sqlite`` or ``kafka``; anything else raises ``SettingsError``."""
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in ("sqlite", "kafka"):
        raise SettingsError(f"The broker URL must be {FORMS}.")
    return scheme


def kafka_servers(url: str) -> list[str]:
    """The ``host:port`` pairs of a ``kafka:`` URL; the port is 9092 where missing.

    Examples
    --------
    >>> kafka_servers("kafka://a:9093,b")
    ['a:9093', 'b:9092']
    """
    rest = url.removeprefix("kafka://")
    if rest == url or not rest or any(mark in rest for mark in "/?#@ "):
        raise SettingsError(f"The broker URL must be {FORMS}.")
    return [_host_and_port(server) for server in rest.split(",")]


def _host_and_port(server: str) -> str:
    try:
        parts = urlsplit(f"//{server}")
        host, port = parts.hostname, parts.port or 9092
    except ValueError:
        host, port = None, 0
    if not host:
        raise SettingsError(f"{server!r} in the broker URL is no host:port; it must be {FORMS}.")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
