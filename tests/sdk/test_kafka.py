"""Straight to Kafka: against a producer that is played here, and against a real broker where there is one."""

import asyncio
import json
import logging
import os
from collections.abc import Callable, Iterator
from typing import Any, ClassVar
from uuid import uuid4

import aiokafka
import pytest
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError, TopicAuthorizationFailedError

import llm_hub
from llm_hub import Client, Options
from llm_hub.kafka_address import TOPIC

QUICK = Options(interval=10.0, backoff=0.01, backoff_most=0.05, timeout=5.0)
HOLDS = 3


class FakeBatch:
    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def append(self, *, key: None, value: bytes, timestamp: None) -> object | None:
        if len(self.lines) == HOLDS:
            return None
        self.lines.append(value)
        return self


class FakeProducer:
    """Keeps records; ``troubles`` are what the next batches meet: an error, or None for no answer at all."""

    made: ClassVar[list["FakeProducer"]] = []
    records: ClassVar[list[tuple[int, dict[str, Any]]]] = []
    troubles: ClassVar[list[Exception | None]] = []

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.open = False
        self.made.append(self)

    async def start(self) -> None:
        self.open = True

    async def stop(self) -> None:
        self.open = False

    async def partitions_for(self, topic: str) -> set[int]:
        self.topic = topic
        return {0, 1}

    def create_batch(self) -> FakeBatch:
        return FakeBatch()

    async def send_batch(self, batch: FakeBatch, topic: str, *, partition: int) -> "asyncio.Future[None]":
        future = asyncio.get_running_loop().create_future()
        if self.troubles:
            trouble = self.troubles.pop(0)
            if trouble is not None:
                future.set_exception(trouble)
            return future
        self.records.extend((partition, json.loads(line)) for line in batch.lines)
        future.set_result(None)
        return future


@pytest.fixture
def producers(monkeypatch: pytest.MonkeyPatch) -> list[FakeProducer]:
    """The producers that clients make from now on."""
    for name in ("made", "records", "troubles"):
        monkeypatch.setattr(FakeProducer, name, [])
    monkeypatch.setattr(aiokafka, "AIOKafkaProducer", FakeProducer)
    return FakeProducer.made


Make = Callable[..., Client]


@pytest.fixture
def client_of() -> Iterator[Make]:
    made: list[Client] = []

    def make(url: str = "kafka://broker/acme.events", **given: Any) -> Client:
        options = {name: given.pop(name) for name in list(given) if name in Options._fields}
        made.append(Client(url, source="test", options=QUICK._replace(**options), **given))
        return made[-1]

    yield make
    for client in made:
        client.close(timeout=1.0)


def test_each_event_is_a_record_and_partitions_take_turns(producers: list[FakeProducer], client_of: Make) -> None:
    client = client_of(kafka={"security_protocol": "SSL"})
    ids = [client.capture("job.run", {"job": "j", "rows": row}) for row in range(8)]
    assert client.flush(10)
    (producer,) = producers
    assert (producer.topic, producer.options["bootstrap_servers"]) == ("acme.events", ["broker:9092"])
    assert (producer.options["security_protocol"], producer.options["compression_type"]) == ("SSL", "gzip")
    assert (producer.options["acks"], producer.options["enable_idempotence"]) == ("all", True)
    assert [event["id"] for _, event in producer.records] == ids
    assert [event["data"]["rows"] for _, event in producer.records] == list(range(8))
    assert {partition for partition, _ in producer.records} == {0, 1}
    stats = client.stats()
    assert (stats["accepted"], stats["dropped"], stats["in_flight"]) == (8, {}, 0)
    client.close()
    assert not producer.open


@pytest.mark.parametrize("trouble", [KafkaConnectionError("gone"), OSError("gone"), None], ids=["kafka", "os", "mute"])
def test_what_did_not_arrive_goes_again_with_a_new_producer(
    producers: list[FakeProducer], client_of: Make, trouble: Exception | None
) -> None:
    client = client_of(timeout=0.2)
    FakeProducer.troubles.append(trouble)
    client.capture("job.run", {"job": "j"})
    assert client.flush(10)
    first, second = producers
    assert (first.open, second.open) == (False, True)
    assert len(second.records) == 1
    assert (client.stats()["accepted"], client.stats()["retries"]) == (1, 1)


def test_too_much_at_once_is_halved(producers: list[FakeProducer], client_of: Make) -> None:
    client = client_of()
    FakeProducer.troubles.append(MessageSizeTooLargeError())
    for row in range(2):
        client.capture("job.run", {"job": "j", "rows": row})
    assert client.flush(10)
    assert [event["data"]["rows"] for _, event in FakeProducer.records] == [0, 1]
    FakeProducer.troubles.append(MessageSizeTooLargeError())
    client.capture("job.run", {"job": "j"})
    assert client.flush(10)
    assert client.stats()["dropped"] == {"too_large": 1}


