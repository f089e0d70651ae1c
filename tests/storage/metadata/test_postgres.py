"""What only PostgreSQL can do to us: several machines at once, restarts under a running hub, clients that hang."""

import asyncio
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core.errors import Retryable, SettingsError, Unprocessable
from storage.metadata.database import Metadata
from storage.metadata.engine import make_async_engine, make_sync_engine
from storage.metadata.journal import Block, SqlBlockJournal
from storage.metadata.models import Tenant
from tests.servers.postgres import Postgres, new_database

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PLACE = ("hub", "hub.events", 3)


@pytest.fixture(scope="module")
def server(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server that tests of this module may end."""
    server = Postgres(tmp_path_factory.mktemp("postgres"))
    server.start()
    yield server
    server.kill()


async def opened(url: str, **options: float) -> Metadata:
    metadata = Metadata(url, **options)
    await metadata.start()
    return metadata


def tenant(name: str) -> Tenant:
    return Tenant(id=name, name=name, created_at=NOW, settings={})


async def test_many_processes_migrate_at_once(postgres: str) -> None:
    url = new_database(postgres)
    hubs = [await opened(url) for _ in range(6)]
    heads = await asyncio.gather(*(hub.migrate() for hub in hubs))
    assert set(heads) == {hubs[0].head}
    for hub in hubs:
        await hub.stop()


async def test_every_connection_speaks_utc_and_gives_up_waiting(postgres: str) -> None:
    metadata = await opened(new_database(postgres))
    async with metadata.session() as session:
        found = [(await session.execute(text(f"SHOW {name}"))).scalar_one() for name in ("timezone", "lock_timeout")]
    assert found == ["UTC", "15s"]
    await metadata.stop()


async def test_what_only_reads_cannot_write_and_sees_one_moment(postgres: str) -> None:
    metadata = await opened(new_database(postgres))
    await metadata.migrate()
    with pytest.raises(DBAPIError, match="read-only"):
        async with metadata.reading() as session:
            session.add(tenant("a"))
    async with metadata.reading() as session:
        before = (await session.execute(text("SELECT count(*) FROM tenants"))).scalar_one()
        async with metadata.session() as other:
            other.add(tenant("b"))
        assert (await session.execute(text("SELECT count(*) FROM tenants"))).scalar_one() == before
    await metadata.stop()


async def test_one_at_a_time_makes_what_a_new_hub_needs(postgres: str) -> None:
    url = new_database(postgres)
    hubs = [await opened(url) for _ in range(3)]
    inside: list[int] = []

    async def make(number: int) -> None:
        async with hubs[number].alone():
            inside.append(number)
            await asyncio.sleep(0.02)
            assert inside[-1] == number

    await asyncio.gather(*map(make, range(3)))
    assert sorted(inside) == [0, 1, 2]
    for hub in hubs:
        await hub.stop()


async def test_values_that_cannot_be_kept_are_no_fault_of_ours(postgres: str) -> None:
    metadata = await opened(new_database(postgres))
    await metadata.migrate()
    for wrong in ("x" * 65, "nul \0"):
        with pytest.raises(Unprocessable, match="cannot"):
            async with metadata.session() as session:
                session.add(tenant(wrong))
    await metadata.stop()


async def test_a_restart_is_waited_for_and_a_longer_absence_is_told(server: Postgres) -> None:
    url = new_database(server.url())
    metadata = await opened(url, patience_s=30.0)
    await metadata.migrate()
    journal = SqlBlockJournal(url)
    block = journal.begin(*PLACE, 0, 9, "token")
    server.kill()
    again = asyncio.create_task(asyncio.to_thread(server.start))
    async with metadata.session() as session:
        session.add(tenant("a"))
    await again
    assert journal.pending(*PLACE) == block == Block(*PLACE, 0, 9, "token")
    journal.finish(block)
    journal.close()
    await metadata.stop()

    hasty = await opened(url, patience_s=0.3)
    server.stop()
    began = time.monotonic()
    with pytest.raises(Retryable, match="cannot be reached") as caught:
        async with hasty.reading() as session:
            await session.get(Tenant, "a")
    assert caught.value.headers == {"Retry-After": "1"}
    assert time.monotonic() - began < 10
    server.start()
    async with hasty.reading() as session:
        assert (await session.get_one(Tenant, "a")).name == "a"
    await hasty.stop()


async def test_a_server_that_goes_in_the_middle_is_told(server: Postgres) -> None:
    metadata = await opened(new_database(server.url()))
    await metadata.migrate()

    async def write() -> None:
        async with metadata.session() as session:
            session.add(tenant("a"))
            await session.flush()
            await asyncio.to_thread(server.kill)

    with pytest.raises(Retryable):
        await write()
    await asyncio.to_thread(server.start)
    async with metadata.reading() as session:
        assert await session.get(Tenant, "a") is None
    await metadata.stop()


def test_without_the_driver_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for make in (make_async_engine, make_sync_engine):
        with pytest.raises(SettingsError, match=r"pip install 'llm-analytics-hub\[postgres\]'"):
            make("postgresql://u:hidden@h/d")


async def test_a_server_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be opened") as caught:
        await Metadata("postgresql://u:hidden@127.0.0.1:1/d").start()
    assert "hidden" not in str(caught.value)
