"""The background thread against a hub that misbehaves."""

import gc
import logging
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from llm_hub import Client
from llm_hub.transport import Answer, Unreachable
from tests.sdk.conftest import MakeClient
from tests.sdk.stub import DROP, PATIENCE, Reply, Request, StubHub


def fill(client: Client, count: int, start: int = 0) -> list[str]:
    return [client.capture("product.event", {"name": f"e-{start + number}"}) for number in range(count)]


def names(events: list[dict[str, Any]]) -> list[str]:
    return [event["data"]["name"] for event in events if event["type"] == "product.event"]


def test_a_batch_arrives_as_the_hub_wants_it(stub: StubHub, client_of: MakeClient) -> None:
    client = client_of(project="support-bot", environment="test")
    ids = fill(client, 30)
    assert client.flush(PATIENCE)
    (request,) = stub.requests
    assert request.headers[":path"] == "/v1/events"
    assert request.headers["authorization"] == "Bearer lh_test"
    assert request.headers["content-type"] == "application/x-ndjson"
    assert request.headers["content-encoding"] == "gzip"
    assert 1 <= len(request.headers["idempotency-key"]) <= 255
    assert [event["id"] for event in request.events] == ids
    assert request.events[0] | {"time": 0} == {
        "id": ids[0],
        "type": "product.event",
        "source": "test",
        "time": 0,
        "project": "support-bot",
        "environment": "test",
        "data": {"name": "e-0"},
    }
    moment = datetime.fromisoformat(request.events[0]["time"])
    assert abs((moment - datetime.now(UTC)).total_seconds()) < PATIENCE
    assert client.stats() == {
        "accepted": 30,
        "duplicates": 0,
        "in_flight": 0,
        "queued": 0,
        "cut": 0,
        "requests": 1,
        "retries": 0,
        "dropped": {},
    }


@pytest.mark.parametrize("compression", ["zstd", "none", "gzip"])
def test_compressions(stub: StubHub, client_of: MakeClient, compression: str) -> None:
    client = client_of(compression=compression)
    fill(client, 100)
    assert client.flush(PATIENCE)
    assert stub.requests[0].headers.get("content-encoding", "none") == compression
    assert names(stub.events) == [f"e-{number}" for number in range(100)]


def test_small_bodies_are_not_compressed(stub: StubHub, client: Client) -> None:
    fill(client, 1)
    client.flush(PATIENCE)
    assert "content-encoding" not in stub.requests[0].headers


def test_batches_are_bounded(stub: StubHub, client_of: MakeClient) -> None:
    client = client_of(batch_size=10, batch_bytes=100_000)
    fill(client, 35)
    client.flush(PATIENCE)
    for _ in range(4):
        client.capture("product.event", {"name": "large", "properties": {"text": "x" * 60_000}})
    client.flush(PATIENCE)
    sizes = [len(request.events) for request in stub.requests]
    assert max(sizes) <= 10
    assert sizes[-2:] == [2, 2]
    assert sum(sizes) == 39


@pytest.mark.parametrize("status", [503, 429, 500, 502, 504, 408, 409, DROP])
def test_what_passes_is_tried_again_under_the_same_key(stub: StubHub, client: Client, status: int) -> None:
    stub.replies = [Reply(status), Reply(status)]
    fill(client, 3)
    assert client.flush(PATIENCE)
    assert [request.body for request in stub.requests] == [stub.requests[0].body] * 3
    assert len({request.headers["idempotency-key"] for request in stub.requests}) == 1
    stats = client.stats()
    assert (stats["accepted"], stats["retries"], stats["dropped"]) == (3, 2, {})


def test_each_batch_has_its_own_key(stub: StubHub, client: Client) -> None:
    for number in range(5):
        fill(client, 1, number)
        client.flush(PATIENCE)
    assert len({request.headers["idempotency-key"] for request in stub.requests}) == 5


def test_retry_after_is_waited_for(stub: StubHub, client: Client) -> None:
    stub.replies = [Reply(503, {"Retry-After": "0.4"})]
    began = time.monotonic()
    fill(client, 1)
    assert client.flush(PATIENCE)
    assert time.monotonic() - began >= 0.4


