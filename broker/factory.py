"""From a broker URL to the log, and to what Faust is told."""

from typing import Any

from broker.embedded.config import SqliteLogConfig
from broker.embedded.log import SqliteLog
from broker.embedded.transport import register
from broker.embedded.url import FORMS, sqlite_path
from broker.kafka import KafkaLog, KafkaLogConfig
from broker.kafka_address import parse_address
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
        ``sqlite:///relative/path`` or ``sqlite:////absolute/path`` as in SQLAlchemy, or ``kafka://host:port,…``
        (see :func:`broker.kafka_address.parse_address`).
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
    return KafkaLog(parse_address(url), clock, kafka)


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
    return ";".join(f"kafka://{server}" for server in parse_address(url).servers)


def faust_credentials(url: str) -> Any:
    """What Faust is told besides the URL: ``faust.SASLCredentials``, ``faust.SSLCredentials`` or None."""
    if scheme_of(url) == "sqlite":
        return None
    from faust.auth import SASLCredentials, SSLCredentials

    address = parse_address(url)
    if address.sasl:
        return SASLCredentials(
            username=address.user, password=address.password, ssl_context=address.tls(), mechanism=address.mechanism
        )
    context = address.tls()
    return None if context is None else SSLCredentials(context)


def scheme_of(url: str) -> str:
    """``sqlite`` or ``kafka``; anything else raises ``SettingsError``."""
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in ("sqlite", "kafka"):
        raise SettingsError(f"The broker URL must be {FORMS}.")
    return scheme
