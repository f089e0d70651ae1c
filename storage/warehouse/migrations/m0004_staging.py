"""Staging tables: what live events are read into once, before the rollups are folded from it.

In memory, each row for some milliseconds: whatever is lost is read again from the events.
"""

from typing import Final

from storage.warehouse.migrations.m0003_rollups import BY_USER, DIMENSIONS, OF_USERS, STATES, SUMS, UNIQUES
from storage.warehouse.migrations.migration import Migration


def _table(name: str, dimensions: tuple[str, ...], kept: dict[str, str], *, expiry: bool) -> str:
    columns = [
        "round UUID",
        "made DateTime DEFAULT now()",
        "time DateTime('UTC')",
        *(f"{column} {'String' if column == 'user_id' else 'LowCardinality(String)'}" for column in dimensions),
        *(f"{column} {kind}" for column, kind in kept.items()),
        "through UInt64",
        *(["expires_at DateTime"] if expiry else []),
    ]
    return f"CREATE TABLE IF NOT EXISTS {name} $on_cluster\n({', '.join(columns)})\nENGINE = Memory"


_TABLES: Final = {
    "staging": _table("staging", ("tenant", "type", *DIMENSIONS), SUMS | STATES | UNIQUES, expiry=False),
    "staging_users": _table("staging_users", ("tenant", *BY_USER), OF_USERS, expiry=True),
}

STAGING: Final = Migration(
    number=4,
    name="staging",
    forward=tuple(_TABLES.values()),
    backward=tuple(f"DROP TABLE IF EXISTS {table} $on_cluster SYNC" for table in _TABLES),
)
