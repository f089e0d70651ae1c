"""Database URLs: people write ``sqlite:///…`` or ``postgresql://…``, the hub picks the drivers."""

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from core.errors import SettingsError

_ASYNC = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}
_SYNC = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg"}


def _parse(url: str, drivers: dict[str, str]) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise SettingsError(
            "The database URL cannot be read; write sqlite:////absolute/path.db or "
            "postgresql://user:password@host/database.",
            setting="database_url",
        ) from error
    backend = "postgresql" if parsed.drivername == "postgres" else parsed.get_backend_name()
    if backend not in drivers:
        raise SettingsError(
            f"The database {backend!r} is not supported; use sqlite:///… or postgresql://….",
            setting="database_url",
        )
    return parsed.set(drivername=drivers[backend])


def async_url(url: str) -> URL:
    """The URL with the asynchronous driver that the hub uses for it.

    Examples
    --------
    >>> async_url("sqlite:////data/hub.db").drivername
    'sqlite+aiosqlite'
    >>> async_url("postgresql://u:p@db/hub").drivername
    'postgresql+psycopg'
    """
    return _parse(url, _ASYNC)


def sync_url(url: str) -> URL:
    """The URL with the blocking driver, for the writer's threads.

    Examples
    --------
    >>> sync_url("sqlite+aiosqlite:////data/hub.db").drivername
    'sqlite+pysqlite'
    """
    return _parse(url, _SYNC)
