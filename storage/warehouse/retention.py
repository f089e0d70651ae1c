"""What leaves the warehouse, and how full its disk is."""

import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from core.errors import SlowDown
from storage.warehouse.address import Folder
from storage.warehouse.client import Warehouse

#: Tables whose rows carry ``expires_at``, with the aggregate that a rollup keeps of it.
EXPIRING: Final = ("events", "payloads", "rollup_users_1h", "rollup_users_1d")

#: Every table with rows of tenants.
TENANT_TABLES: Final = (
    *EXPIRING,
    "rollup_10s",
    "rollup_1m",
    "rollup_1h",
    "rollup_models_1h",
    "rollup_total_1h",
)


@dataclass(frozen=True, slots=True)
class TableUse:
    """Disk use of one table."""

    table: str
    rows: int
    bytes: int


class Retention:
    """Changes how long rows are kept. Statements return when the engine has carried them out.

    Parameters
    ----------
    warehouse
        An open, migrated warehouse.
    """

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    def restamp(self, tenant: str, table: str, keep: timedelta) -> None:
        """Give all rows of a tenant the expiry of a new retention; what has expired by it is gone on return.

        Parameters
        ----------
        table
            One of :data:`EXPIRING`.
        keep
            Retention, from each row's ``time`` on.
        """
        if table not in EXPIRING:
            raise ValueError(f"rows of {table} carry no expiry of their own")
        seconds = int(keep.total_seconds())
        oldest = self._warehouse.clock.now() - keep
        self._mutate(f"ALTER TABLE {table} DELETE WHERE tenant = {_text(tenant)} AND time < {_moment(oldest)}")
        expiry = f"toDateTime(least(toUnixTimestamp(time) + {seconds}, 4294967295))"
        self._mutate(f"ALTER TABLE {table} UPDATE expires_at = {expiry} WHERE tenant = {_text(tenant)}")

    def delete_before(self, tenant: str, table: str, moment: datetime) -> None:
        """Delete a tenant's rows older than ``moment``, in any table."""
        if table not in TENANT_TABLES:
            raise ValueError(f"no table of tenants is called {table}")
        self._mutate(f"ALTER TABLE {table} DELETE WHERE tenant = {_text(tenant)} AND time < {_moment(moment)}")

    def delete_tenant(self, tenant: str) -> None:
        """Delete everything of a tenant, rollups included. Safe to repeat."""
        for table in TENANT_TABLES:
            self._mutate(f"ALTER TABLE {table} DELETE WHERE tenant = {_text(tenant)}")

    def _mutate(self, statement: str) -> None:
        # Mutations take no server-side parameters: tenants are quoted here, all else is a number.
        self._warehouse.command(statement, settings={"mutations_sync": 2})


class DiskWatch:
    """Says how much the tables hold and how much disk is left.

    Parameters
    ----------
    warehouse
        An open warehouse.
    low_bytes
        With less free disk than this, :meth:`check` asks the doors to slow down.
    """

    def __init__(self, warehouse: Warehouse, low_bytes: int = 1 << 30) -> None:
        self._warehouse = warehouse
        self._low_bytes = low_bytes

    def tables(self) -> list[TableUse]:
        """Use of each table, the largest first."""
        rows = self._warehouse.query(
            "SELECT table, sum(rows), sum(bytes_on_disk) AS bytes FROM system.parts"
            " WHERE active AND database = {database:String} GROUP BY table ORDER BY bytes DESC, table",
            {"database": self._warehouse.database},
        )
        return [TableUse(*row) for row in rows.rows]

    def free_bytes(self) -> int:
        """Free bytes where the data is: of the folder's disk, or the least of the server's disks."""
        address = self._warehouse.address
        if isinstance(address, Folder):
            return shutil.disk_usage(address.path).free
        return int(self._warehouse.query("SELECT min(free_space) FROM system.disks").scalar())

    def check(self) -> None:
        """Do nothing while there is room.

        Raises
        ------
        SlowDown
            When the disk is nearly full: better to refuse events than to lose them.
        """
        free = self.free_bytes()
        if free < self._low_bytes:
            raise SlowDown(
                f"Only {free >> 20} MiB of disk are free: free some, or shorten the retention.", retry_after=60
            )


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _moment(value: datetime) -> str:
    return f"fromUnixTimestamp64Micro({int(value.timestamp() * 1_000_000)}, 'UTC')"
