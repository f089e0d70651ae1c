"""``/v1/live``: what is happening now, as server-sent events.

``event: second`` has the counts and sums of one second (everything of the tenant), ``event: events`` the latest stored
events for which the filters hold, as a list. The id of a message is the time of receipt up to which events were shown:
a browser that comes back sends it as ``Last-Event-ID`` and goes on from there. A comment line keeps the way open.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Header, Request
from fastapi.responses import StreamingResponse

from broker.live import LiveFeed, Subscription
from core.clock import Clock
from core.errors import HubError, TooManyRequests
from query_api.responses import PROBLEMS
from query_api.services import Caller, HubClock, Semantic
from query_api.window import Filters, build, parse_filter
from semantic import traces
from semantic.filters import Filter
from semantic.layer import SemanticLayer
from semantic.times import EPOCH, micros

router = APIRouter(tags=["live"])

#: Streams of one tenant at a time.
MAX_STREAMS: Final = 50
#: Events shown at a time, and how often they are looked for.
LATEST: Final = 25
LOOK_SECONDS: Final = 1.0
HEARTBEAT_SECONDS: Final = 15.0
#: How far back a browser that comes back may go on.
MEMORY: Final = timedelta(minutes=1)

_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@dataclass(slots=True)
class Stream:
    """One watcher: the points of the feed, and the latest events from the warehouse.

    Parameters
    ----------
    tenant, filters
        Whose events, and which.
    since
        Events received after this are new.
    """

    semantic: SemanticLayer
    clock: Clock
    tenant: str
    filters: Sequence[Filter]
    since: datetime
    look_seconds: float = LOOK_SECONDS
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    _said: float = field(default=0.0, init=False)

    async def messages(self, subscription: Subscription) -> AsyncIterator[bytes]:
        """Messages until the subscription ends."""
        self._said = self.clock.monotonic()
        yield b"retry: 2000\n\n"
        while True:
            try:
                point = await asyncio.wait_for(anext(subscription), self.look_seconds)
            except TimeoutError:
                point = None
            except StopAsyncIteration:
                return
            async for message in self._told(point):
                self._said = self.clock.monotonic()
                yield message
            if self.clock.monotonic() - self._said >= self.heartbeat_seconds:
                self._said = self.clock.monotonic()
                yield b": still here\n\n"

    async def _told(self, point: Mapping[str, Any] | None) -> AsyncIterator[bytes]:
        if point is not None:
            yield _message("second", point, self.since)
        if latest := await self._latest():
            yield _message("events", latest, self.since)

    async def _latest(self) -> list[dict[str, Any]]:
        """New events; none when the engine is busy: the next look will find them."""
        until = self.clock.now()
        try:
            found = await traces.latest(self.semantic, self.tenant, self.since, until, self.filters, LATEST)
        except HubError:
            return []
        if found:
            self.since = max(self.since, datetime.fromisoformat(found[-1]["received_at"]))
        return found


def _message(name: str, body: Any, since: datetime) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (micros(since), name.encode(), orjson.dumps(body))


def _resume(last: str | None, now: datetime) -> datetime:
    """Where to go on: at the last message, but not further back than :data:`MEMORY`."""
    if last is None or not last.isascii() or not last.isdigit() or len(last) > 18:
        return now - timedelta(seconds=5)
    return min(max(EPOCH + timedelta(microseconds=int(last)), now - MEMORY), now)


class _Body:
    """The bytes of one answer; gives its place back however it ends."""

    def __init__(self, stream: Stream, feed: LiveFeed, open_streams: Counter[str]) -> None:
        self._stream, self._feed, self._open = stream, feed, open_streams

    async def __aiter__(self) -> AsyncIterator[bytes]:
        tenant = self._stream.tenant
        self._open[tenant] += 1
        try:
            with self._feed.subscribe(tenant) as subscription:
                async for message in self._stream.messages(subscription):
                    yield message
        finally:
            self._open[tenant] -= 1
            self._open += Counter()  # drops tenants without streams


@router.get(
    "/v1/live",
    summary="What is happening now",
    response_class=StreamingResponse,
    responses={**PROBLEMS, 200: {"content": {"text/event-stream": {}}, "description": "Server-sent events."}},
)
async def live(
    request: Request,
    caller: Caller,
    semantic: Semantic,
    clock: HubClock,
    filters: Filters = [],  # noqa: B006 - FastAPI copies defaults
    last_event_id: Annotated[str | None, Header(max_length=64)] = None,
) -> StreamingResponse:
    """Counts of every second and the latest events, as they are stored."""
    texts = [parse_filter(text, index) for index, text in enumerate(filters)]
    question = build({"measures": ["events"], "filters": texts})
    feed: LiveFeed = request.app.state.live
    open_streams = _open_streams(request)
    if open_streams[caller.tenant] >= MAX_STREAMS:
        raise TooManyRequests(f"A tenant has at most {MAX_STREAMS} live streams; close one.", retry_after=5)
    stream = Stream(semantic, clock, caller.tenant, question.filters, _resume(last_event_id, clock.now()))
    await traces.check(semantic, caller.tenant, question.filters)
    body = _Body(stream, feed, open_streams)
    return StreamingResponse(aiter(body), media_type="text/event-stream", headers=_HEADERS)


def _open_streams(request: Request) -> Counter[str]:
    """Open streams of each tenant, of this app."""
    if not hasattr(request.app.state, "live_streams"):
        request.app.state.live_streams = Counter()
    found: Counter[str] = request.app.state.live_streams
    return found
