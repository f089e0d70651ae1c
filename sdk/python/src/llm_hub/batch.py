"""Lines that go out together."""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from llm_hub.options import Compression

#: Below this, compressing costs more than it saves.
_SMALL = 1_024


class Batch(NamedTuple):
    """``lines`` of events, then ``reports`` lines of the client's own about its drops."""

    lines: list[bytes]
    reports: list[bytes]
    drops: Counter[str]

    @property
    def body(self) -> bytes:
        """NDJSON."""
        return b"\n".join([*self.lines, *self.reports])

    def halves(self) -> "tuple[Batch, Batch]":
        """Two of half the size."""
        middle = len(self.lines) // 2
        return Batch(self.lines[:middle], [], Counter()), Batch(self.lines[middle:], self.reports, self.drops)


Compressor = Callable[[bytes], tuple[str, bytes]]


def compressor(wanted: Compression) -> Compressor:
    """Gives the ``Content-Encoding`` and the bytes of a body; gzip where zstandard is not installed."""
    if wanted == "none":
        return lambda body: ("none", body)
    zstd = _zstd() if wanted == "zstd" else None
    name, pack = ("zstd", zstd) if zstd else ("gzip", _gzip())
    return lambda body: ("none", body) if len(body) < _SMALL else (name, pack(body))


def _gzip() -> Callable[[bytes], bytes]:
    import gzip  # in the background thread

    return lambda body: gzip.compress(body, 1, mtime=0)


def _zstd() -> Callable[[bytes], bytes] | None:
    try:
        import zstandard  # optional
    except ImportError:
        return None
    squeezer: Any = zstandard.ZstdCompressor(level=1)
    return lambda body: bytes(squeezer.compress(body))
