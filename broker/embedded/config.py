"""What can be set about the embedded log."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SqliteLogConfig:
    """Settings of a :class:`~broker.embedded.log.SqliteLog`; sizes in bytes, times in seconds.

    Parameters
    ----------
    queue_bytes
        Appends that wait for the disk may hold this much; more is refused with ``SlowDown``.
    group_bytes
        A group of appends that shares one fsync is closed at this size.
    record_bytes
        Largest single value.
    tail_bytes
        The newest records are kept in memory up to this size, so that readers of this process need no disk.
    poll_s
        How often the file is looked at for appends of other processes.
    retention_s
        How often retention looks for something to drop.
    retention_records
        How many records retention drops between two groups of appends.
    compact_records
        A compacted partition is compacted whenever it has got this many new records.
    busy_s
        How long to wait for another process that is writing.
    page_bytes
        SQLite's page size, fixed when the file is created.
    checkpoint_bytes
        The write-ahead log is folded into the file above this size.
    max_file_bytes
        Appends are refused with ``SlowDown`` when the file has reached this size; None means the disk decides.
    """

    queue_bytes: int = 256 << 20
    group_bytes: int = 32 << 20
    record_bytes: int = 64 << 20
    tail_bytes: int = 64 << 20
    poll_s: float = 0.05
    retention_s: float = 5.0
    retention_records: int = 256
    compact_records: int = 10_000
    busy_s: float = 5.0
    page_bytes: int = 32768
    checkpoint_bytes: int = 64 << 20
    max_file_bytes: int | None = None
