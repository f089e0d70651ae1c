"""The logs that the contract suites run against."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.factory import open_log
from broker.log import Log
from core.clock import SystemClock
from tests.contract.fake_kafka import FakeCluster

SQLITE = pytest.param("sqlite", id="sqlite")
FAKE_KAFKA = pytest.param("fake", id="fake-kafka")
REAL_KAFKA = pytest.param("kafka", id="kafka", marks=pytest.mark.kafka)

#: The log's contract also runs against a Kafka that is played in this process; Faust needs a real one.
LOGS = [SQLITE, FAKE_KAFKA, REAL_KAFKA]
TRANSPORTS = [SQLITE, REAL_KAFKA]


@pytest.fixture(params=LOGS)
def broker_url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty embedded log, of a fake Kafka, or of the session's real Kafka."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/log.db"
    if request.param == "fake":
        FakeCluster().install(monkeypatch)
        return "kafka://fake:9092"
    return f"kafka://{request.getfixturevalue('kafka')}"


@pytest.fixture
async def log(broker_url: str) -> AsyncIterator[Log]:
    """A started log."""
    log = open_log(broker_url, clock=SystemClock())
    await log.start()
    yield log
    await log.stop()


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    """A topic name of this test alone: a Kafka outlives the test."""
    stamp = datetime.now(UTC).strftime("%H%M%S%f")
    return f"test.{request.node.name.split('[')[0]}.{stamp}"
