"""The event store: one client for chDB and ClickHouse, migrations, the block writer, rollups and retention."""
