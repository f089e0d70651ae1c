"""The way to the hub. The only seam of the client: a test gives its own."""

import logging
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    import httpx

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
#: Too much of an answer to be one of the hub's.
_MOST: Final = 4 << 20


class Answer(NamedTuple):
    """What came back: the status, ``Retry-After`` as it was written, and the body."""

    status: int
    retry_after: str
    body: bytes


class Unreachable(Exception):
    """No answer: nobody there, too slow, or the connection broke. The hub may have the events or not."""


class Transport(Protocol):
    """Posts bodies. Called from the background thread alone; may block, for ``timeout`` seconds at most."""

    def post(self, body: bytes, headers: dict[str, str], timeout: float) -> Answer:
        """One request.

        Raises
        ------
        Unreachable
            There was no answer.
        """
        ...

    def close(self) -> None:
        """Give up the connections; called once."""
        ...


class HttpTransport:
    """``POST /v1/events`` over one kept connection.

    Construct it in the background thread: this is where httpx is imported, which takes longer than all else.

    Parameters
    ----------
    url
        The hub's.
    key
        With the scope ``ingest``.
    """

    def __init__(self, url: str, key: str) -> None:
        import encodings.idna  # noqa: F401 - or the first look-up of a name does, where a fork may come in between

        import httpx  # 0.1 s that no host shall wait for

        self._httpx = httpx
        self._posting: int | None = None
        address = httpx.URL(url)
        here = address.host in _LOOPBACK
        self._client: httpx.Client = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            trust_env=not here,  # the host's proxies are not asked about its own machine
            verify=not (here and address.scheme == "http"),  # certificates that nobody asks for take 50 ms to load
        )
        logging.getLogger("httpx").addFilter(self._not_ours)

    def post(self, body: bytes, headers: dict[str, str], timeout: float) -> Answer:
        """See :class:`Transport`."""
        self._posting = threading.get_ident()
        try:
            with self._client.stream("POST", "/v1/events", content=body, headers=headers, timeout=timeout) as answer:
                return Answer(answer.status_code, answer.headers.get("Retry-After", ""), self._read(answer))
        except (self._httpx.HTTPError, self._httpx.StreamError, OSError) as error:
            raise Unreachable(f"{type(error).__name__}: {error}") from error
        finally:
            self._posting = None

    def close(self) -> None:
        """See :class:`Transport`."""
        logging.getLogger("httpx").removeFilter(self._not_ours)
        if not sys.is_finalizing():
            self._client.close()

    def _not_ours(self, record: logging.LogRecord) -> bool:
        """The host asked for no line a second about its analytics."""
        return self._posting is None or record.thread != self._posting

    @staticmethod
    def _read(answer: "httpx.Response") -> bytes:
        body = bytearray()
        for part in answer.iter_bytes():
            body += part
            if len(body) > _MOST:
                break
        return bytes(body)


def headers_of(encoding: str, key: str) -> dict[str, str]:
    """The headers of a batch; ``key`` makes its retries harmless."""
    headers: dict[str, Any] = {"Content-Type": "application/x-ndjson", "Idempotency-Key": key}
    if encoding != "none":
        headers["Content-Encoding"] = encoding
    return headers
