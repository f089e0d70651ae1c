"""The metadata database: sessions and migrations."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from core.errors import SettingsError
from storage.metadata.engine import READ_ONLY, make_async_engine, make_sync_engine
from storage.metadata.urls import async_url

#: Any number, the same in every process: only one of them migrates at a time on PostgreSQL.
_MIGRATION_LOCK = 7_316_254


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
    """

    def __init__(self, url: str) -> None:
        self.url = url
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
            if engine.dialect.name == "sqlite":
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
        """A transaction that may write: committed on leaving, rolled back on an exception."""
        maker = async_sessionmaker(self.engine, expire_on_commit=False)
        async with maker() as session, session.begin():
            yield session

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A transaction that only reads, and so never waits for a writer on SQLite."""
        engine = self.engine.execution_options(**{READ_ONLY: True})
        async with async_sessionmaker(engine, expire_on_commit=False)() as session, session.begin():
            yield session

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
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
    known = revisions()
    here, there = _index(_current(connection), known), _index(revision, known)
    config = _config()
    config.attributes["connection"] = connection
    if there > here:
        command.upgrade(config, known[there])
    elif there < here:
        command.downgrade(config, known[there] if there >= 0 else "base")
    return _current(connection)
