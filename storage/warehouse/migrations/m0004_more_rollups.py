"""Rollups that long ranges and users of a model are read from, and the staging tables that all rollups are folded from.

The sketches of a month by the hour and all dimensions take a quarter of a second to merge; by six hours they are a
sixth. Users of one model were read from the events.

Live events are read once into the staging tables. They are in memory, each row for some milliseconds: whatever is lost
is read again from the events.
"""

from typing import Final

from storage.warehouse.migrations.m0003_rollups import BY_USER, DIMENSIONS, OF_USERS, STATES, SUMS, UNIQUES, rollup
from storage.warehouse.migrations.migration import Migration

_BY_USER_AND_MODEL: Final = (*BY_USER, "provider", "model")


def _staging(name: str, dimensions: tuple[str, ...], kept: dict[str, str], *, expiry: bool) -> str:
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
    "rollup_6h": rollup("rollup_6h", ("type",), DIMENSIONS, SUMS | STATES, 800, 128),
    "rollup_users_models_1h": rollup("rollup_users_models_1h", (), _BY_USER_AND_MODEL, OF_USERS, None),
    "rollup_users_models_1d": rollup("rollup_users_models_1d", (), _BY_USER_AND_MODEL, OF_USERS, None),
    "staging": _staging("staging", ("tenant", "type", *DIMENSIONS), SUMS | STATES | UNIQUES, expiry=False),
    "staging_users": _staging("staging_users", ("tenant", *_BY_USER_AND_MODEL), OF_USERS, expiry=True),
}

MORE_ROLLUPS: Final = Migration(
    number=4,
    name="more rollups",
    forward=tuple(_TABLES.values()),
    backward=tuple(f"DROP TABLE IF EXISTS {table} $on_cluster SYNC" for table in _TABLES),
)
