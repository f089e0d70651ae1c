"""How much a sender may send, and how the doors gather it: one frozen object, made by the composition root."""

from dataclasses import dataclass
from datetime import timedelta

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the doors.

    Parameters
    ----------
    body_bytes
        Largest body as it comes over the wire.
    decompressed_bytes
        Largest body once decompressed; decompression stops there.
    row_bytes
        Largest single event.
    rows
        Most events of one body.
    errors
        Most rejected rows that an answer names; all of them are counted and kept.
    in_flight_bytes
        Bytes of bodies that are being worked on, over all requests; more is answered 503.
    gather_ms, gather_events, direct_events
        Group commit: appends of small bodies begin so far apart, unless there are so many events by then, or
        ``direct_events`` and nothing else is on its way; a body with ``direct_events`` or more does not wait.
    threads
        Threads that decode and encode.
    joint_threads
        How many of these decode bodies together. Such decoders are mostly Python: two at a time hold each other up.
    joint_bytes
        Bytes of bodies that are decoded together at most; a larger one is decoded by itself, beside the others.
    waiting_bodies
        Bodies of one tenant that wait to be decoded together at most; more is answered 503.
    future
        How far ahead of the hub's clock an event may be.
    key_ttl, body_ttl
        How long a request is known by its ``Idempotency-Key``, and by its bytes.
    """

    body_bytes: int = 16 * MIB
    decompressed_bytes: int = 64 * MIB
    row_bytes: int = 4 * MIB
    rows: int = 500_000
    errors: int = 5_000
    in_flight_bytes: int = 256 * MIB
    gather_ms: float = 50.0
    gather_events: int = 5_000
    direct_events: int = 500
    threads: int = 2
    joint_threads: int = 1
    joint_bytes: int = 2 * MIB
    waiting_bodies: int = 1_024
    future: timedelta = timedelta(days=1)
    key_ttl: timedelta = timedelta(hours=24)
    body_ttl: timedelta = timedelta(minutes=10)
