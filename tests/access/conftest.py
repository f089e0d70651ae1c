"""An Access over a fresh database, on a clock that tests move."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from access.principal import Role, Scope
from access.service import Access, AccessConfig
from core.clock import ManualClock
from storage.metadata.database import Metadata


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 11, 20, 12, tzinfo=UTC))


@pytest.fixture
async def metadata(tmp_path: Path) -> AsyncIterator[Metadata]:
    database = Metadata(f"sqlite:///{tmp_path}/hub.db")
    await database.start()
    await database.migrate()
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