def test_the_next_batch_waits_too(stub: StubHub, client_of: MakeClient) -> None:
    stub.replies = [Reply(429, {"Retry-After": "0.4"})]
    client = client_of(give_up_after=0.2, batch_size=1)
    began = time.monotonic()
    fill(client, 2)
    assert client.flush(PATIENCE)
    assert time.monotonic() - began >= 0.4
    assert client.stats()["dropped"]["gave_up"] >= 1


def test_without_another_thread_a_flush_does_the_work_itself(
    stub: StubHub, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "llm-hub":
            raise RuntimeError("can't create new thread at interpreter shutdown")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    fill(client, 3)
    assert client.stats()["queued"] == 3
    assert client.flush(PATIENCE)
    assert client.stats()["accepted"] == 3
    monkeypatch.undo()
    fill(client, 1, 3)
    assert client.flush(PATIENCE)
    assert names(stub.events) == ["e-0", "e-1", "e-2", "e-3"]


def test_a_slow_answer_is_a_retry_of_the_same_request(stub: StubHub, client_of: MakeClient) -> None:
    never = threading.Event()
    stub.replies = [Reply(wait=never)]
    client = client_of(timeout=0.2)
    fill(client, 2)
    assert client.flush(PATIENCE)
    never.set()
    assert len({request.headers["idempotency-key"] for request in stub.requests}) == 1
    assert client.stats()["accepted"] == 2


def test_too_large_bodies_are_halved(stub: StubHub, client: Client) -> None:
    stub.script = lambda request: Reply(413) if len(request.events) > 3 else None
    fill(client, 10)
    assert client.flush(PATIENCE)
    taken = [request for request in stub.requests if len(request.events) <= 3]
    assert names([event for request in taken for event in request.events]) == [f"e-{number}" for number in range(10)]
    assert len({request.headers["idempotency-key"] for request in stub.requests}) == len(stub.requests)
    assert client.stats()["accepted"] == 10


def test_a_single_event_that_is_too_large_is_dropped(stub: StubHub, client: Client) -> None:
    stub.replies = [Reply(413)]
    fill(client, 1)
    assert client.flush(PATIENCE)
    assert client.stats()["dropped"] == {"too_large": 1}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 415, 422, 200, 301])
