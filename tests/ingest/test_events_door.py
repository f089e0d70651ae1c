"""``POST /v1/events`` from end to end, over a log in memory."""

import gzip
import uuid

import httpx
import orjson
import pytest
import zstandard

from core.ids import derived_id, event_id
from tests.ingest.fakes import FakeLog, reverse, sample

NDJSON = {"content-type": "application/x-ndjson"}


def lines(*events: dict) -> bytes:
    return b"".join(orjson.dumps(event) + b"\n" for event in events)


async def test_one_object(client: httpx.AsyncClient, log: FakeLog) -> None:
    answer = await client.post("/v1/events", json=sample())
    assert answer.status_code == 202
    assert answer.json() == {"accepted": 1, "rejected": 0, "duplicates": 0, "errors": []}
    (event,) = log.events()
    assert event["tenant"] == "acme"
    assert uuid.UUID(bytes=event["id"]) == uuid.UUID(sample()["id"])
    assert (event["model"], event["input_tokens"], event["status"]) == ("gpt-4o", 812, "ok")


async def test_an_array(client: httpx.AsyncClient, log: FakeLog) -> None:
    answer = await client.post("/v1/events", json=[sample(id="a"), sample(id="b"), 7])
    assert answer.json()["accepted"] == 2
    assert answer.json()["errors"] == [
        {"index": 2, "id": None, "field": "", "reason": "must be a JSON object with type, source, time and data"}
    ]
    assert {event["id"] for event in log.events()} == {event_id("a").bytes, event_id("b").bytes}


async def test_good_lines_are_kept_and_bad_ones_explained(client: httpx.AsyncClient, log: FakeLog) -> None:
    body = (
        lines(sample(id="good"), sample(id="bad", data={"input_tokens": -1})) + b"\n{broken\n" + lines(sample(type="x"))
    )
    answer = await client.post("/v1/events", content=body, headers=NDJSON)
    assert answer.status_code == 202
    value = answer.json()
    assert (value["accepted"], value["rejected"]) == (1, 3)
    assert [(e["index"], e["id"], e["field"]) for e in value["errors"]] == [
        (1, "bad", "data.input_tokens"),
        (3, None, ""),
        (4, sample()["id"], "type"),
    ]
    (letter,) = log.dead_letters()
    rows = orjson.loads(reverse(letter))["rows"]
    assert rows[1]["original"] == "{broken"


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("zstd", zstandard.ZstdCompressor().compress),
        ("identity", bytes),
        ("gzip", lambda b: gzip.compress(b[:10]) + gzip.compress(b[10:])),
    ],
)
async def test_encodings(client: httpx.AsyncClient, encoding: str, pack) -> None:
    headers = {**NDJSON, "content-encoding": encoding}
    answer = await client.post("/v1/events", content=pack(lines(sample())), headers=headers)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", NDJSON, 400),
        (b"\n \n", NDJSON, 400),
        (b"[]", {"content-type": "application/json"}, 400),
        (b"[{}", {"content-type": "application/json"}, 400),
        (b"42", {"content-type": "application/json"}, 400),
        (b"x", {"content-type": "text/plain"}, 415),
        (b"{}", {"content-type": "application/json; charset=latin-1"}, 415),
        (b"{}", {**NDJSON, "content-encoding": "br"}, 415),
        (b"nonsense", {**NDJSON, "content-encoding": "gzip"}, 400),
        (gzip.compress(b"{}")[:-9], {**NDJSON, "content-encoding": "gzip"}, 400),
        (b"nonsense", {**NDJSON, "content-encoding": "zstd"}, 400),
        (b" " * ((1 << 20) + 1), NDJSON, 413),
        (gzip.compress(bytes(3 << 20)), {**NDJSON, "content-encoding": "gzip"}, 413),
        (zstandard.compress(bytes(3 << 20)), {**NDJSON, "content-encoding": "zstd"}, 413),
        (b"{}", {**NDJSON, "idempotency-key": "k" * 256}, 400),
    ],
)
async def test_what_is_refused(
    client: httpx.AsyncClient, log: FakeLog, body: bytes, headers: dict, status: int
) -> None:
    answer = await client.post("/v1/events", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.json()["detail"]
    assert log.records == []


async def test_missing_ids_are_derived_from_the_key(client: httpx.AsyncClient, log: FakeLog) -> None:
    event = sample()
    del event["id"]
    await client.post("/v1/events", content=lines(event, event), headers={**NDJSON, "idempotency-key": "k1"})
    assert [e["id"] for e in log.events()] == [derived_id("acme", "k1", row).bytes for row in (0, 1)]
