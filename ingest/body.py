"""Reading a request's body: never more than the limits, compressed or not, and never more at once than fits."""

import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Final

import zstandard

from core.errors import BadRequest, SlowDown, TooLarge, UnsupportedMediaType
from core.metrics import Metrics
from ingest.limits import Limits

#: Largest window a zstd body may ask for; the decompressor allocates it before the first byte comes out.
_ZSTD_WINDOW: Final = 1 << 26
_CHUNK: Final = 1 << 20


class InFlight:
    """The bytes of all bodies that are being worked on; who would pass the limit is told to come again."""

    def __init__(self, limit: int, metrics: Metrics) -> None:
        self._limit = limit
        self._held = 0
        self._metrics = metrics
        metrics.ingest_in_flight_limit_bytes.set(limit)

    @property
    def held(self) -> int:
        """Bytes held now."""
        return self._held

    @contextmanager
    def hold(self) -> Iterator[Callable[[int], None]]:
        """Give the holder a way to ask for bytes; all of them are given back at the end.

        Raises
        ------
        SlowDown
            From the function given, when there is no room.
        """
        mine = 0

        def take(count: int) -> None:
            nonlocal mine
            if self._held + count > self._limit:
                self._metrics.ingest_refused.labels("in_flight").inc()
                raise SlowDown("the hub is busy with other bodies; send the same body again later", retry_after=1.0)
            self._held += count
            mine += count
            self._metrics.ingest_in_flight_bytes.set(self._held)

        try:
            yield take
        finally:
            self._held -= mine
            self._metrics.ingest_in_flight_bytes.set(self._held)


async def read_body(stream: AsyncIterator[bytes], take: Callable[[int], None], limit: int) -> bytes:
    """The whole body, counted while it comes.

    Raises
    ------
    TooLarge
        As soon as the limit is passed, whatever the sender announced.
    SlowDown
        No room for it now.
    """
    chunks: list[bytes] = []
    size = 0
    async for chunk in stream:
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"the body is larger than {limit} bytes; send it in parts", limit=limit)
        take(len(chunk))
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def once(body: bytes) -> AsyncIterator[bytes]:
    """A stream of one piece."""
    yield body


def decompress(body: bytes, encoding: str, limits: Limits) -> bytes:
    """The body as it was before ``Content-Encoding``; a bomb is not inflated further than the limit.

    Raises
    ------
    UnsupportedMediaType
        An encoding that is not read here.
    TooLarge
        More than the limit comes out.
    BadRequest
        The bytes are not what the header says.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            return _gunzip(body, limits.decompressed_bytes)
        case "zstd":
            return _unzstd(body, limits.decompressed_bytes)
    raise UnsupportedMediaType(f"Content-Encoding {encoding[:40]!r} is not read here; send gzip, zstd or none")


def _gunzip(body: bytes, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    rest = body
    try:
        while rest:  # a gzip body may have several members
            member = zlib.decompressobj(wbits=31)
            part = member.decompress(rest, limit - size + 1)
            size += len(part)
            parts.append(part)
            if size > limit:
                raise _bomb(limit)
            if not member.eof:
                raise BadRequest("the gzip body ends too early")
            rest = member.unused_data.lstrip(b"\0")
    except zlib.error as error:
        raise BadRequest(f"the body is not gzip: {error}") from None
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _unzstd(body: bytes, limit: int) -> bytes:
    reader = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).stream_reader(
        BytesIO(body), read_across_frames=True
    )
    out = bytearray()
    try:
        while chunk := reader.read(min(_CHUNK, limit - len(out) + 1)):
            out += chunk
            if len(out) > limit:
                raise _bomb(limit)
    except zstandard.ZstdError as error:
        raise BadRequest(f"the body is not zstd: {error}") from None
    return bytes(out)


def _bomb(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than {limit} bytes once decompressed; send it in parts", limit=limit)
