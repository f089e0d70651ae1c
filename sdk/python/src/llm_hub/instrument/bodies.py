"""Answers that the host reads itself (``with_streaming_response``): their bytes are read along as it takes them.

Whatever the host calls, ``read``, ``json``, ``iter_lines`` or ``parse``, comes by ``iter_bytes`` of the HTTP response.
That method is replaced on this one response until the answer is over; every piece is handed on as it is.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final, Protocol

from llm_hub.instrument.watching import Watcher

_REPLACED: Final = ("iter_bytes", "aiter_bytes", "close", "aclose")
#: More of an answer is not read along: nobody's host is to hold that twice.
_MOST: Final = 16 << 20


class BodyWatcher(Watcher, Protocol):
    """Is told what a body says."""

    def told(self, answer: Any) -> None:
        """The whole answer, as JSON has it."""
        ...


class WatchedBody:
    """Reads along until the body is read, closed or let go of.

    Parameters
    ----------
    response
        Of httpx, or what is like it.
    watcher
        Of the call.
    """

    def __init__(self, response: Any, watcher: BodyWatcher) -> None:
        self._response = response
        self._watcher = watcher
        streamed = "text/event-stream" in str(response.headers.get("content-type", ""))
        self._read: Callable[[bytes], None] = self._event if streamed else self._keep
        self._bytes = bytearray()
        self._inside = False
        self._before = {name: getattr(response, name) for name in _REPLACED}
        self._own = {name: value for name, value in vars(response).items() if name in _REPLACED}
        for name in _REPLACED:
            setattr(response, name, getattr(self, name))

    def iter_bytes(self, *args: Any, **kwargs: Any) -> Iterator[bytes]:
        """As of the response."""
        pieces = self._before["iter_bytes"](*args, **kwargs)
        try:
            while (piece := self._next(pieces)) is not None:
                self._read(piece)
                yield piece
        finally:
            self._over()

    def _next(self, pieces: Iterator[bytes]) -> bytes | None:
        self._inside = True
        try:
            return next(pieces, None)
        except BaseException as error:
            self._watcher.failed(error)
            raise
        finally:
            self._inside = False

    async def aiter_bytes(self, *args: Any, **kwargs: Any) -> AsyncIterator[bytes]:
        """As of the response."""
        pieces = self._before["aiter_bytes"](*args, **kwargs)
        try:
            while (piece := await self._anext(pieces)) is not None:
                self._read(piece)
                yield piece
        finally:
            self._over()

    async def _anext(self, pieces: AsyncIterator[bytes]) -> bytes | None:
        self._inside = True
        try:
            return await anext(pieces, None)
        except BaseException as error:
            self._watcher.failed(error)
            raise
        finally:
            self._inside = False

    def close(self) -> None:
        """As of the response; it closes itself before its last piece is out, which is not the host's doing."""
        if not self._inside:
            self._over()
        self._before["close"]()

    async def aclose(self) -> None:
        """See :meth:`close`."""
        if not self._inside:
            self._over()
        await self._before["aclose"]()

    def _over(self) -> None:
        for name in _REPLACED:
            vars(self._response).pop(name, None)
        vars(self._response).update(self._own)
        if self._read == self._keep and self._bytes:
            self._tell(bytes(self._bytes), self._watcher.told)
        self._read = lambda _: None
        self._watcher.ended()

    def _keep(self, piece: bytes) -> None:
        if len(self._bytes) < _MOST:
            self._bytes += piece

    def _event(self, piece: bytes) -> None:
        """Server-sent events, as far as models use them: an event is one line of data."""
        *lines, rest = (bytes(self._bytes) + piece).splitlines(keepends=True) or [b""]
        if rest.endswith((b"\n", b"\r")):
            lines, rest = [*lines, rest], b""
        self._bytes = bytearray(rest[:_MOST])
        for line in lines:
            if line.startswith(b"data:") and not line[5:].lstrip().startswith(b"[DONE]"):
                self._tell(line[5:], self._watcher.saw)

    def _tell(self, text: bytes, tell: Callable[[Any], Any]) -> None:
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            return
        if isinstance(said, dict):
            tell(said)
