"""Dead letters once more: each form of row, whole records, and once is once."""

import asyncio
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest

from access.tenant_settings import TenantSettings
from broker.dead_letters import DeadLetters, Wanted
from broker.log import NewRecord
from broker.topics import DEAD_LETTER_STATES, DEAD_LETTERS, EVENTS
from core.clock import ManualClock
from core.errors import Poison, Retryable
from core.metrics import Metrics
from ingest import forms
from ingest.intake import Intake
from ingest.replay import Outcome, Replay
from tests.ingest.fakes import NOW, FakeLog, reverse, sample

WAITING = Wanted({"acme", None})


class Tenants:
    """Settings that a test changes: what was refused is taken then."""

    def __init__(self) -> None:
        self.settings = TenantSettings()

    def __call__(self, tenant: str) -> TenantSettings:
        return self.settings

    def keep_all(self) -> None:
        days = self.settings.retention_days.model_copy(update={"events": 3650})
        self.settings = self.settings.model_copy(update={"retention_days": days})


@pytest.fixture
def tenants() -> Tenants:
    return Tenants()


@pytest.fixture
async def intake(log: FakeLog, clock: ManualClock, metrics: Metrics, limits: Any, tenants: Tenants) -> Any:
    intake = Intake(log, clock, metrics, reverse, limits=limits, settings=tenants)
    yield intake
    await intake.stop()


def again(value: bytes, now: datetime) -> bytes:
    if value.startswith(b"broken"):
        raise Poison("is still no stream")
    return value + b" again"


class Desk:
    """Replays whatever waits."""

    def __init__(self, intake: Intake, log: FakeLog, clock: ManualClock, metrics: Metrics) -> None:
        self.stored: set[bytes] = set()
        self.letters = DeadLetters(log, clock, reverse)
        self.log = log
        self.replays = Replay(
            intake,
            self.letters,
            log,
            clock,
            metrics,
            again=again,
            remembered=timedelta(minutes=10),
            known=self.known,
        )

    async def known(self, tenant: str, ids: Collection[bytes]) -> Collection[bytes]:
        return self.stored.intersection(ids)

    async def replay(self) -> Outcome:
        return await self.replays.replay((await self.letters.page(WAITING)).letters)

    async def states(self) -> list[str]:
        page = await self.letters.page(Wanted(WAITING.tenants, states=("waiting", "replayed", "purged")))
        return [state for _, state in page.letters]


@pytest.fixture
def desk(intake: Intake, log: FakeLog, clock: ManualClock, metrics: Metrics) -> Desk:
    return Desk(intake, log, clock, metrics)


OLD = (NOW - timedelta(days=100)).isoformat()


async def test_rows_that_are_taken_now(client: httpx.AsyncClient, desk: Desk, tenants: Tenants, log: FakeLog) -> None:
    with_id, without = sample(time=OLD, user_id="ada@example.org"), sample(time=OLD, id=None)
    answer = await client.post("/v1/events", json=[with_id, without, sample(source="")])
    assert answer.json()["rejected"] == 3
    first = await desk.replay()
    assert (first.replayed, len(first.refused)) == (0, 3)
    assert {(one.field, one.reason.split(":")[0]) for one in first.refused} == {
        ("time", "is older than the retention"),
        ("source", "Value should have at least 1 item after validation, not 0"),
    }
    assert len(log.dead_letters()) == 1, "refused again is no second letter"
    tenants.keep_all()
    done = await desk.replay()
    assert (done.replayed, done.accepted, done.duplicates, len(done.refused)) == (2, 2, 0, 1)
    assert await desk.states() == ["waiting", "replayed", "replayed"]
    rows = log.events()
    assert {row["tenant"] for row in rows} == {"acme"}
    assert with_id["id"] in {str(UUID(bytes=row["id"])) for row in rows}
    assert (await desk.replay()).replayed == 0
    assert len(log.events()) == 2


