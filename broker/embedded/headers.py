"""Record headers as bytes: per header the lengths of name and value, then both."""

import struct

from broker.log import Headers

_LENGTHS = struct.Struct("<HI")


def pack_headers(headers: Headers) -> bytes | None:
    """None for no headers, so that most records store nothing.

    Examples
    --------
    >>> unpack_headers(pack_headers((("a", b"1"), ("a", b""))))
    (('a', b'1'), ('a', b''))
    >>> unpack_headers(pack_headers(()))
    ()
    """
    if not headers:
        return None
    parts = []
    for name, value in headers:
        encoded = name.encode()
        parts += [_LENGTHS.pack(len(encoded), len(value)), encoded, value]
    return b"".join(parts)


def unpack_headers(packed: bytes | None) -> Headers:
    """What :func:`pack_headers` was given."""
    headers, at = [], 0
    while packed is not None and at < len(packed):
        name_length, value_length = _LENGTHS.unpack_from(packed, at)
        middle = at + _LENGTHS.size + name_length
        name = packed[at + _LENGTHS.size : middle].decode()
        headers.append((name, packed[middle : middle + value_length]))
        at = middle + value_length
    return tuple(headers)
