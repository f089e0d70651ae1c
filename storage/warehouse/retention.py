"""What leaves the warehouse."""

from datetime import datetime, timedelta
from typing import Final

from storage.warehouse.client import Warehouse

#: Tables whose rows carry ``expires_at``, with the aggregate that a rollup keeps of it.
EXPIRING: Final = ("events", "payloads", "rollup_users_1h", "rollup_users_1d")

#: Every table with rows of tenants.
TENANT_TABLES: Final = (
    *EXPIRING,
    "rollup_10s",
    "rollup_1m",
    "rollup_1h",
    "rollup_models_1m",
    "rollup_models_1h",
    "rollup_total_1h",
)


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


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _moment(value: datetime) -> str:
    return f"fromUnixTimestamp64Micro({int(value.timestamp() * 1_000_000)}, 'UTC')"