async def test_a_crash_between_rows_and_state_counts_once(
    client: httpx.AsyncClient, desk: Desk, tenants: Tenants, log: FakeLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.post("/v1/events", json=[sample(time=OLD, id=None)])
    tenants.keep_all()
    whole = log.append

    async def dying(records: Any, mark: Any = None) -> Any:
        if records[0].topic == DEAD_LETTER_STATES:
            raise Retryable("killed")
        return await whole(records, mark)

    monkeypatch.setattr(log, "append", dying)
    with pytest.raises(Retryable):
        await desk.replay()
    monkeypatch.setattr(log, "append", whole)
    assert await desk.states() == ["waiting"]
    done = await desk.replay()
    assert (done.replayed, done.duplicates) == (0, 1)
    assert await desk.states() == ["replayed"]
    assert len(log.events()) == 1


async def test_the_same_letter_gets_the_same_ids_when_its_mark_is_lost(
    client: httpx.AsyncClient, desk: Desk, tenants: Tenants, log: FakeLog
) -> None:
    await client.post("/v1/events", json=[sample(time=OLD, id=None), sample(time=OLD, id=None)])
    tenants.keep_all()
    letters = (await desk.letters.page(WAITING)).letters
    await desk.replays.replay(letters)
    log.marks.clear()
    await desk.replays.replay(list(reversed(letters)))
    ids = [row["id"] for row in log.events()]
    assert len(ids) == 4
    assert len(set(ids)) == 2


async def test_what_its_sender_has_put_right_is_a_duplicate(
    client: httpx.AsyncClient, desk: Desk, tenants: Tenants, log: FakeLog
) -> None:
    event = sample(time=OLD)
    await client.post("/v1/events", json=[event, sample(time=OLD, id=None)])
    tenants.keep_all()
    desk.stored.add(UUID(event["id"]).bytes)
    done = await desk.replay()
    assert (done.replayed, done.accepted, done.duplicates) == (2, 1, 1)
    assert len(log.events()) == 1


async def test_other_forms_take_their_own_way(
    client: httpx.AsyncClient, desk: Desk, tenants: Tenants, log: FakeLog
) -> None:
    cloud = {
        "specversion": "1.0",
        "id": "c-1",
        "source": "/platform/gateway",
        "type": "com.example.llm.request",
        "time": OLD,
        "data": {"model": "gpt-4o"},
    }
    headers = {"content-type": "application/cloudevents+json"}
    assert (await client.post("/v1/events", content=orjson.dumps(cloud), headers=headers)).json()["rejected"] == 1
    row = {"timestamp": OLD, "actor": {"id": "ada"}, "action": "read", "resource": "doc"}
    answer = await client.post("/v1/adapters/audit", json=row)
    letters = [letter for letter, _ in (await desk.letters.page(WAITING)).letters]
    assert answer.json()["rejected"] == 1, answer.json()
    assert [letter.content_type for letter in letters] == [forms.of_module("audit", "1"), forms.CLOUDEVENT]
    tenants.keep_all()
    done = await desk.replay()
    assert (done.replayed, done.accepted) == (2, 2), done.refused
    assert {row["type"] for row in log.events()} == {"llm.request", "audit.action"}


@pytest.mark.parametrize(
    ("content_type", "original", "says"),
    [
        (forms.OTLP, "{}", "its exporter"),
        (forms.LANGFUSE, "{}", "Langfuse's client"),
        (forms.BYTES, "?", "is no event"),
        ("application/vnd.llm-hub.module.nobody+json; version=1", "{}", "'nobody' is no module"),
        ("application/vnd.llm-hub.module.audit+json; version=99", "{}", "'99' is not known"),
        ("text/plain", "x", "is not read here"),
        (forms.EVENT, "", "nothing of this row was kept"),
        (forms.EVENT, "not json", "is not JSON"),
    ],
)
async def test_what_cannot_be_sent_again_says_so(
    desk: Desk, log: FakeLog, content_type: str, original: str, says: str
) -> None:
    row = {"index": 0, "id": None, "field": "", "reason": "bad", "kind": "json", "original": original}
    letter = {
        "tenant": "acme",
        "door": "x",
        "stage": "ingest",
        "time": NOW,
        "rows": [{**row, "content_type": content_type}],
    }
    await log.append([NewRecord(DEAD_LETTERS, 0, b"acme", reverse(orjson.dumps(letter)))])
    (refused,) = (await desk.replay()).refused
    assert says in refused.reason
    assert await desk.states() == ["waiting"]


async def _record(log: FakeLog, original: str) -> None:
    told = {"stage": "store", "time": NOW, "reason": "refused", "topic": EVENTS, "partition": 0, "offset": 4}
    letter = {**told, "timestamp_ms": 0, "headers": [], "original_base64": original}
    await log.append([NewRecord(DEAD_LETTERS, 0, None, reverse(orjson.dumps(letter)))])


async def test_whole_records_wait_until_their_ids_are_forgotten(desk: Desk, log: FakeLog, clock: ManualClock) -> None:
    await _record(log, "Z29vZA==")
    await _record(log, "YnJva2Vu")
    early = await desk.replay()
    assert [one.reason[:26] for one in early.refused] == ["came less than 0:10:00 ago"] * 2
    clock.advance(601)
    done = await desk.replay()
    assert (done.replayed, done.records, done.accepted) == (1, 1, 0)
    assert [one.reason for one in done.refused] == ["is still no stream"]
    assert [record.value for record in log.records if record.topic == EVENTS] == [b"good again"]
    assert sorted(await desk.states()) == ["replayed", "waiting"]


async def test_two_processes_replay_the_same_letter_once(
    intake: Intake, client: httpx.AsyncClient, desk: Desk, tenants: Tenants, log: FakeLog, clock: ManualClock
) -> None:
    await client.post("/v1/events", json=[sample(time=OLD, id=None)])
    await _record(log, "Z29vZA==")
    tenants.keep_all()
    clock.advance(601)
    other = Desk(intake, log, clock, Metrics())
    letters = (await desk.letters.page(WAITING)).letters
    one, two = await asyncio.gather(desk.replays.replay(letters), other.replays.replay(letters))
    assert one.replayed + two.replayed == 2
    assert sum(record.topic == EVENTS for record in log.records) == 2
    assert await desk.states() == ["replayed", "replayed"]