def test_a_refusal_is_final_counted_and_told_once(
    stub: StubHub, client: Client, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    stub.script = lambda _request: Reply(status, body=b"wrong key")
    fill(client, 3)
    client.flush(PATIENCE)
    fill(client, 2)
    client.flush(PATIENCE)
    stats = client.stats()
    assert (stats["dropped"], stats["accepted"], stats["retries"]) == ({"refused": 5}, 0, 0)
    assert [record.getMessage() for record in caplog.records] == [f"the hub refused events: {status} b'wrong key'"]


def test_rejected_rows_are_counted_told_and_reported(
    stub: StubHub, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    errors = [{"index": 1, "id": None, "field": "data.name", "reason": "is required"}]
    stub.replies = [Reply(body={"accepted": 2, "rejected": 1, "duplicates": 0, "errors": errors})]
    fill(client, 3)
    client.flush(PATIENCE)
    assert client.stats()["accepted"] == 2
    assert client.stats()["dropped"] == {"rejected": 1}
    assert "rejected 1 events, the first for: data.name is required" in caplog.text
    client.flush(PATIENCE)
    report = stub.events[-1]
    assert report["type"] == "metric.sample"
    assert report["attributes"] == {"reason": "rejected"}
    assert report["data"] == {
        "name": "llm_hub.sdk.dropped",
        "value": 1,
        "unit": "{event}",
        "kind": "counter",
        "temporality": "delta",
    }
    client.flush(PATIENCE)
    fill(client, 1)
    client.flush(PATIENCE)
    assert [event["type"] for event in stub.events].count("metric.sample") == 1


def test_a_rejected_report_is_no_drop(stub: StubHub, client: Client) -> None:
    def refuse_reports(request: Request) -> Reply:
        wrong = [index for index, event in enumerate(request.events) if event["type"] == "metric.sample"]
        errors = [{"index": index, "field": "x", "reason": "y"} for index in wrong]
        accepted = len(request.events) - len(wrong)
        return Reply(body={"accepted": accepted, "rejected": len(wrong), "duplicates": 0, "errors": errors})

    stub.replies = [Reply(400)]
    stub.script = refuse_reports
    fill(client, 2)
    client.flush(PATIENCE)
    fill(client, 2)
    client.flush(PATIENCE)
    assert client.stats()["dropped"] == {"refused": 2}
    assert client.stats()["accepted"] == 2
    assert [event["type"] for event in stub.events].count("metric.sample") == 1


@pytest.mark.parametrize("body", [b"<html>", b"", b"[]", b'{"accepted": null}'])
def test_an_answer_that_cannot_be_read_still_took_the_events(stub: StubHub, client: Client, body: bytes) -> None:
    stub.replies = [Reply(202, body=body)]
    fill(client, 2)
    client.flush(PATIENCE)
    assert client.stats()["accepted"] == 2


def test_duplicates_are_told(stub: StubHub, client: Client) -> None:
    stub.replies = [Reply(body={"accepted": 0, "rejected": 0, "duplicates": 2, "errors": []})]
    fill(client, 2)
    client.flush(PATIENCE)
    assert (client.stats()["accepted"], client.stats()["duplicates"]) == (2, 2)


class Down:
    """A transport to nowhere that says when it was tried."""

    def __init__(self) -> None:
        self.tried = threading.Event()
        self.closed = threading.Event()
        self.up = False

    def post(self, body: bytes, headers: dict[str, str], timeout: float) -> Answer:
        self.tried.set()
        if self.up:
            return Answer(202, "", b"")
        raise Unreachable("ConnectError: nobody there")

    def close(self) -> None:
        self.closed.set()


def test_a_hub_that_is_down_costs_a_bounded_queue_and_counted_drops(client_of: MakeClient) -> None:
    down = Down()
    client = client_of(
        transport=lambda: down, interval=0.01, queue_size=100, batch_size=10, backoff=60.0, backoff_most=60.0
    )
    fill(client, 1)
    assert down.tried.wait(PATIENCE)
    fill(client, 500)
    stats = client.stats()
    assert (stats["queued"], stats["in_flight"], stats["dropped"]) == (100, 1, {"queue_full": 400})
    assert not client.flush(0.05)
    began = time.monotonic()
    client.close(timeout=0.3)
    assert time.monotonic() - began < 5
    assert down.closed.wait(PATIENCE)
    stats = client.stats()
    assert (stats["queued"], stats["in_flight"], stats["dropped"]) == (0, 0, {"queue_full": 400, "closed": 101})


def test_a_hub_that_comes_back_gets_everything_and_the_drops(stub: StubHub, client_of: MakeClient) -> None:
    stub.script = lambda _request: Reply(503)
    client = client_of(interval=0.01, queue_size=50, batch_size=10)
    fill(client, 1)
    stub.wait_for(lambda: bool(stub.requests))
    fill(client, 60)
    before = len(stub.requests)
    stub.script = lambda _request: None
    assert client.flush(PATIENCE)
    stats = client.stats()
    assert stats["accepted"] == 51
    assert stats["dropped"] == {"queue_full": 10}
    reports = [event for request in stub.requests[before:] for event in request.events if "attributes" in event]
    assert reports[-1]["attributes"] == {"reason": "queue_full"}
    assert reports[-1]["data"]["value"] == 10


def test_a_batch_is_given_up_in_the_end(client_of: MakeClient) -> None:
    client = client_of(transport=Down, give_up_after=0.1)
    fill(client, 4)
    assert client.flush(PATIENCE)
    assert client.stats()["dropped"] == {"gave_up": 4}


def test_large_events_make_the_queue_shorter(stub: StubHub, client_of: MakeClient) -> None:
    client = client_of(queue_size=10_000, queue_bytes=10_000_000)
    for _ in range(10):
        for _ in range(10):
            client.capture("product.event", {"name": "x", "properties": {"text": "y" * 50_000}})
        client.flush(PATIENCE)
    stub.script = lambda _request: Reply(503)
    for _ in range(1_000):
        client.capture("product.event", {"name": "x", "properties": {"text": "y" * 50_000}})
    assert client.stats()["queued"] <= 250
    assert client.stats()["dropped"]["queue_full"] >= 700


def test_events_after_the_end_are_counted(stub: StubHub, client: Client) -> None:
    fill(client, 1)
    assert client.close()
    fill(client, 2)
    assert client.close()
    assert client.flush()
    assert client.stats()["dropped"] == {"closed": 2}
    assert names(stub.events) == ["e-0"]


def test_the_thread_is_lazy_and_ends_with_its_client(client: Client) -> None:
    assert not [thread for thread in threading.enumerate() if thread.name == "llm-hub"]
    assert client.flush()
    fill(client, 1)
    assert client.flush(PATIENCE)
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "llm-hub"]
    assert thread.daemon
    client.close()
    assert not thread.is_alive()


def test_events_go_out_without_a_flush(stub: StubHub, client_of: MakeClient) -> None:
    client = client_of(interval=0.01)
    for number in range(3):
        fill(client, 1, number)
        stub.wait_for(lambda number=number: names(stub.events) == [f"e-{found}" for found in range(number + 1)])


def test_the_thread_survives_its_own_mistakes(client_of: MakeClient, caplog: pytest.LogCaptureFixture) -> None:
    class Odd(Down):
        up = True
        failed = False

        def post(self, body: bytes, headers: dict[str, str], timeout: float) -> Answer:
            if not Odd.failed:
                Odd.failed = True
                raise SystemExit("out of here")
            return Answer(202, "", b"")

    client = client_of(transport=Odd)
    fill(client, 3)
    assert client.flush(PATIENCE)
    fill(client, 2)
    assert client.flush(PATIENCE)
    assert client.stats()["dropped"] == {"failed": 3}
    assert client.stats()["accepted"] == 2
    assert "unexpected error" in caplog.text


def test_a_transport_that_cannot_be_made_is_tried_again(client_of: MakeClient) -> None:
    made = iter([RuntimeError("no httpx"), Down()])

    def connect() -> Down:
        if isinstance(item := next(made), Exception):
            raise item
        item.up = True
        return item

    client = client_of(transport=connect)
    fill(client, 1)
    client.flush(PATIENCE)
    fill(client, 1)
    assert client.flush(PATIENCE)
    assert client.stats()["accepted"] == 1
    assert client.stats()["dropped"] == {"failed": 1}


def test_nothing_is_lost_between_many_threads(stub: StubHub, client: Client) -> None:
    def work(number: int) -> None:
        for index in range(500):
            client.capture("product.event", {"name": f"{number}-{index}"})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush(PATIENCE)
    assert Counter(names(stub.events)) == Counter(f"{number}-{index}" for number in range(8) for index in range(500))
    assert client.stats()["accepted"] == 4_000


def test_the_hosts_log_hears_nothing_of_the_clients_requests(
    stub: StubHub, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="httpx")
    fill(client, 1)
    client.flush(PATIENCE)
    logging.getLogger("httpx").info("the host's own")
    assert [record.getMessage() for record in caplog.records if record.name == "httpx"] == ["the host's own"]
    client.close()
    assert logging.getLogger("httpx").filters == []


def test_a_finaliser_and_a_nested_capture_do_not_lock(stub: StubHub, client_of: MakeClient) -> None:
    client = client_of(queue_size=2, interval=10.0)

    class Chatty:
        def __del__(self) -> None:
            client.capture("product.event", {"name": "finalised"})

    for _ in range(50):
        item = Chatty()
        client.capture("product.event", {"name": "e", "properties": {"item": item}})
        del item
    gc.collect()
    stats = client.stats()
    assert stats["queued"] == 2
    assert stats["dropped"]["queue_full"] >= 96
