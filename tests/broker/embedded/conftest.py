"""An embedded log whose clock the test moves."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.embedded.config import SqliteLogConfig
from broker.embedded.log import SqliteLog
from core.clock import ManualClock

START = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
async def open_log(path: Path, clock: ManualClock) -> AsyncIterator[Callable[..., SqliteLog]]:
    """Makes logs over one file and stops them after the test."""
    made: list[SqliteLog] = []

    def make(**config: object) -> SqliteLog:
        made.append(SqliteLog(path, clock, SqliteLogConfig(**config)))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for log in made:
        await log.stop()


@pytest.fixture
async def log(open_log: Callable[..., SqliteLog]) -> SqliteLog:
    log = open_log()
    await log.start()
    return log
