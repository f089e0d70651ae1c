"""What can be tuned about the warehouse, with defaults for two cores and two gigabytes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WarehouseConfig:
    """Limits and sizes.

    Parameters
    ----------
    memory_bytes
        Most the embedded engine may hold, caches and merges included.
    query_memory_bytes
        Most one question may hold.
    threads
        Threads of one question or insert.
    background_threads
        Merges and mutations at a time (embedded engine).
    mark_cache_bytes
        Cache of index marks (embedded engine).
    connections
        Clients kept open; further callers wait for one.
    query_seconds, insert_seconds
        Time after which a question, or an insert, is given up.
    wait_seconds
        How long a caller waits for a free client before :class:`core.errors.SlowDown`.
    result_rows
        Most rows of one answer; exports stream and have no such limit.
    cluster
        Name of the cluster that migrations create tables on; empty for a single server.
    """

    memory_bytes: int = 1_200_000_000
    query_memory_bytes: int = 600_000_000
    threads: int = 2
    background_threads: int = 2
    mark_cache_bytes: int = 64 << 20
    connections: int = 12
    query_seconds: float = 30.0
    insert_seconds: float = 120.0
    wait_seconds: float = 30.0
    result_rows: int = 1_000_000
    cluster: str = ""
