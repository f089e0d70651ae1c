"""Bodies that wait are decoded together, and nobody can tell by the answers."""

import asyncio
import gzip
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import orjson
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.log import Log
from core.clock import ManualClock
from core.errors import BadRequest, HubError, SlowDown, TooLarge, TooManyRequests
from core.metrics import Metrics
from ingest.batch import Arrival, Decoded, Receipt
from ingest.doors.otlp_receiving import TRACES, Reader
from ingest.intake import Delivery, Intake
from ingest.joint import Arrived, Joiner, Joint, Kind
from ingest.limits import Limits
from ingest.otlp import spans as spans_module
from ingest.otlp.waiting import Waiting
from tests.ingest.fakes import NOW, FakeLog, reverse
from tests.ingest.otlp.written import as_protobuf, span, traces

SPANS = Reader(TRACES, False, None)
LIMITS = Limits(gather_ms=0, threads=2, errors=3)


@dataclass(eq=False)
class Gate(Joint):
    """A decoder that waits to be let through, and writes down what it was given."""

    blocks: list[list[bytes]] = field(default_factory=list)
    open: threading.Event = field(default_factory=threading.Event)
    mistake: BaseException = field(default_factory=lambda: RuntimeError("a mistake of the hub"))

    def __call__(self, bodies: Sequence[bytes], arrival: Arrival, limits: Limits) -> list[Decoded | HubError]:
        assert self.open.wait(30)
        self.blocks.append(list(bodies))
        if b"?" in bodies:
            raise self.mistake
        return [BadRequest("broken") if body == b"broken" else Decoded(pa.table({})) for body in bodies]


def arrival(of: Kind) -> Arrival:
    return Arrival(of.tenant, NOW, NOW - timedelta(days=90), NOW + timedelta(days=1), of.door, of.key)


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Sender:
    """Sends bodies to a joiner, all of which wait behind the first."""

    def __init__(self, joiner: Joiner, gate: Gate) -> None:
        self.joiner, self.gate = joiner, gate
        self.sent: list[asyncio.Task[Arrived]] = []

    async def send(self, body: bytes, tenant: str = "acme", key: str | None = None, encoding: str = "") -> None:
        kind = Kind(tenant, "otlp_traces", key, self.gate)
        self.sent.append(asyncio.create_task(self.joiner.decode(kind, body, encoding)))
        await settle()

    async def answers(self) -> list[Arrived | BaseException]:
        self.gate.open.set()
        return await asyncio.gather(*self.sent, return_exceptions=True)


@pytest.fixture
def sender(executor: ThreadPoolExecutor, gate: Gate) -> Sender:
    limits = Limits(joint_bytes=100, waiting_bodies=6, decompressed_bytes=1000)
    return Sender(Joiner(limits, executor, arrival), gate)


async def test_what_comes_first_goes_alone_and_what_waits_goes_together(sender: Sender) -> None:
    for body in (b"1", b"2", b"3"):
        await sender.send(body)
    await sender.answers()
    assert sender.gate.blocks == [[b"1"], [b"2", b"3"]]


async def test_tenants_take_turns_and_keys_stay_alone(sender: Sender) -> None:
    for number in range(4):
        await sender.send(b"a%d" % number)
    await sender.send(b"keyed", key="k")
    await sender.send(b"b", tenant="other")
    answers = await sender.answers()
    assert sender.gate.blocks == [[b"a0"], [b"a1", b"a2", b"a3"], [b"b"], [b"keyed"]]
    tenants = [one.arrival.tenant for one in answers if isinstance(one, Arrived)]
    assert tenants == ["acme"] * 5 + ["other"]


async def test_a_block_has_a_size_compressed_or_not(sender: Sender) -> None:
    await sender.send(b"first")
    for _ in range(3):
        await sender.send(b"x" * 45)
    for _ in range(3):
        await sender.send(gzip.compress(b"y" * 60), encoding="gzip")
    await sender.answers()
    assert [[len(body) for body in block] for block in sender.gate.blocks] == [[5], [45, 45], [45], [60], [60], [60]]


async def test_what_cannot_be_read_hurts_no_neighbour(sender: Sender) -> None:
    await sender.send(b"first")
    await sender.send(b"good")
    await sender.send(b"broken")
    await sender.send(gzip.compress(b"z" * 2000), encoding="gzip")
    await sender.send(b"no gzip", encoding="gzip")
    answers = await sender.answers()
    assert sender.gate.blocks[1] == [b"good", b"broken"]
    assert [type(answer) for answer in answers] == [Arrived, Arrived, BadRequest, TooLarge, BadRequest]


