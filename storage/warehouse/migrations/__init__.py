"""The warehouse's schema: numbered, reversible steps in an explicit list."""

from contextlib import closing
from typing import Final

from storage.warehouse.client import Warehouse
from storage.warehouse.migrations.m0001_events import EVENTS
from storage.warehouse.migrations.m0002_payloads import PAYLOADS
from storage.warehouse.migrations.m0003_rollups import ROLLUPS
from storage.warehouse.migrations.m0004_more_rollups import MORE_ROLLUPS
from storage.warehouse.migrations.m0005_region import REGION
from storage.warehouse.migrations.m0006_flushed import FLUSHED
from storage.warehouse.migrations.migration import Migration
from storage.warehouse.migrations.runner import Migrator, State

MIGRATIONS: Final[tuple[Migration, ...]] = (EVENTS, PAYLOADS, ROLLUPS, MORE_ROLLUPS, REGION, FLUSHED)

__all__ = ["MIGRATIONS", "Migration", "Migrator", "State", "check", "migrate"]


def migrate(warehouse: Warehouse, target: int | None = None) -> list[int]:
    """Bring the warehouse to ``target`` (default the newest version); the numbers that were run."""
    with closing(Migrator(warehouse, MIGRATIONS)) as migrator:
        return migrator.migrate(target)


def check(warehouse: Warehouse) -> State:
    """What ``llm-hub migrate --check`` reports: nothing is pending when all is well."""
    with closing(Migrator(warehouse, MIGRATIONS)) as migrator:
        return migrator.state()
