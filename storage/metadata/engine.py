"""How a database is opened: one place for SQLite's pragmas and transactions."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from core.errors import SettingsError
from storage.metadata.urls import async_url, sync_url

#: Seconds a writer waits for another one before it gives up.
BUSY_TIMEOUT_S = 15

#: Execution option of a connection that only reads: it never takes SQLite's write lock.
READ_ONLY = "hub_read_only"

_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA foreign_keys=ON",
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000}",
    # FULL: what was committed survives a power cut, which the block journal and the audit log promise.
    "PRAGMA synchronous=FULL",
)


#: What PostgreSQL is told of each connection: a lock is waited for as long as SQLite's, and a client that hangs in a
#: transaction loses it, and the locks with it.
_SERVER_OPTIONS = {
    "timezone": "UTC",
    "lock_timeout": f"{BUSY_TIMEOUT_S}s",
    "idle_in_transaction_session_timeout": "60s",
}
#: libpq's: a server that vanished without a word is noticed in half a minute.
_LIBPQ = {
    "application_name": "llm-hub",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}


def _prepare(connection: Any, _record: Any) -> None:
    # The driver's own BEGIN is late and deferred; with None it is ours (see _begin).
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin(connection: Connection) -> None:
    # A deferred transaction that reads first and writes later fails at once with SQLITE_BUSY when somebody
    # wrote in between, whatever the timeout; an immediate one waits its turn.
    read_only = connection.get_execution_options().get(READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _tune(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)


def make_async_engine(url: str) -> AsyncEngine:
    """An asynchronous engine; connects to nothing yet."""
    parsed = async_url(url)
    with _driver():
        engine = create_async_engine(parsed, **_options(parsed))
    _tune(engine.sync_engine)
    return engine


def make_sync_engine(url: str) -> Engine:
    """A blocking engine for threads; connects to nothing yet."""
    parsed = sync_url(url)
    with _driver():
        engine = create_engine(parsed, **_options(parsed))
    _tune(engine)
    return engine


def _options(url: URL) -> dict[str, Any]:
    """Of the engine; what the URL itself says of a connection wins."""
    if url.get_backend_name() == "sqlite":
        return {}
    options = " ".join(f"-c {name}={value}" for name, value in _SERVER_OPTIONS.items())
    arguments = {**_LIBPQ, "options": options}
    return {
        "pool_pre_ping": True,  # a connection from before the server's restart is renewed before it is used
        "connect_args": {name: value for name, value in arguments.items() if name not in url.query},
    }


@contextmanager
def _driver() -> Iterator[None]:
    try:
        yield
    except ImportError as error:  # a module that is missing, or psycopg without libpq
        raise SettingsError(
            f"PostgreSQL needs the driver psycopg ({error}): pip install 'llm-analytics-hub[postgres]'.",
            setting="database_url",
        ) from error
