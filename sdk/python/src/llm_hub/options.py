"""How a client gathers, sends and gives up: one immutable object."""

from typing import Literal, NamedTuple

Compression = Literal["gzip", "zstd", "none"]


class Options(NamedTuple):
    """Limits and times of a client; the defaults suit nearly everyone.

    Parameters
    ----------
    queue_size
        Most events that wait; what comes on top is dropped and counted as ``queue_full``.
    queue_bytes
        Most memory of the waiting events, as JSON, reckoned with the mean size of those sent lately.
    batch_size, batch_bytes
        Largest request, in events and in bytes before compression.
    event_bytes
        Largest event; of a larger one the long texts and lists are cut, and if that is not enough it is dropped.
    interval
        Seconds that events wait for company.
    timeout
        Seconds one request may take.
    give_up_after
        Seconds that one batch is tried; then it is dropped and counted as ``gave_up``.
    backoff, backoff_most
        Seconds before the first retry, doubled with each, and the most; each wait is a random part of that.
    compression
        ``gzip``, ``zstd`` (needs the extra ``zstd``) or ``none``.
    exit_timeout
        Seconds that the end of the process waits for what is left.
    """

    queue_size: int = 50_000
    queue_bytes: int = 64 << 20
    batch_size: int = 2_000
    batch_bytes: int = 4 << 20
    event_bytes: int = 1 << 20
    interval: float = 0.25
    timeout: float = 10.0
    give_up_after: float = 300.0
    backoff: float = 0.25
    backoff_most: float = 30.0
    compression: Compression = "gzip"
    exit_timeout: float = 1.0