@pytest.mark.parametrize("mistake", [RuntimeError("of the hub"), pl.exceptions.PanicException("of a library")])
async def test_after_a_mistake_each_is_alone(sender: Sender, mistake: BaseException) -> None:
    sender.gate.mistake = mistake
    await sender.send(b"first")
    for body in (b"1", b"?", b"2"):
        await sender.send(body)
    answers = await sender.answers()
    assert sender.gate.blocks[1:] == [[b"1", b"?", b"2"], [b"1"], [b"?"], [b"2"]]
    assert [type(answer) for answer in answers] == [Arrived, Arrived, RuntimeError, Arrived]


async def test_too_many_that_wait_are_sent_away_and_other_tenants_are_not(sender: Sender) -> None:
    for number in range(8):
        await sender.send(b"%d" % number)
    await sender.send(b"b", tenant="other")
    answers = await sender.answers()
    assert [type(answer) for answer in answers] == [Arrived] * 7 + [SlowDown, Arrived]


async def test_who_has_gone_away_is_not_decoded(sender: Sender) -> None:
    for body in (b"1", b"2", b"3"):
        await sender.send(body)
    sender.sent[0].cancel()
    sender.sent[1].cancel()
    answers = await sender.answers()
    assert sender.gate.blocks == [[b"1"], [b"3"]]
    assert isinstance(answers[2], Arrived)


async def test_a_tenant_whose_settings_cannot_be_read_is_told(executor: ThreadPoolExecutor, gate: Gate) -> None:
    def unknown(of: Kind) -> Arrival:
        if of.tenant == "acme":
            raise SlowDown("the settings cannot be read")
        return arrival(of)

    gate.open.set()
    joiner = Joiner(Limits(), executor, unknown)
    with pytest.raises(SlowDown):
        await joiner.decode(Kind("acme", "otlp_traces", None, gate), b"x", "")
    assert await joiner.decode(Kind("other", "otlp_traces", None, gate), b"x", "")


# --- from body to answer


@contextmanager
def held(intake: Intake) -> Iterator[None]:
    """Nothing is decoded meanwhile, so that bodies wait for each other."""
    done = threading.Event()
    with ExitStack() as stack:
        stack.callback(done.set)
        for _ in range(intake.limits.threads):
            intake._executor.submit(done.wait, 30)
        yield


async def chunks(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def take(intake: Intake, tenant: str, body: bytes, admit: Any = lambda _: None, **more: Any) -> Receipt:
    delivery = Delivery(tenant, "otlp_traces", chunks(body), "", None, more.pop("decoder", SPANS), admit, **more)
    return await intake.take(delivery)


async def together(intake: Intake, bodies: Sequence[tuple[str, bytes]]) -> list[Any]:
    """The answers to bodies that come while something else is decoded."""
    with held(intake):
        sent = [asyncio.create_task(take(intake, *one)) for one in bodies]
        for _ in range(20):
            await asyncio.sleep(0)
    return await asyncio.gather(*sent, return_exceptions=True)


async def one_by_one(intake: Intake, bodies: Sequence[tuple[str, bytes]]) -> list[Any]:
    """The answers to bodies each of which comes when the one before it is done."""
    return [(await asyncio.gather(take(intake, *one), return_exceptions=True))[0] for one in bodies]


def shown(answer: Any) -> Any:
    return answer if isinstance(answer, Receipt) else (type(answer), getattr(answer, "detail", str(answer)))


def rows(log: FakeLog) -> list[str]:
    """All events, whatever record they are in; columns without a value are none."""
    events = [{name: value for name, value in event.items() if value is not None} for event in log.events()]
    return sorted(map(repr, events))


def letters(log: FakeLog) -> list[str]:
    return sorted(repr(orjson.loads(reverse(letter))) for letter in log.dead_letters())


def new_intake(log: Log, limits: Limits = LIMITS) -> Intake:
    return Intake(log, ManualClock(NOW), Metrics(), reverse, limits=limits)


def body(*made: dict[str, Any], **resource: str) -> bytes:
    return as_protobuf(traces(*made, resource=resource))


_CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 7}
_SECRET = {**_CHAT, "gen_ai.input.messages": '[{"role":"user","content":"mail me at joe@example.com"}]'}
GOOD = [
    body(span(1, _CHAT), span(2, {"user.id": "u"}, parent=1)),
    body(span(3, _SECRET, parent=1), span(4, {"session.id": "s"}), **{"service.name": "a"}),
    body(span(5), span(6, parent=5, events=[{"name": "exception", "timeUnixNano": "5"}])),
    body(*(span(number) for number in range(10, 40))),
]
BAD = [
    b"no protobuf at all",
    b"",
    body(span(7), span(8))[:-3],
    body(span(1, _CHAT), span(9, spanId="ab"), span(9, spanId="00" * 8)),
    body(*(span(number, traceId="ab") for number in range(1, 6))),
    body(span(1, endTimeUnixNano="1", startTimeUnixNano="1"), span(2, _CHAT)),
]


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(["acme", "other"]), st.sampled_from(GOOD + BAD)), max_size=12))
def test_any_mix_of_bodies_is_answered_and_kept_as_one_by_one(bodies: list[tuple[str, bytes]]) -> None:
    async def run(send: Any) -> tuple[Any, ...]:
        spans_module._WAITING = Waiting()  # type: ignore[misc]
        log = FakeLog(ManualClock(NOW))
        intake = new_intake(log)
        answers = [shown(answer) for answer in await send(intake, bodies)]
        await intake.stop()
        return answers, rows(log), letters(log), set(log.marks)

    singly, jointly = asyncio.run(run(one_by_one)), asyncio.run(run(together))
    assert jointly[1:] == singly[1:]
    # Of two equal bodies at once, either may be the one that is taken.
    assert sorted(map(repr, jointly[0])) == sorted(map(repr, singly[0]))
    if len(set(bodies)) == len(bodies):
        assert jointly[0] == singly[0]


