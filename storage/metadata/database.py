"""The metadata database: sessions and migrations."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import DataError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from core.errors import Retryable, SettingsError, Unprocessable
from storage.metadata.engine import READ_ONLY, make_async_engine, make_sync_engine
from storage.metadata.urls import async_url

logger = logging.getLogger(__name__)

#: PostgreSQL's advisory locks, any numbers that are the same in every process: of who migrates, of who makes what a
#: new hub needs, and of who writes.
_MIGRATION_LOCK, _START_LOCK, _WRITE_LOCK = 7_316_254, 7_316_255, 7_316_256

_POSTGRESQL = "postgresql"
_RECONNECT_S = 0.1


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def revisions() -> list[str]:
    """Every schema revision, oldest first; ``base`` (nothing at all) is not among them."""
    scripts = ScriptDirectory.from_config(_config()).walk_revisions()
    return [script.revision for script in scripts][::-1]


def _probe(url: str) -> None:
    """Open a database and ask it something; raises what the driver raises."""
    engine = make_sync_engine(url)
    try:
        with engine.execution_options(**{READ_ONLY: True}).connect() as connection:
            connection.execute(text("SELECT 1"))
    finally:
        engine.dispose()


class Metadata:
    """The relational database of the hub.

    Construction opens nothing; :meth:`start` opens the database (and makes its folder), :meth:`migrate` builds
    its tables. Safe to share between tasks of one event loop.

    Parameters
    ----------
    url
        ``sqlite:////absolute/path.db`` or ``postgresql://user:password@host/database``.
    patience_s
        How long a transaction waits for a PostgreSQL that takes no connections, as while it is started anew.
    """

    def __init__(self, url: str, *, patience_s: float = 10.0) -> None:
        self.url = url
        self._patience_s = patience_s
        self._engine: AsyncEngine | None = None

    def __repr__(self) -> str:
        return f"Metadata({async_url(self.url).render_as_string(hide_password=True)!r})"

    @property
    def engine(self) -> AsyncEngine:
        """The open engine."""
        if self._engine is None:
            raise RuntimeError("the metadata database is not started")
        return self._engine

    async def start(self) -> None:
        """Open the database; raises :class:`SettingsError` when it cannot be."""
        if self._engine is not None:
            return
        engine = make_async_engine(self.url)
        if engine.dialect.name == "sqlite" and engine.url.database not in (None, "", ":memory:"):
            Path(str(engine.url.database)).parent.mkdir(parents=True, exist_ok=True)
        try:
            if engine.dialect.name != _POSTGRESQL:
                # not by aiosqlite: the thread of a connection that fails outlives it, and perhaps the event loop
                await asyncio.to_thread(_probe, self.url)
            else:
                async with engine.connect() as connection:
                    await connection.execute(text("SELECT 1"))
        except Exception as error:
            await engine.dispose()
            raise SettingsError(
                f"The metadata database cannot be opened ({type(error).__name__}); check the database URL, "
                "that its server or folder can be reached and written, and its user and password.",
                setting="database_url",
            ) from error
        self._engine = engine

    async def stop(self) -> None:
        """Close every connection; harmless when not started."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.dispose()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A transaction that may write: committed on leaving, rolled back on an exception.

        One at a time, whatever the process: what it has read is still so when it writes. On SQLite that is the
        engine's nature; on PostgreSQL a lock that every such transaction begins with, which costs nothing where a
        few changes a second are many. Raises :class:`Retryable` when the database is away.
        """
        async with self._transaction(self.engine) as session:
            if self._server:
                await session.execute(select(func.pg_advisory_xact_lock(_WRITE_LOCK)))
            yield session

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A transaction that only reads, never waits for a writer, and sees the moment of its first question."""
        options: dict[str, bool | str] = {READ_ONLY: True}
        if self._server:
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        async with self._transaction(self.engine.execution_options(**options)) as session:
            yield session

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Keep other processes from starting at the same time, on whatever machine; around what only one may make.

        On SQLite the data folder itself sees to that (see :mod:`access.files`).
        """
        if not self._server:
            yield
            return
        async with self._transaction(self.engine) as session:
            await session.execute(select(func.pg_advisory_xact_lock(_START_LOCK)))
            yield

    @property
    def _server(self) -> bool:
        return self.engine.dialect.name == _POSTGRESQL

    @asynccontextmanager
    async def _transaction(self, engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
        try:
            connection = await self._connected(engine)
            try:
                async with AsyncSession(connection, expire_on_commit=False) as session, session.begin():
                    yield session
            finally:
                await connection.close()
        except (OperationalError, InterfaceError) as error:
            logger.warning("the metadata database: %s", error.orig)
            raise Retryable("The metadata database cannot be reached or is busy now; try again.") from error
        except DataError as error:
            raise Unprocessable("A value is longer than can be kept, or has characters that cannot.") from error

    async def _connected(self, engine: AsyncEngine) -> AsyncConnection:
        """A connection, waiting for a server that is being started anew: nothing has been asked of it yet."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience_s
        while True:
            try:
                return await engine.connect()
            except OperationalError:
                if not self._server or loop.time() >= until:
                    raise
            await asyncio.sleep(_RECONNECT_S)

    @property
    def head(self) -> str:
        """The newest revision that this version of the hub knows."""
        return revisions()[-1]

    async def current(self) -> str | None:
        """The revision the database is at; ``None`` when it is empty."""
        async with self.engine.execution_options(**{READ_ONLY: True}).connect() as connection:
            return await connection.run_sync(_current)

    async def migrate(self, revision: str = "head") -> str | None:
        """Bring the schema forward or backward to ``revision`` and say where it now is.

        Parameters
        ----------
        revision
            A revision, ``head`` or ``base``. Going to where it already is does nothing.

        Raises
        ------
        SettingsError
            There is no such revision, or the database was made by a newer hub.
        """
        async with self.engine.begin() as connection:
            return await connection.run_sync(_migrate, revision)


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _index(revision: str | None, known: list[str]) -> int:
    if revision in (None, "base"):
        return -1
    if revision == "head":
        return len(known) - 1
    if revision not in known:
        raise SettingsError(
            f"The metadata revision {revision!r} is not known to this version of the hub; known are "
            f"base, {', '.join(known)}. A database made by a newer hub needs that newer hub."
        )
    return known.index(revision)


def _migrate(connection: Connection, revision: str) -> str | None:
    if connection.dialect.name == _POSTGRESQL:
        connection.execute(text("SET LOCAL lock_timeout = 0"))  # another one's migration may take its time
        connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
    known = revisions()
    here, there = _index(_current(connection), known), _index(revision, known)
    config = _config()
    config.attributes["connection"] = connection
    if there > here:
        command.upgrade(config, known[there])
    elif there < here:
        command.downgrade(config, known[there] if there >= 0 else "base")
    return _current(connection)
