"""Sends batches to a hub over HTTP: a few at a time, each until it is taken, none twice."""

import asyncio
import gzip
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import httpx
import orjson
import zstandard

from core.clock import Clock, SystemClock
from core.errors import (
    BadRequest,
    Forbidden,
    HubError,
    NotFound,
    Retryable,
    TooLarge,
    Unauthenticated,
    Unprocessable,
    UnsupportedMediaType,
)

NDJSON = "application/x-ndjson"
PROTOBUF = "application/x-protobuf"
Encoding = Literal["gzip", "zstd"]

#: Answers after which the very same request is right later: in flight, over the limit, busy, a proxy in between.
_LATER = frozenset({409, 429, 502, 503, 504})
_ERRORS: dict[int, type[HubError]] = {
    error.status: error
    for error in (BadRequest, Unauthenticated, Forbidden, NotFound, TooLarge, UnsupportedMediaType, Unprocessable)
}
_EXAMPLES = 20
_BACKOFF_S = (0.25, 5.0)


@dataclass(frozen=True, slots=True)
class RowError:
    """A row the hub refused: its number in what was sent (from 0), the field and why."""

    row: int
    field: str
    reason: str


@dataclass(slots=True)
class Totals:
    """What has come of everything sent so far.

    ``reasons`` counts refused rows by field and reason, as far as the hub named them; ``examples`` are the first of
    them.
    """

    accepted: int = 0
    rejected: int = 0
    duplicates: int = 0
    batches: int = 0
    retries: int = 0
    sent_bytes: int = 0
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: list[RowError] = field(default_factory=list)


