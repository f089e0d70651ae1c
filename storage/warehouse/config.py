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
    connect_seconds, read_seconds
        How long a server may take to accept a connection, and be silent while it answers a question
        (``insert_seconds`` for an insert or a statement).
    retries, retry_seconds, retry_within_seconds
        Further attempts where a server did not answer and doing it twice does no harm, the first pause between them
        (each is twice as long, with jitter), and how old a piece of work may be to be tried again.
    breaker_failures, breaker_seconds
        Failures in a row after which a server is left alone, and for how long at a time.
    result_rows
        Most rows of one answer; exports stream and have no such limit.
    cluster
        Name of the cluster whose shards hold the rows (:mod:`storage.warehouse.cluster`); empty for a single server.
    in_step
        Replicated tables that a host must have whole before it is used: another replica may have taken their last rows.
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
    connect_seconds: float = 5.0
    read_seconds: float = 30.0
    retries: int = 2
    retry_seconds: float = 0.1
    retry_within_seconds: float = 3.0
    breaker_failures: int = 6
    breaker_seconds: float = 5.0
    result_rows: int = 1_000_000
    cluster: str = ""
    in_step: tuple[str, ...] = ()
