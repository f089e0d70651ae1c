"""Opening the database, its transactions, and every migration up and down."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import IntegrityError, StatementError

from core.errors import SettingsError
from storage.metadata.database import Metadata, revisions
from storage.metadata.models import ApiKey, Base, Price, Tenant, User
from storage.metadata.urls import async_url, sync_url

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
async def metadata(database_url: str) -> AsyncIterator[Metadata]:
    database = Metadata(database_url)
    await database.start()
    yield database
    await database.stop()


def _tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names()) - {"alembic_version"}


async def tables(metadata: Metadata) -> set[str]:
    async with metadata.engine.connect() as connection:
        return await connection.run_sync(_tables)


@pytest.mark.parametrize("revision", revisions())
async def test_every_migration_goes_up_down_and_up_again(metadata: Metadata, revision: str) -> None:
    before = revisions()[: revisions().index(revision)]
    below = before[-1] if before else "base"
    await metadata.migrate(below)
    there = await tables(metadata)
    assert await metadata.migrate(revision) == revision
    assert await tables(metadata) > there
    await metadata.migrate(below)
    assert await tables(metadata) == there
    assert await metadata.migrate() == metadata.head


async def test_all_the_way_down_leaves_nothing(metadata: Metadata) -> None:
    await metadata.migrate()
    assert await metadata.migrate("base") is None
    assert await tables(metadata) == set()


def _differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), Base.metadata))


async def test_models_and_migrations_agree(metadata: Metadata) -> None:
    await metadata.migrate()
    async with metadata.engine.connect() as connection:
        assert await connection.run_sync(_differences) == []


async def test_migrating_twice_changes_nothing(metadata: Metadata) -> None:
    assert await metadata.current() is None
    assert await metadata.migrate() == metadata.head == await metadata.current() == await metadata.migrate("head")


async def test_two_processes_may_migrate_at_once(metadata: Metadata) -> None:
    other = Metadata(metadata.url)
    await other.start()
    assert await asyncio.gather(metadata.migrate(), other.migrate()) == [metadata.head, metadata.head]
    await other.stop()


async def test_an_unknown_revision_is_named(metadata: Metadata) -> None:
    with pytest.raises(SettingsError, match="'9999' is not known"):
        await metadata.migrate("9999")


async def test_a_database_of_a_newer_hub_is_refused(metadata: Metadata) -> None:
    await metadata.migrate()
    async with metadata.engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SettingsError, match="newer hub"):
        await metadata.migrate()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_pragmas_are_set(metadata: Metadata) -> None:
    async with metadata.engine.connect() as connection:
        found = [
            (await connection.execute(text(f"PRAGMA {name}"))).scalar_one()
            for name in ("journal_mode", "foreign_keys", "busy_timeout", "synchronous")
        ]
    assert found == ["wal", 1, 15_000, 2]


async def test_a_failed_transaction_leaves_nothing(metadata: Metadata) -> None:
    await metadata.migrate()

    async def fail() -> None:
        async with metadata.session() as session:
            session.add(Tenant(id="a", name="A", created_at=NOW, settings={}))
            await session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with metadata.reading() as session:
        assert await session.get(Tenant, "a") is None


async def test_concurrent_writers_wait_for_each_other(metadata: Metadata) -> None:
    await metadata.migrate()
    async with metadata.session() as session:
        session.add(Tenant(id="a", name="0", created_at=NOW, settings={}))

    async def add() -> None:
        async with metadata.session() as session:
            tenant = await session.get_one(Tenant, "a")
            await asyncio.sleep(0)
            tenant.name = str(int(tenant.name) + 1)

    await asyncio.gather(*(add() for _ in range(8)))
    async with metadata.reading() as session:
        assert (await session.get_one(Tenant, "a")).name == "8"


async def test_values_come_back_as_they_were(metadata: Metadata) -> None:
    await metadata.migrate()
    async with metadata.session() as session:
        session.add(Tenant(id="a", name="A", created_at=NOW, settings={"timezone": "UTC"}))
        await session.flush()
        session.add(
            Price(
                id="p", tenant="a", model="m", valid_from=NOW, created_at=NOW,
                input_price_usd_per_mtok=Decimal("0.1234567891"),
            )
        )  # fmt: skip
    async with metadata.reading() as session:
        price = await session.get_one(Price, "p")
        assert price.valid_from == NOW
        assert price.valid_from.tzinfo is UTC
        assert price.input_price_usd_per_mtok == Decimal("0.1234567891")
        assert price.gpus is None
        assert (await session.get_one(Tenant, "a")).settings == {"timezone": "UTC"}


async def test_a_time_without_a_zone_is_refused(metadata: Metadata) -> None:
    await metadata.migrate()
    with pytest.raises(StatementError, match="names no instant"):
        async with metadata.session() as session:
            session.add(Tenant(id="a", name="A", created_at=NOW.replace(tzinfo=None), settings={}))


async def test_a_key_needs_its_tenant_and_goes_with_it(metadata: Metadata) -> None:
    await metadata.migrate()
    user = {"email": "e@x.org", "name": "E", "role": "viewer", "created_at": NOW}
    with pytest.raises(IntegrityError):
        async with metadata.session() as session:
            session.add(User(id="u", tenant="nobody", **user))
    async with metadata.session() as session:
        session.add(Tenant(id="a", name="A", created_at=NOW, settings={}))
        await session.flush()
        session.add(User(id="u", tenant="a", **user))
    async with metadata.session() as session:
        await session.delete(await session.get_one(Tenant, "a"))
    async with metadata.reading() as session:
        assert await session.get(User, "u") is None
        assert await session.get(ApiKey, "u") is None


def test_plain_urls_get_the_right_driver() -> None:
    assert async_url("sqlite:////a/b.db").database == "/a/b.db"
    assert async_url("postgres://u:p@h/d").drivername == "postgresql+psycopg"
    assert sync_url("postgresql+asyncpg://u:p@h/d").drivername == "postgresql+psycopg"


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://u:secret@h/d", "oracle:///x"])
def test_other_urls_are_refused_without_showing_them(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        async_url(url)
    assert "secret" not in str(caught.value)


async def test_a_database_that_cannot_be_opened_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "hub.db").mkdir()
    with pytest.raises(SettingsError, match="cannot be opened"):
        await Metadata(f"sqlite:///{tmp_path}/hub.db").start()


async def test_start_and_stop_may_be_repeated(tmp_path: Path) -> None:
    database = Metadata(f"sqlite:///{tmp_path}/hub.db")
    await database.stop()
    with pytest.raises(RuntimeError, match="not started"):
        _ = database.engine
    await database.start()
    await database.start()
    await database.stop()
    assert "hub.db" in repr(database)
    assert "hidden" not in repr(Metadata("postgresql://u:hidden@h/d"))
