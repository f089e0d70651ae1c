"""What was inserted is on the disk before the journal says that it is stored: a power cut would take it otherwise.

The rollups too: a fold that is lost is made again under the same token, which the engine must not know then.
"""

from typing import Final

from storage.warehouse.migrations.migration import Migration

_TABLES: Final = (
    "events",
    "payloads",
    "rollup_10s",
    "rollup_1m",
    "rollup_1h",
    "rollup_6h",
    "rollup_users_models_1h",
    "rollup_users_models_1d",
    "rollup_users_1h",
    "rollup_users_1d",
    "rollup_models_1m",
    "rollup_models_1h",
    "rollup_total_1h",
)

FLUSHED: Final = Migration(
    number=6,
    name="flushed",
    forward=tuple(
        f"ALTER TABLE {table} $on_cluster MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1"
        for table in _TABLES
    ),
    backward=tuple(
        f"ALTER TABLE {table} $on_cluster RESET SETTING fsync_after_insert, fsync_part_directory" for table in _TABLES
    ),
)