class HubSender:
    """Posts batches to a hub, several at a time; use it as an asynchronous context manager.

    Parameters
    ----------
    url
        The hub's, for example ``http://127.0.0.1:8080``.
    key
        An API key with the scope ``ingest``.
    connections
        How many requests may be under way.
    encoding
        Compression of the bodies.
    patience_s
        How long one batch is tried while the hub is busy or away, before :class:`core.errors.Retryable` is raised.
    timeout_s
        How long one request may take.
    clock
        Waits between tries.
    transport
        The way to the hub; a test gives its own.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        connections: int = 4,
        encoding: Encoding | None = None,
        patience_s: float = 300.0,
        timeout_s: float = 60.0,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.totals = Totals()
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"}
        self._encoding = encoding
        self._patience_s = patience_s
        self._clock = clock or SystemClock()
        self._free = asyncio.Semaphore(connections)
        self._limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        self._timeout = timeout_s
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._under_way: set[asyncio.Task[None]] = set()
        self._failed: HubError | None = None
        self._sequence = 0

    async def __aenter__(self) -> Self:
        self._client = httpx.AsyncClient(
            headers=self._headers,
            limits=self._limits,
            timeout=self._timeout,
            transport=self._transport,
            trust_env=False,  # as HubClient: a proxy of the machine is no way to a hub on loopback
        )
        return self

    async def __aexit__(self, *error: object) -> None:
        """Wait for what is under way (drop it after an error), and close the connections."""
        try:
            if error[0] is None:
                await self.drain()
        finally:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)
            await self._open_client().aclose()
            self._client = None

    async def submit(
        self,
        body: bytes,
        *,
        path: str = "/v1/events",
        content_type: str = NDJSON,
        first_row: int = 0,
        items: int = 0,
    ) -> None:
        """Send ``body`` in the background; return as soon as a connection is free for it.

        Parameters
        ----------
        body
            What to post.
        path, content_type
            Which door, and in which form.
        first_row
            Number of the body's first row in all that is sent, for the errors of rows.
        items
            How many events it has, for doors that do not tell how many they took.

        Raises
        ------
        HubError
            The first failure of any batch so far; nothing more is sent after it.
        """
        await self._free.acquire()
        if self._failed:
            self._free.release()
            raise self._failed
        # The place in the sequence tells two equal batches of one file apart, and is the same when a run is repeated:
        # what the hub has taken before an interruption is recognised.
        key = hashlib.sha256(b"%d:%b" % (self._sequence, body)).hexdigest()[:40]
        self._sequence += 1
        task = asyncio.create_task(self._deliver(path, body, content_type, key, first_row, items))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def drain(self) -> None:
        """Return when everything submitted is taken; raise the first failure."""
        while self._under_way:
            await asyncio.wait(set(self._under_way))
        if self._failed:
            raise self._failed

    async def _deliver(self, path: str, body: bytes, content_type: str, key: str, first_row: int, items: int) -> None:
        headers = {"Content-Type": content_type, "Idempotency-Key": key}
        if self._encoding:
            headers["Content-Encoding"] = self._encoding
            body = _compress(body, self._encoding)
        try:
            answer = await self._until_taken(lambda: self._post(path, body, headers))
            self._count(answer, len(body), first_row, items)
        except HubError as error:
            self._failed = self._failed or error
        finally:
            self._free.release()

    async def _post(self, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        return await self._open_client().post(self._url + path, content=body, headers=headers)

    async def _until_taken(self, post: Callable[[], Awaitable[httpx.Response]]) -> dict[str, Any]:
        began, backoff = self._clock.monotonic(), _BACKOFF_S[0]
        while True:
            problem, wait = "the hub does not answer", backoff
            try:
                response = await post()
            except httpx.TransportError as error:
                problem = f"{problem}: {type(error).__name__} {error}"
            else:
                if response.status_code not in _LATER:
                    return _read(response)
                problem, wait = _detail(response), _retry_after(response, backoff)
            if self._clock.monotonic() + wait - began > self._patience_s:
                raise Retryable(f"{problem} (tried for {self._patience_s:g} s)")
            self.totals.retries += 1
            backoff = min(2 * backoff, _BACKOFF_S[1])
            await self._clock.sleep(wait)

    def _count(self, answer: dict[str, Any], size: int, first_row: int, items: int) -> None:
        totals = self.totals
        totals.batches += 1
        totals.sent_bytes += size
        partial = answer.get("partialSuccess") or {}
        refused = sum(int(count) for name, count in partial.items() if name.startswith("rejected"))
        totals.accepted += int(answer.get("accepted", items - refused))
        totals.duplicates += int(answer.get("duplicates", 0))
        totals.rejected += int(answer.get("rejected", refused))
        if refused:
            totals.reasons["", str(partial.get("errorMessage", ""))] += refused
        for error in answer.get("errors", ()):
            found = RowError(first_row + int(error.get("index", 0)), error.get("field") or "", error.get("reason", ""))
            totals.reasons[found.field, found.reason] += 1
            if len(totals.examples) < _EXAMPLES:
                totals.examples.append(found)

    def _open_client(self) -> httpx.AsyncClient:
        if self._client is None:
            raise RuntimeError("HubSender is used inside `async with`")
        return self._client


def _compress(body: bytes, encoding: Encoding) -> bytes:
    return gzip.compress(body, 1, mtime=0) if encoding == "gzip" else zstandard.compress(body, 3)


def _retry_after(response: httpx.Response, otherwise: float) -> float:
    try:
        return max(0.0, float(response.headers["Retry-After"]))
    except (KeyError, ValueError):
        return otherwise


def _read(response: httpx.Response) -> dict[str, Any]:
    if not response.is_success:
        raise _ERRORS.get(response.status_code, HubError)(_detail(response))
    if response.headers.get("Content-Type") == PROTOBUF:
        partial = _message("Answer", response).partial
        return {"partialSuccess": {"rejected": partial.rejected, "errorMessage": partial.message}}
    answer = orjson.loads(response.content or b"{}")
    return answer if isinstance(answer, dict) else {}


def _message(name: str, response: httpx.Response) -> Any:
    """A message of OTLP."""
    from ingest.otlp.wire import MESSAGES  # for those who speak it

    return MESSAGES[name].FromString(response.content)


def _detail(response: httpx.Response) -> str:
    """What the hub says is wrong: a problem answer's ``detail``, else the status and the path."""
    if response.headers.get("Content-Type") == PROTOBUF:
        said = _message("RpcStatus", response).message
    else:
        try:
            problem = orjson.loads(response.content)
        except orjson.JSONDecodeError:
            problem = None
        said = problem.get("detail") or problem.get("message") if isinstance(problem, dict) else None
    where = f"{response.request.url.path} answered {response.status_code}"
    return f"{where}: {said}" if said else where
