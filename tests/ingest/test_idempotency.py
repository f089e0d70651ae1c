"""Retries are recognised, and counted as such."""

import asyncio

import httpx
import orjson
import pytest

from core.clock import ManualClock
from core.errors import Conflict, Retryable, SlowDown
from ingest.idempotency import Requests, body_digest
from ingest.intake import Intake
from ingest.limits import Limits
from tests.ingest.fakes import FakeLog, sample

HOUR = 3600.0
NDJSON = {"content-type": "application/x-ndjson"}
KEYED = {**NDJSON, "idempotency-key": "k1"}


def lines(*events: dict) -> bytes:
    return b"".join(orjson.dumps(event) + b"\n" for event in events)


def without_id(**changes: object) -> dict:
    event = sample(**changes)
    del event["id"]
    return event


async def test_a_retry_is_answered_as_duplicates(client: httpx.AsyncClient, log: FakeLog) -> None:
    body = lines(without_id(), without_id(type="nonsense"))
    first = await client.post("/v1/events", content=body, headers=KEYED)
    again = await client.post("/v1/events", content=body, headers=KEYED)
    assert (first.json()["accepted"], first.json()["rejected"]) == (1, 1)
    assert again.status_code == 202
    assert again.json() == {**first.json(), "accepted": 0, "duplicates": 1}
    assert len(log.events()) == 1


async def test_another_body_under_the_same_key_is_refused(client: httpx.AsyncClient) -> None:
    await client.post("/v1/events", content=lines(sample()), headers=KEYED)
    other = await client.post("/v1/events", content=lines(sample(user_id="u")), headers=KEYED)
    assert other.status_code == 422


async def test_keys_belong_to_a_tenant_and_last_a_day(
    client: httpx.AsyncClient, log: FakeLog, clock: ManualClock
) -> None:
    body = lines(without_id())
    await client.post("/v1/events", content=body, headers=KEYED)
    other = await client.post("/v1/events", content=body, headers={**KEYED, "x-api-key": "lh_other"})
    assert other.json()["accepted"] == 1
    clock.advance(23 * HOUR)
    assert (await client.post("/v1/events", content=body, headers=KEYED)).json()["duplicates"] == 1
    clock.advance(2 * HOUR)
    assert (await client.post("/v1/events", content=body, headers=KEYED)).json()["accepted"] == 1


async def test_a_body_whose_rows_all_have_ids_is_known_for_ten_minutes(
    client: httpx.AsyncClient, clock: ManualClock
) -> None:
    body = lines(sample(id="a"), sample(id="b"))
    assert (await client.post("/v1/events", content=body, headers=NDJSON)).json()["accepted"] == 2
    clock.advance(9 * 60)
    assert (await client.post("/v1/events", content=body, headers=NDJSON)).json()["duplicates"] == 2
    clock.advance(2 * 60)
    assert (await client.post("/v1/events", content=body, headers=NDJSON)).json()["accepted"] == 2


async def test_a_body_with_a_row_without_id_is_new_every_time(client: httpx.AsyncClient) -> None:
    body = lines(sample(), without_id())
    for _ in range(2):
        assert (await client.post("/v1/events", content=body, headers=NDJSON)).json()["accepted"] == 2


async def test_while_a_key_is_in_flight_others_are_refused(log: FakeLog, clock: ManualClock) -> None:
    requests = Requests(log, clock, Limits())
    async with requests.enter("acme", "k", body_digest(b"x")):
        with pytest.raises(Conflict):
            async with requests.enter("acme", "k", body_digest(b"x")):
                pass
        async with requests.enter("other", "k", body_digest(b"x")) as ticket:
            assert ticket.repeated is None
    async with requests.enter("acme", "k", body_digest(b"x")) as ticket:
        assert ticket.repeated is None


async def test_the_same_body_twice_at_once_counts_once(client: httpx.AsyncClient, log: FakeLog) -> None:
    body = lines(*(sample(id=f"row-{row}") for row in range(700)))
    answers = await asyncio.gather(*(client.post("/v1/events", content=body, headers=NDJSON) for _ in range(3)))
    assert sorted(answer.json()["accepted"] for answer in answers) == [0, 0, 700]
    assert len(log.events()) == 700


async def test_another_process_was_quicker(client: httpx.AsyncClient, log: FakeLog) -> None:
    body = lines(sample())
    await client.post("/v1/events", content=body, headers=KEYED)
    hidden = dict(log.marks)
    lookup, asked = log.lookup_mark, []

    async def blind_once(key: bytes):
        asked.append(key)
        return None if len(asked) == 1 else await lookup(key)

    log.lookup_mark = blind_once  # type: ignore[method-assign]
    answer = await client.post("/v1/events", content=body, headers=KEYED)
    assert answer.json()["duplicates"] == 1
    assert log.marks == hidden


@pytest.mark.parametrize("error", [SlowDown("full", retry_after=3), Retryable("down")])
async def test_back_pressure_keeps_nothing_and_the_retry_works(
    client: httpx.AsyncClient, log: FakeLog, error: Exception
) -> None:
    log.fail_with.append(error)  # type: ignore[arg-type]
    refused = await client.post("/v1/events", content=lines(sample()), headers=KEYED)
    assert refused.status_code == 503
    assert log.records == []
    assert (await client.post("/v1/events", content=lines(sample()), headers=KEYED)).json()["accepted"] == 1


async def test_too_many_bytes_in_flight(client: httpx.AsyncClient, intake: Intake) -> None:
    intake._in_flight._limit = 10
    answer = await client.post("/v1/events", content=lines(sample()), headers=NDJSON)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert intake._in_flight.held == 0