async def test_bodies_of_a_block_share_a_record(log: FakeLog) -> None:
    intake = new_intake(log)
    answers = await together(intake, [("acme", one) for one in GOOD])
    assert [answer.accepted for answer in answers] == [2, 2, 2, 30]
    assert [len(append) for append in log.appends] == [1]
    assert len(log.marks) == 4
    await intake.stop()


async def test_a_retry_counts_once_whatever_goes_with_it(log: FakeLog) -> None:
    intake = new_intake(log)
    await together(intake, [("acme", one) for one in GOOD[:3]])
    await intake.stop()
    after_a_crash = new_intake(log)  # knows what the log knows, and nothing else
    answers = await together(after_a_crash, [("acme", GOOD[3]), ("acme", GOOD[2]), ("acme", GOOD[0])])
    assert [(answer.accepted, answer.duplicates) for answer in answers] == [(30, 0), (0, 2), (0, 2)]
    assert len({event["id"] for event in log.events()}) == len(log.events()) == 36
    await after_a_crash.stop()


async def test_what_was_lost_before_the_log_is_the_same_when_it_comes_again_in_other_company() -> None:
    found = []
    for company in ([0, 1, 2, 3], [3, 1], [1]):
        log = FakeLog(ManualClock(NOW))
        intake = new_intake(log)
        await together(intake, [("acme", b"no body"), *(("acme", GOOD[number]) for number in company)])
        await intake.stop()
        found.append([row for row in rows(log) if "'source': 'a'" in row])
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 2


async def test_over_the_limit_of_a_key_only_its_own_body_is_refused(log: FakeLog) -> None:
    def refuse(_: int) -> None:
        raise TooManyRequests("too many events", retry_after=1.0)

    intake = new_intake(log)
    with held(intake):
        sent = [asyncio.create_task(take(intake, "acme", one)) for one in GOOD[:2]]
        sent.append(asyncio.create_task(take(intake, "acme", GOOD[3], refuse)))
        for _ in range(20):
            await asyncio.sleep(0)
    answers = await asyncio.gather(*sent, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Receipt, Receipt, TooManyRequests]
    assert len(log.events()) == 4
    await intake.stop()


async def test_a_large_body_waits_for_no_other_and_lets_none_wait(log: FakeLog) -> None:
    intake = new_intake(log, Limits(gather_ms=0, joint_bytes=1000))
    answers = await together(intake, [("acme", one) for one in (GOOD[3], BAD[0] * 100, GOOD[0])])
    assert [type(answer) for answer in answers] == [Receipt, BadRequest, Receipt]
    assert len(log.events()) == 32
    await intake.stop()


async def test_a_full_line_is_answered_503(log: FakeLog) -> None:
    intake = new_intake(log, Limits(gather_ms=0, waiting_bodies=2))
    answers = await together(intake, [("acme", body(span(number))) for number in range(1, 6)])
    assert [type(answer) for answer in answers] == [Receipt] * 2 + [SlowDown] * 3
    assert len(log.events()) == 2
    await intake.stop()
