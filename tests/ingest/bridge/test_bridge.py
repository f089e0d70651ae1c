"""Records of modules' topics arrive as events of the topic's tenant, once, and only what is in the log is committed."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from broker.kafka_address import parse_address
from core.clock import ManualClock
from core.errors import SlowDown
from core.ids import derived_id
from core.metrics import Metrics
from ingest.bridge.bridge import Bridge, BridgeConfig, connect
from ingest.bridge.topics import parse_topics
from ingest.decode.cloudevents import BATCH, decode_lines
from ingest.intake import Intake
from tests.ingest.fakes import NOW, FakeLog


@dataclass(frozen=True)
class Place:
    topic: str
    partition: int = 0


@dataclass(frozen=True)
class Message:
    topic: str
    offset: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int = 0


def event(number: int, **more: Any) -> bytes:
    data = {"model": "gpt-4o", "input_tokens": number}
    return json.dumps(
        {"type": "llm.request", "source": "gateway", "time": NOW.isoformat(), "data": data, **more}
    ).encode()


@dataclass
class Broker:
    """A Kafka as far as the bridge sees it: topics, what was committed, and what goes wrong next."""

    topics: dict[str, list[Message]] = field(default_factory=dict)
    committed: dict[Place, int] = field(default_factory=dict)
    troubles: list[Exception] = field(default_factory=list)
    opened: list[set[str]] = field(default_factory=list)
    closed: int = 0
    tenants: set[str] = field(default_factory=lambda: {"acme", "default"})

    def write(self, topic: str, *values: bytes | None, headers: Sequence[tuple[str, bytes]] = ()) -> None:
        mine = self.topics.setdefault(topic, [])
        mine += [Message(topic, number, value, headers) for number, value in enumerate(values, len(mine))]

    def connect(self, config: BridgeConfig, topics: Collection[str]) -> "FakeConsumer":
        self.opened.append(set(topics))
        return FakeConsumer(self, set(topics))


class FakeConsumer:
    def __init__(self, broker: Broker, topics: set[str]) -> None:
        self.broker, self.topics = broker, topics
        self.position = {topic: broker.committed.get(Place(topic), 0) for topic in topics}

    async def start(self) -> None:
        if self.broker.troubles:
            raise self.broker.troubles.pop(0)

    async def stop(self) -> None:
        self.broker.closed += 1

    async def getmany(self, *, timeout_ms: int, max_records: int) -> Mapping[Place, Sequence[Message]]:
        assert timeout_ms > 0
        found = {}
        for topic in self.topics:
            some = self.broker.topics.get(topic, [])[self.position[topic] :][:max_records]
            if some:
                found[Place(topic)] = some
                self.position[topic] += len(some)
        if not found:
            await asyncio.sleep(
                0.005
            )  # as the real one waits; a loop that spins would keep the threads from their work
        return found

    async def commit(self, offsets: Mapping[Any, int]) -> None:
        self.broker.committed |= offsets


@pytest.fixture
def broker() -> Broker:
    return Broker()


CONFIG = BridgeConfig(
    parse_address("kafka://h:1"), {"llm.events": "default", "acme.events": "acme"}, records=3, retry_s=1
)


@pytest.fixture
async def bridge(intake: Intake, clock: ManualClock, metrics: Metrics, broker: Broker) -> AsyncIterator[Bridge]:
    bridge = Bridge(CONFIG, intake, clock, metrics, tenants=lambda: broker.tenants, connect=broker.connect)
    yield bridge
    await bridge.stop()


async def settled(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - it is in the hands of another task
            await asyncio.sleep(0.005)


def committed(broker: Broker, **offsets: int) -> Callable[[], bool]:
    return lambda: broker.committed == {Place(name.replace("_", ".")): offset for name, offset in offsets.items()}


async def test_events_belong_to_the_tenant_of_their_topic(bridge: Bridge, broker: Broker, log: FakeLog) -> None:
    broker.write("llm.events", *(event(number, attributes={"tenant": "acme"}) for number in range(7)))
    broker.write("acme.events", event(7), b"{\n " + event(8)[1:])
    await bridge.start()
    await settled(committed(broker, llm_events=7, acme_events=2))
    found = sorted((row["tenant"], row["input_tokens"]) for row in log.events())
    assert found == [("acme", 7), ("acme", 8), *(("default", number) for number in range(7))]
    assert bridge.check().ok


async def test_what_comes_again_keeps_its_ids(bridge: Bridge, broker: Broker, log: FakeLog) -> None:
    own = "0192f0c1-0000-7000-8000-000000000001"
    nested = event(1, attributes={"x": '"id"'})
    broker.write("llm.events", event(0), nested, event(2, id=own), event(3, id=None))
    for _ in range(2):
        await bridge.start()
        await settled(committed(broker, llm_events=4))
        await bridge.stop()
        broker.committed.clear()  # killed before it could commit
    ids = [str(uuid.UUID(bytes=row["id"])) for row in log.events()]
    made = [str(derived_id("kafka", "llm.events", 0, offset)) for offset in range(4)]
    once = [made[0], made[1], own, made[3]]
    assert ids[:4] == once
    assert ids[4:] in ([], once)  # a body that is byte for byte the same is known at the door already


async def test_what_is_no_event_goes_to_the_dead_letters(bridge: Bridge, broker: Broker, log: FakeLog) -> None:
    broker.write("llm.events", b"no json", event(1), None, b'{"type": "no.such"}', b"[]")
    broker.write("llm.events", b"\x00avro", headers=[("content-type", b"application/avro")])
    await bridge.start()
    await settled(committed(broker, llm_events=6))
    assert len(log.events()) == 1
    found = [json.loads(letter[::-1]) for letter in log.dead_letters()]
    letters = [row for letter in found for row in letter["rows"]]
    made = derived_id("kafka", "llm.events", 0, 3)
    with_id = f'{{"id":"{made}","type": "no.such"}}'
    assert sorted(row["original"] for row in letters) == ["\x00avro", "[]", "no json", with_id]
    assert all((letter["door"], letter["tenant"]) == ("kafka", "default") for letter in found)


async def test_cloudevents_in_both_modes(bridge: Bridge, broker: Broker, log: FakeLog) -> None:
    data = {"model": "gpt-4o", "input_tokens": 1}
    whole = {"specversion": "1.0", "id": "1", "source": "/gateway", "type": "llm.request", "data": data}
    broker.write("llm.events", json.dumps(whole).encode(), headers=[("content-type", b"application/cloudevents+json")])
    parts = [("ce_specversion", b"1.0"), ("ce_id", b"2"), ("ce_source", b"/gateway"), ("ce_type", b"llm.request")]
    broker.write("llm.events", json.dumps(data).encode(), headers=[*parts, ("content-type", b"application/json")])
    await bridge.start()
    await settled(committed(broker, llm_events=2))
    assert [row["type"] for row in log.events()] == ["llm.request", "llm.request"]
    assert log.dead_letters() == []


async def test_cloudevents_go_in_together_and_broken_ones_alone(
    bridge: Bridge, broker: Broker, log: FakeLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies: list[bytes] = []

    def counting(body: bytes, arrival: Any, limits: Any) -> Any:
        bodies.append(body)
        return decode_lines(body, arrival, limits)

    monkeypatch.setattr("ingest.bridge.bridge.decode_lines", counting)
    broker.topics["llm.events"] = [
        Message("llm.events", offset, value, headers)
        for offset, (value, headers) in enumerate(
            [
                (json.dumps({"model": "m", "input_tokens": 0}, indent=1).encode(), in_headers("a")),
                (b'{"model": "m", "input_tokens"', in_headers("b")),
                (b'1, "type": "llm.embedding"', in_headers("c")),
                (structured("d"), [("content-type", b"application/cloudevents+json; charset=utf-8")]),
                (b"{broken", [("content-type", b"application/cloudevents+json")]),
                (b"[%b,\n%b]" % (structured("e"), structured("f")), [("content-type", BATCH.encode())]),
                (b"no json", [*in_headers("g"), ("content-type", b"text/plain")]),
            ]
        )
    ]
    bridge._config = replace(CONFIG, records=10)
    await bridge.start()
    await settled(committed(broker, llm_events=7))
    assert [body.count(b"\n") + 1 for body in bodies] == [3]
    assert sorted(row["type"] for row in log.events()) == ["llm.request"] * 4
    letters = [json.loads(letter[::-1]) for letter in log.dead_letters()]
    assert sum(len(letter["rows"]) for letter in letters) == 4


def in_headers(id_: str) -> list[tuple[str, bytes]]:
    attributes = {"specversion": "1.0", "id": id_, "source": "gateway", "type": "llm.request", "time": NOW.isoformat()}
    return [(f"ce_{name}", value.encode()) for name, value in attributes.items()]


def structured(id_: str) -> bytes:
    attributes = {"specversion": "1.0", "id": id_, "source": "gateway", "type": "llm.request", "time": NOW.isoformat()}
    return json.dumps({**attributes, "data": {"model": "m", "input_tokens": 1}}, indent=1).encode()


async def test_a_busy_hub_is_waited_for(bridge: Bridge, broker: Broker, log: FakeLog, clock: ManualClock) -> None:
    log.fail_with = [SlowDown("full", retry_after=1)]
    broker.write("llm.events", event(1))
    await bridge.start()
    await settled(lambda: bridge.check().state == "waiting")
    assert (broker.committed, bridge.check().ok, bridge.check().detail) == ({}, True, "full")
    await settled(lambda: bool(clock._sleepers))
    clock.advance(1)
    await settled(committed(broker, llm_events=1))
    assert len(log.events()) == 1


async def test_a_broker_that_is_away_is_asked_again(bridge: Bridge, broker: Broker, clock: ManualClock) -> None:
    broker.troubles = [KafkaConnectionError("away"), OSError("refused")]
    broker.write("acme.events", event(1))
    await bridge.start()
    for pause in (1, 2):
        await settled(lambda: bridge.check().state == "disconnected" and bool(clock._sleepers))
        clock.advance(pause)
        await settled(lambda: not clock._sleepers or bridge.check().state == "running")
    await settled(committed(broker, acme_events=1))
    assert broker.closed == 2


async def test_a_mistake_is_shown_and_outlived(bridge: Bridge, broker: Broker, clock: ManualClock) -> None:
    broker.troubles = [ZeroDivisionError("a bug")]
    broker.write("acme.events", event(1))
    await bridge.start()
    await settled(lambda: bool(clock._sleepers))
    assert (bridge.check().ok, bridge.check().state, bridge.check().detail) == (False, "failed", "ZeroDivisionError")
    clock.advance(1)
    await settled(committed(broker, acme_events=1))
    assert bridge.check().ok


async def test_topics_of_no_tenant_wait_for_one(bridge: Bridge, broker: Broker, clock: ManualClock) -> None:
    broker.tenants = set()
    broker.write("acme.events", event(1))
    await bridge.start()
    await settled(lambda: bool(clock._sleepers))
    assert (broker.opened, bridge.check().state) == ([], "starting")
    broker.tenants = {"acme"}
    clock.advance(1)
    await settled(committed(broker, acme_events=1))
    broker.tenants = {"acme", "default"}
    await settled(lambda: len(broker.opened) == 2)
    assert broker.opened == [{"acme.events"}, {"acme.events", "llm.events"}]


async def test_without_topics_nothing_is_opened(intake: Intake, clock: ManualClock, metrics: Metrics) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError

    bridge = Bridge(BridgeConfig(), intake, clock, metrics, tenants=lambda: {"default"}, connect=never)
    await bridge.start()
    await asyncio.sleep(0)
    await bridge.stop()


def test_the_consumer_commits_nothing_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def made(*topics: str, **options: Any) -> Any:
        return topics, options

    monkeypatch.setattr("ingest.bridge.bridge.AIOKafkaConsumer", made)
    topics, options = connect(CONFIG, ["llm.events"])  # type: ignore[misc]
    assert (topics, options["bootstrap_servers"]) == (("llm.events",), ["h:1"])
    assert (options["enable_auto_commit"], options["auto_offset_reset"]) == (False, "earliest")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b=c=d", "TENANT=TOPIC"),
        ("x=", "TENANT=TOPIC"),
        ("acme=hub.events", "own"),
        ("a.b, acme=a.b", "twice"),
        ("acme=no topic!", "TENANT=TOPIC"),
    ],
)
def test_wrong_topics_are_named(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_topics(text)
