"""A warehouse for the tests of a module, in each of its two homes: the engine in this process, and a server by HTTP.

Tests of the embedded engine itself, and those that would say the same of a server at a great price, are marked
:data:`EMBEDDED`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.warehouse.client import Warehouse
from storage.warehouse.config import WarehouseConfig
from storage.warehouse.migrations import migrate
from tests.servers.clickhouse import RunningServer
from tests.storage.warehouse.rows import EVERY_TABLE

SMALL = WarehouseConfig(memory_bytes=800_000_000, query_memory_bytes=300_000_000, connections=4, wait_seconds=5)


@pytest.fixture(scope="module", params=["chdb", "clickhouse"])
def empty(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """An open warehouse without tables: a folder of the module's own, as one process opens one, or a new database."""
    if request.param == "chdb":
        folder: Path = tmp_path_factory.mktemp("warehouse")
        with Warehouse(f"chdb:///{folder}", SMALL) as warehouse:
            yield warehouse
        return
    server: RunningServer = request.getfixturevalue("clickhouse_front")
    with server.database() as url, Warehouse(url, SMALL) as warehouse:
        yield warehouse


@pytest.fixture(scope="module")
def migrated(empty: Warehouse) -> Warehouse:
    """The same, migrated."""
    migrate(empty)
    return empty


@pytest.fixture
def warehouse(migrated: Warehouse) -> Iterator[Warehouse]:
    """A migrated warehouse without rows."""
    yield migrated
    for table in EVERY_TABLE:
        migrated.command(f"TRUNCATE TABLE {table}")
