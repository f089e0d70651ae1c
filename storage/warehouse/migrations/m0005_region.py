"""Where an event was taken in, for hubs of several regions; empty where there is one."""

from typing import Final

from storage.warehouse.migrations.migration import Migration

_COLUMN: Final = "region LowCardinality(String) CODEC(ZSTD(1)) AFTER expires_at"

REGION: Final = Migration(
    number=5,
    name="region",
    forward=(f"ALTER TABLE events $on_cluster ADD COLUMN IF NOT EXISTS {_COLUMN}",),
    backward=("ALTER TABLE events $on_cluster DROP COLUMN IF EXISTS region",),
)
