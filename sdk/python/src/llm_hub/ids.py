"""Ids in the form the hub keeps them. All come from the system's random source, so a forked child never repeats one."""

import os


def new_event_id(unix_ns: int) -> str:
    """A time-ordered UUID (RFC 9562, version 7).

    Examples
    --------
    >>> new_event_id(1_763_640_000_123_000_000)[:15]
    '019aa122-be7b-7'
    """
    moment, rest = f"{unix_ns // 1_000_000:012x}", os.urandom(9).hex()
    return f"{moment[:8]}-{moment[8:]}-7{rest[:3]}-8{rest[3:6]}-{rest[6:]}"


def new_trace_id() -> str:
    """32 hexadecimal digits."""
    return os.urandom(16).hex()


def new_span_id() -> str:
    """16 hexadecimal digits."""
    return os.urandom(8).hex()
