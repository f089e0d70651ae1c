"""How a database is opened: one place for SQLite's pragmas and transactions."""

from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

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
    engine = create_async_engine(async_url(url), pool_pre_ping=not url.startswith("sqlite"))
    _tune(engine.sync_engine)
    return engine


def make_sync_engine(url: str) -> Engine:
    """A blocking engine for threads; connects to nothing yet."""
    engine = create_engine(sync_url(url), pool_pre_ping=not url.startswith("sqlite"))
    _tune(engine)
    return engine
