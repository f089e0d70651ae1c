"""The sender: everything arrives once, trouble is waited out, refusals are told."""

import asyncio
import gzip

import httpx
import pytest
import zstandard

from core.errors import Forbidden, HubError, NotFound, Retryable, Unauthenticated
from hub.sender import PROTOBUF, HubSender, RowError
from ingest.otlp.wire import MESSAGES
from tests.hub.fakes import FakeHub, JumpingClock, take_all

URL, KEY = "http://hub.test", "lh_test"


def sender(hub: FakeHub, clock: JumpingClock | None = None, **options: object) -> HubSender:
    return HubSender(URL, KEY, transport=hub.transport, clock=clock or JumpingClock(), **options)  # type: ignore[arg-type]


async def send(hub: FakeHub, *bodies: bytes, clock: JumpingClock | None = None, **options: object) -> HubSender:
    async with sender(hub, clock, **options) as open_sender:
        for body in bodies:
            await open_sender.submit(body)
    return open_sender


async def test_everything_arrives_with_the_key_and_the_content_type() -> None:
    hub = FakeHub()
    done = await send(hub, b"{}\n{}\n", b"{}\n")
    assert (done.totals.accepted, done.totals.batches, done.totals.sent_bytes) == (3, 2, 9)
    (_, request), _ = hub.taken
    assert request.url == URL + "/v1/events"
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.headers["Content-Type"] == "application/x-ndjson"


async def test_equal_bodies_have_keys_of_their_own_and_a_second_run_the_same() -> None:
    hub = FakeHub()
    await send(hub, b"{}\n", b"{}\n")
    assert len(hub.keys) == 2
    again = await send(hub, b"{}\n", b"{}\n")
    assert (again.totals.accepted, again.totals.duplicates) == (0, 2)
    assert len(hub.taken) == 2


@pytest.mark.parametrize("status", [409, 429, 502, 503, 504])
async def test_a_busy_hub_is_asked_again_after_the_time_it_names(status: int) -> None:
    hub, clock = FakeHub(httpx.Response(status, headers={"Retry-After": "7"})), JumpingClock()
    done = await send(hub, b"{}\n", clock=clock)
    assert clock.slept == [7.0]
    assert (done.totals.accepted, done.totals.retries) == (1, 1)
    assert list(hub.keys.values()) == [2]
    assert len(hub.taken) == 1


async def test_without_a_time_it_waits_longer_and_longer() -> None:
    troubles = [httpx.Response(503, headers={"Retry-After": "soon"}), httpx.ConnectError("refused")]
    hub, clock = FakeHub(*troubles, *[httpx.Response(503) for _ in range(5)]), JumpingClock()
    await send(hub, b"{}\n", clock=clock)
    assert clock.slept == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


async def test_an_answer_that_got_lost_does_not_count_twice() -> None:
    class Losing(FakeHub):
        async def __call__(self, request: httpx.Request) -> httpx.Response:
            answer = await super().__call__(request)
            if len(self.taken) == 1 and list(self.keys.values()) == [1]:
                raise httpx.ReadError("connection reset")
            return answer

    hub = Losing()
    done = await send(hub, b"{}\n")
    assert len(hub.taken) == 1
    assert (done.totals.accepted, done.totals.duplicates) == (0, 1)


async def test_patience_ends() -> None:
    hub = FakeHub(*[httpx.Response(503, json={"detail": "log is full"}) for _ in range(50)])
    with pytest.raises(Retryable, match=r"log is full.*20 s"):
        await send(hub, b"{}\n", patience_s=20.0)


@pytest.mark.parametrize(
    ("status", "error"), [(401, Unauthenticated), (403, Forbidden), (404, NotFound), (500, HubError)]
)
async def test_a_refusal_ends_the_run_and_says_what_the_hub_said(status: int, error: type[HubError]) -> None:
    hub = FakeHub(httpx.Response(status, json={"detail": "because"}))
    with pytest.raises(error, match=f"/v1/events answered {status}: because"):
        await send(hub, b"{}\n")