def test_who_may_not_write_is_told(
    producers: list[FakeProducer], client_of: Make, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of()
    FakeProducer.troubles.append(TopicAuthorizationFailedError("acme.events"))
    client.capture("job.run", {"job": "j"})
    assert client.flush(10)
    assert client.stats()["dropped"] == {"refused": 1}
    assert "TopicAuthorizationFailedError" in caplog.text


def test_a_broker_that_is_away_costs_a_bounded_queue(client_of: Make) -> None:
    client = client_of("kafka://127.0.0.1:1", queue_size=100, interval=0.01, give_up_after=0.2)
    for _ in range(1_000):
        client.capture("job.run", {"job": "j"})
    assert client.close(timeout=10)
    dropped = client.stats()["dropped"]
    assert sum(dropped.values()) == 1_000
    assert dropped["queue_full"] >= 800
    assert set(dropped) <= {"queue_full", "gave_up", "closed"}


def test_an_event_is_no_larger_than_a_broker_takes(producers: list[FakeProducer], client_of: Make) -> None:
    client = client_of()
    client.capture("log.record", {"body": "x" * 3_000_000})
    assert client.flush(10)
    ((_, event),) = FakeProducer.records
    assert event["data"]["truncated"] is True


def test_zstd_where_it_is_installed(
    producers: list[FakeProducer], client_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for installed, compression, expected in ((False, "zstd", "gzip"), (True, "zstd", "zstd"), (True, "none", None)):
        monkeypatch.setattr("aiokafka.codec.has_zstd", lambda installed=installed: installed)
        client = client_of(compression=compression)
        client.capture("job.run", {"job": "j"})
        assert client.flush(10)
        assert producers[-1].options["compression_type"] == expected


@pytest.mark.parametrize("url", ["kafka://", "kafka:///topic", "kafka://host/a/b", "kafka://host/what?", "kafka://,"])
def test_wrong_addresses_are_told(url: str) -> None:
    with pytest.raises(ValueError, match="must be like"):
        Client(url, "lh_x")


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("llm_hub.client.find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"pip install llm-analytics-hub-sdk\[kafka\]"):
        Client("kafka://host/topic")
    monkeypatch.setenv("LLM_HUB_URL", "kafka://host/topic")
    with caplog.at_level(logging.WARNING), Client() as client:
        client.capture("job.run", {"job": "j"})
    assert client.stats()["dropped"] == {"disabled": 1}
    assert "llm-analytics-hub-sdk[kafka]" in caplog.text


def test_a_topic_is_there_by_default() -> None:
    with Client("kafka://host", transport=lambda: pytest.fail("nothing is sent")) as client:
        assert client._broker == (["host:9092"], TOPIC)


async def consumed(kafka: str, topic: str, count: int) -> list[dict[str, Any]]:
    """The records of a topic, once there are so many."""
    consumer = aiokafka.AIOKafkaConsumer(topic, bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    try:
        found: list[dict[str, Any]] = []
        async with asyncio.timeout(60):
            while len(found) < count:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    assert all((record.key, record.headers) == (None, ()) for record in records)
                    found.extend(json.loads(record.value) for record in records)
        return found
    finally:
        await consumer.stop()


@pytest.fixture
def topic() -> str:
    return f"test.sdk.{uuid4().hex}"


@pytest.mark.kafka
async def test_everything_arrives_at_a_real_broker(kafka: str, topic: str) -> None:
    with Client(f"kafka://{kafka}/{topic}", source="test", project="bot") as client:
        with client.span("work", user_id="u-1"):
            ids = [client.capture("job.run", {"job": "j", "rows": row}) for row in range(20_000)]
        assert await asyncio.to_thread(client.flush, 60)
        assert client.stats()["dropped"] == {}
    events = await consumed(kafka, topic, 20_001)
    jobs = [event for event in events if event["type"] == "job.run"]
    assert sorted(event["id"] for event in jobs) == sorted(ids)
    assert {(event["source"], event["project"], event["user_id"]) for event in events} == {("test", "bot", "u-1")}


@pytest.mark.kafka
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
async def test_a_forked_child_has_a_producer_of_its_own(kafka: str, topic: str) -> None:
    client = Client(f"kafka://{kafka}/{topic}", source="parent")
    client.capture("job.run", {"job": "before"})
    assert await asyncio.to_thread(client.flush, 30)
    child = os.fork()
    if not child:
        client.capture("job.run", {"job": "child"})
        os._exit(0 if client.close(30) and not client.stats()["dropped"] else 1)
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    client.capture("job.run", {"job": "after"})
    assert await asyncio.to_thread(client.close, 30)
    assert status == 0
    assert sorted(event["data"]["job"] for event in await consumed(kafka, topic, 3)) == ["after", "before", "child"]
    assert llm_hub.default._default is not client
