"""How ids are made: event ids as UUIDs, trace ids as 16 bytes, span ids as 8."""

import os
import time
import uuid
from hashlib import sha1

#: Namespace of every id the hub derives; changing it would count old events anew.
NAMESPACE = uuid.UUID("6d1f7a52-3a5e-5c0b-9f64-0c7f5a1be001")


def uuid7(unix_ms: int | None = None) -> uuid.UUID:
    """A time-ordered UUID (RFC 9562, version 7), for ids that the hub makes itself."""
    ms = time.time_ns() // 1_000_000 if unix_ms is None else unix_ms
    value = ms << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)


def event_id(text: str) -> uuid.UUID:
    """The event id of any text: itself when it is a UUID, else its uuid5.

    Examples
    --------
    >>> event_id("0192F0C1-0000-7000-8000-000000000000")
    UUID('0192f0c1-0000-7000-8000-000000000000')
    >>> event_id("order-17") == event_id("order-17")
    True
    """
    if len(text) in (32, 36):
        try:
            return uuid.UUID(text)
        except ValueError:
            pass
    return derived_id(text)


def derived_id(*parts: str | int) -> uuid.UUID:
    """The same id for the same parts, whatever they contain."""
    # uuid.uuid5 refuses half a surrogate pair, which JSON can carry
    name = "\x1f".join(str(part) for part in parts).encode("utf-8", "surrogatepass")
    return uuid.UUID(bytes=sha1(NAMESPACE.bytes + name, usedforsecurity=False).digest()[:16], version=5)
