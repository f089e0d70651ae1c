"""Bodies that are read along, where it does not go well."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from llm_hub.instrument import bodies
from llm_hub.instrument.bodies import WatchedBody


class Watcher:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def saw(self, item: Any) -> bool:
        self.heard.append(item)
        return True

    def told(self, answer: Any) -> None:
        self.heard.append(answer)

    def failed(self, error: BaseException) -> None:
        self.heard.append(error)

    def ended(self) -> None:
        self.heard.append("ended")


class Response:
    """As httpx has it; an exception among the pieces is raised."""

    def __init__(self, *pieces: bytes | Exception, kind: str = "text/event-stream; charset=utf-8") -> None:
        self.headers = {"content-type": kind}
        self.pieces = pieces
        self.closed = 0

    def _each(self) -> Iterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    def iter_bytes(self) -> Iterator[bytes]:
        yield from self._each()

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        for piece in self._each():
            yield piece

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.closed += 1


def read(*pieces: bytes | Exception, **options: Any) -> list[Any]:
    """What is heard of a body; read both ways, which must not differ."""
    both = []
    for asynchronous in (False, True):
        response, watcher = Response(*pieces, **options), Watcher()
        WatchedBody(response, watcher)
        got: list[bytes] = []
        try:
            if asynchronous:
                asyncio.run(_read(response, got))
            else:
                got.extend(response.iter_bytes())
        except OSError:
            pass
        assert got == [piece for piece in pieces if isinstance(piece, bytes)]
        assert vars(response) == {"headers": response.headers, "pieces": pieces, "closed": 0}
        both.append(watcher.heard)
    assert both[0] == both[1]
    return both[0]


async def _read(response: Response, got: list[bytes]) -> None:
    async for piece in response.aiter_bytes():
        got.append(piece)


def test_events_wherever_they_are_cut() -> None:
    whole = b'event: a\r\ndata: {"n": 1}\r\n\r\n: note\ndata:{"n": "\xc3\xa9"}\n\ndata: [DONE]\n\ndata: {"n": 3}'
    said = [{"n": 1}, {"n": "\u00e9"}, "ended"]
    assert read(whole) == said
    assert read(whole + b"\n") == [*said[:2], {"n": 3}, "ended"]
    for at in range(1, len(whole)):
        assert read(whole[:at], whole[at:]) == said, at
    assert read(*(bytes([byte]) for byte in whole)) == said


@pytest.mark.parametrize(
    "line", [b"data: {\n", b"data: 17\n", b"data: \xff\n", b"data: " + b"[" * 9_999 + b"\n", b"\n"]
)
def test_nonsense_is_passed_on(line: bytes) -> None:
    assert read(line, b'data: {"n": 1}\n') == [{"n": 1}, "ended"]


def test_a_connection_that_breaks_is_told() -> None:
    error = ConnectionResetError("gone")
    assert read(b'data: {"n": 1}\n', error) == [{"n": 1}, error, "ended"]


def test_a_whole_answer_is_told_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(b'{"n":', b"1}", kind="application/json") == [{"n": 1}, "ended"]
    monkeypatch.setattr(bodies, "_MOST", 4)
    assert read(b'{"n":', b"1}", kind="application/json") == ["ended"]


def test_what_was_put_there_before_is_put_back() -> None:
    response = Response()
    response.iter_bytes = mine = lambda: iter([b""])  # type: ignore[method-assign]
    WatchedBody(response, Watcher())
    response.close()
    assert response.iter_bytes is mine
    assert response.closed == 1


def test_an_unread_answer_ends_when_it_is_closed() -> None:
    for close in (lambda one: one.close(), lambda one: asyncio.run(one.aclose())):
        response, watcher = Response(b"x"), Watcher()
        WatchedBody(response, watcher)
        close(response)
        assert (watcher.heard, response.closed) == (["ended"], 1)
