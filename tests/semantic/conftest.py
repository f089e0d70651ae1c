"""A warehouse of two tenants' events, filled once for all tests of this room."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, nullcontext

import pytest

from core.clock import ManualClock
from semantic.layer import SemanticLayer
from semantic.sources import warehouse_sources
from storage.warehouse.client import Warehouse
from storage.warehouse.migrations import migrate
from tests.semantic.rows import NOW, Event, as_table, make_events, store
from tests.servers.clickhouse import RunningServer


@pytest.fixture(scope="package")
def events() -> list[Event]:
    """The events of tenant ``acme``."""
    return make_events(seed=7, count=4000)


@pytest.fixture(scope="package", params=["chdb", "clickhouse"])
def warehouse(request: pytest.FixtureRequest, events: list[Event]) -> Iterator[Warehouse]:
    """In both homes: the engine in this process, and a server by HTTP."""
    with _address(request) as url, Warehouse(url) as warehouse:
        migrate(warehouse)
        first, second = (as_table("acme", half) for half in (events[::2], events[1::2]))
        store(warehouse, [as_table("rival", make_events(seed=8, count=300)), first], behind=[second])
        yield warehouse


def _address(request: pytest.FixtureRequest) -> AbstractContextManager[str]:
    if request.param == "chdb":
        folders: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
        return nullcontext(f"chdb:///{folders.mktemp('semantic')}")
    server: RunningServer = request.getfixturevalue("clickhouse_front")
    return server.database()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
async def layer(warehouse: Warehouse, clock: ManualClock) -> AsyncIterator[SemanticLayer]:
    layer = SemanticLayer(warehouse, warehouse_sources(), clock)
    await layer.start()
    yield layer
    await layer.stop()


@pytest.fixture
async def raw_layer(warehouse: Warehouse, clock: ManualClock) -> AsyncIterator[SemanticLayer]:
    """The same without rollups."""
    layer = SemanticLayer(warehouse, warehouse_sources()[-1:], clock)
    yield layer
    await layer.stop()
