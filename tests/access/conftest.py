"""An Access over a fresh database, on a clock that tests move."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from access.principal import Role, Scope
from access.service import Access, AccessConfig
from core.clock import ManualClock
from storage.metadata.database import Metadata
from tests.servers.postgres import new_database


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 11, 20, 12, tzinfo=UTC))


async def _migrated(url: str) -> str:
    database = Metadata(url)
    await database.start()
    await database.migrate()
    await database.stop()
    return url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that has every table: a copy is quicker than the migrations."""
    path = tmp_path_factory.mktemp("metadata") / "hub.db"
    asyncio.run(_migrated(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres: str) -> str:
    """The name of a database that has every table."""
    return asyncio.run(_migrated(new_database(postgres))).rpartition("/")[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a migrated database that holds nothing, and is in no hub's folder."""
    if request.param == "sqlite":
        path = shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path_factory.mktemp("database"))
        return f"sqlite:///{path}"
    return new_database(request.getfixturevalue("postgres"), request.getfixturevalue("postgres_template"))


@pytest.fixture
async def metadata(database_url: str) -> AsyncIterator[Metadata]:
    database = Metadata(database_url)
    await database.start()
    yield database
    await database.stop()


@pytest.fixture
async def access(metadata: Metadata, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Access]:
    service = Access(metadata, clock, AccessConfig(tmp_path))
    await service.start()
    yield service
    await service.stop()


@pytest.fixture
def admin_secret(access: Access, tmp_path: Path) -> str:
    return (tmp_path / "admin.key").read_text().strip()


ALL = frozenset(Scope)
ADMIN, DEVELOPER, VIEWER = Role.ADMIN, Role.DEVELOPER, Role.VIEWER