async def test_nothing_is_sent_after_a_refusal() -> None:
    hub = FakeHub(httpx.Response(401))
    with pytest.raises(Unauthenticated, match=r"answered 401$"):
        await send(hub, *[b"{}\n"] * 20, connections=1)
    assert not hub.taken


async def test_refused_rows_are_counted_and_found_by_their_number() -> None:
    hub = FakeHub()
    error = {"index": 2, "id": "x", "field": "data.model", "reason": "is required"}
    hub.answer = lambda request: httpx.Response(202, json={"accepted": 2, "rejected": 1, "errors": [error]})
    async with sender(hub) as open_sender:
        for number in range(30):
            await open_sender.submit(b"{}\n" * 3, first_row=3 * number)
    totals = open_sender.totals
    assert totals.rejected == 30
    assert totals.reasons == {("data.model", "is required"): 30}
    assert len(totals.examples) == 20
    assert totals.examples[0] == RowError(2, "data.model", "is required")


async def test_otlp_rejections_count_too() -> None:
    hub = FakeHub()
    hub.answer = lambda request: httpx.Response(
        200, json={"partialSuccess": {"rejectedSpans": "4", "errorMessage": ""}}
    )
    assert (await send(hub, b"{}")).totals.rejected == 4


@pytest.mark.parametrize("content", [b"", b"[]"])
async def test_an_answer_without_counts_is_an_answer(content: bytes) -> None:
    hub = FakeHub()
    hub.answer = lambda request: httpx.Response(200, content=content)
    assert (await send(hub, b"{}")).totals.batches == 1


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
async def test_bodies_may_be_compressed(encoding: str) -> None:
    hub = FakeHub()
    await send(hub, b"{}\n" * 100, encoding=encoding)
    ((_, request),) = hub.taken
    assert request.headers["Content-Encoding"] == encoding
    plain = gzip.decompress(request.content) if encoding == "gzip" else zstandard.decompress(request.content)
    assert plain == b"{}\n" * 100


async def test_no_more_than_the_connections_are_under_way() -> None:
    under_way, most = 0, 0

    class Slow(FakeHub):
        async def __call__(self, request: httpx.Request) -> httpx.Response:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            for _ in range(5):
                await asyncio.sleep(0)
            under_way -= 1
            return take_all(request)

    await send(Slow(), *[b"{}\n"] * 12, connections=3)
    assert most == 3


async def test_an_error_of_the_caller_drops_what_is_under_way() -> None:
    started = asyncio.Event()

    class Hanging(FakeHub):
        async def __call__(self, request: httpx.Request) -> httpx.Response:
            started.set()
            await asyncio.Event().wait()
            raise AssertionError

    async def fail() -> None:
        async with sender(Hanging()) as open_sender:
            await open_sender.submit(b"{}\n")
            await started.wait()
            raise KeyError

    with pytest.raises(KeyError):
        await fail()


async def test_it_must_be_opened() -> None:
    closed = sender(FakeHub())
    await closed.submit(b"{}\n")
    with pytest.raises(RuntimeError, match="async with"):
        await next(iter(closed._under_way))


async def test_answers_of_otlp_are_read() -> None:
    hub = FakeHub()
    partial = MESSAGES["Partial"](rejected=2, message="two spans have no id")
    content = MESSAGES["Answer"](partial=partial).SerializeToString()
    hub.answer = lambda _: httpx.Response(200, content=content, headers={"Content-Type": PROTOBUF})
    async with sender(hub) as open_sender:
        await open_sender.submit(b"x", path="/v1/traces", content_type=PROTOBUF, items=5)
    assert (open_sender.totals.accepted, open_sender.totals.rejected) == (3, 2)
    assert open_sender.totals.reasons == {("", "two spans have no id"): 2}
    refusal = MESSAGES["RpcStatus"](code=16, message="no such key").SerializeToString()
    with pytest.raises(Unauthenticated, match="answered 401: no such key"):
        await send(FakeHub(httpx.Response(401, content=refusal, headers={"Content-Type": PROTOBUF})), b"x")
