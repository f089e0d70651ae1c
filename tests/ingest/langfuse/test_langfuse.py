"""Langfuse's ingestion: items of one batch and of several are joined, and each observation is one event."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from core.clock import ManualClock
from core.errors import SlowDown
from core.ids import derived_id
from core.metrics import Metrics
from ingest.decode.explain import RowInvalid
from ingest.intake import Intake
from ingest.langfuse.events import event_id_of, event_of, span_hex, trace_hex
from ingest.langfuse.held import PATIENCE, SqlHeld
from ingest.langfuse.items import TYPES, Subject, join, read_item
from ingest.langfuse.unended import Unended
from ingest.langfuse.usage import tokens_of
from storage.metadata.database import Metadata
from storage.metadata.models import HeldObservation, Tenant
from tests.ingest.fakes import NOW, FakeLog, reverse

START = NOW - timedelta(seconds=30)
TRACE = "0192f0c1-0000-7000-8000-0000000000aa"
PATH = "/api/public/ingestion"


def moment(seconds: float = 0.0) -> str:
    return (START + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def item(type_: str, body: dict[str, Any], number: int = 0) -> dict[str, Any]:
    return {"id": f"i-{type_}-{number}-{body.get('id')}", "type": type_, "timestamp": moment(), "body": body}


TRACE_CREATE = item(
    "trace-create",
    {"id": TRACE, "timestamp": moment(), "name": "chat", "userId": "u-1", "sessionId": "s-1", "tags": ["a"]},
)
GENERATION_CREATE = item(
    "generation-create",
    {
        "id": "g-1",
        "traceId": TRACE,
        "name": "answer",
        "startTime": moment(1),
        "completionStartTime": moment(1.25),
        "model": "gpt-4o",
        "modelParameters": {"temperature": 0.2, "max_tokens": 64},
        "input": [{"role": "user", "content": "I am ada@example.org"}],
        "promptName": "support",
        "promptVersion": 3,
        "metadata": {"region": "eu", "long": {"a": 1}},
    },
)
GENERATION_UPDATE = item(
    "generation-update",
    {
        "id": "g-1",
        "endTime": moment(3),
        "output": "Hello",
        "usageDetails": {"input": 300, "input_cached_tokens": 512, "output": 90, "output_reasoning_tokens": 6},
    },
)


@pytest.fixture
async def metadata(tmp_path: Path) -> AsyncIterator[Metadata]:
    metadata = Metadata(f"sqlite:////{str(tmp_path / 'hub.db').lstrip('/')}")
    await metadata.start()
    await metadata.migrate()
    async with metadata.session() as session:
        session.add_all(Tenant(id=one, name=one, created_at=NOW, settings={}) for one in ("acme", "globex"))
    yield metadata
    await metadata.stop()


@pytest.fixture
def held(metadata: Metadata, clock: ManualClock) -> SqlHeld:
    return SqlHeld(metadata, clock, reverse, reverse)


@pytest.fixture
def sends(client: httpx.AsyncClient, held: SqlHeld) -> Callable[..., Any]:
    client._transport.app.state.held = held  # type: ignore[attr-defined]

    async def send(*items: Any, tenant: str = "acme") -> dict[str, Any]:
        pair = base64.b64encode(f"pk-lf-1:lh_{tenant}".encode()).decode()
        client.headers.pop("x-api-key", None)
        answer = await client.post(PATH, json={"batch": items}, headers={"Authorization": f"Basic {pair}"})
        assert answer.status_code == 207, answer.text
        return dict(answer.json())

    return send


def check_generation(event: dict[str, Any]) -> None:
    assert (event["type"], event["source"], event["model"]) == ("llm.request", "langfuse", "gpt-4o")
    assert (event["user_id"], event["session_id"]) == ("u-1", "s-1")
    assert event["time"] == START + timedelta(seconds=3)
    assert (event["duration_ms"], event["time_to_first_token_ms"]) == (2000, 250)
    assert (event["input_tokens"], event["cache_read_input_tokens"]) == (812, 512)
    assert (event["output_tokens"], event["reasoning_output_tokens"]) == (96, 6)
    assert (event["prompt_id"], event["prompt_version"]) == ("support", "3")
    assert event["trace_id"].hex() == TRACE.replace("-", "")
    assert event["parent_span_id"].hex() == span_hex(f"trace:{TRACE}")
    assert dict(event["attributes"]) == {"region": "eu", "trace_name": "chat"}
    assert "[redacted:email]" in event["body"]
    assert "Hello" in event["body"]


async def test_what_one_batch_says_of_an_observation_is_one_event(sends: Callable[..., Any], log: FakeLog) -> None:
    told = await sends(TRACE_CREATE, GENERATION_CREATE, GENERATION_UPDATE)
    assert [one["id"] for one in told["successes"]] == [
        one["id"] for one in (TRACE_CREATE, GENERATION_CREATE, GENERATION_UPDATE)
    ]
    assert {one["status"] for one in told["successes"]} == {201}
    assert told["errors"] == []
    trace, generation = log.events()
    assert (trace["type"], trace["name"], trace["kind"]) == ("span", "chat", "chain")
    check_generation(generation)


async def test_so_is_what_several_batches_say(sends: Callable[..., Any], log: FakeLog) -> None:
    for one in (TRACE_CREATE, GENERATION_CREATE):
        assert (await sends(one))["errors"] == []
    assert [event["type"] for event in log.events()] == ["span"]
    await sends(GENERATION_UPDATE)
    check_generation(log.events()[1])
    await sends(GENERATION_UPDATE)  # again: it has been written
    await sends(TRACE_CREATE)
    assert len(log.events()) == 2


async def test_another_tenant_s_observations_stay_its_own(sends: Callable[..., Any], log: FakeLog) -> None:
    await sends(TRACE_CREATE, GENERATION_CREATE)
    await sends(GENERATION_UPDATE, tenant="globex")
    mine, theirs = log.events()
    assert (mine["tenant"], theirs["tenant"]) == ("acme", "globex")
    assert theirs.get("user_id") is None
    assert theirs.get("model") != "gpt-4o"


async def test_what_is_held_lies_sealed(sends: Callable[..., Any], metadata: Metadata) -> None:
    await sends(GENERATION_CREATE)
    async with metadata.reading() as session:
        (row,) = await session.scalars(select(HeldObservation))
    assert b"ada@example.org" not in row.body
    assert b"ada@example.org" in reverse(row.body)
    await sends(GENERATION_UPDATE)
    async with metadata.reading() as session:
        (row,) = await session.scalars(select(HeldObservation))
    assert row.written
    assert b"ada" not in reverse(row.body)


@pytest.fixture
def unended(held: SqlHeld, intake: Intake, clock: ManualClock, metrics: Metrics) -> Unended:
    return Unended(held, intake, clock, metrics)


RETRIEVE = item("span-create", {"id": "s-1", "traceId": TRACE, "name": "retrieve", "startTime": moment()})


async def test_what_never_ends_is_written_after_an_hour(
    sends: Callable[..., Any], unended: Unended, log: FakeLog, clock: ManualClock, metrics: Metrics
) -> None:
    await sends(TRACE_CREATE, RETRIEVE, GENERATION_CREATE)
    await sends(RETRIEVE, tenant="globex")
    assert len(log.events()) == 1
    clock.advance(PATIENCE.total_seconds() - 1)
    await unended.look()
    assert len(log.events()) == 1
    clock.advance(2)
    await unended.look()
    await unended.look()
    retrieve, answer, theirs = sorted(log.events()[1:], key=lambda event: (event["tenant"], event["type"] != "span"))
    assert (retrieve["type"], retrieve["name"], retrieve["duration_ms"]) == ("span", "retrieve", 0)
    assert (answer["type"], answer["model"], answer.get("duration_ms")) == ("llm.request", "gpt-4o", None)
    assert (theirs["tenant"], theirs.get("user_id")) == ("globex", None)
    for event in (retrieve, answer):
        assert (event["user_id"], event["session_id"]) == ("u-1", "s-1")
        assert dict(event["attributes"])["llm_hub.unended"] == "true"
    assert "[redacted:email]" in answer["body"]
    assert metrics.langfuse_unended._value.get() == 3
    await sends(GENERATION_UPDATE)  # too late: it is written once
    assert len(log.events()) == 4


async def test_what_has_ended_is_not_called_unended(sends: Callable[..., Any], log: FakeLog) -> None:
    await sends(TRACE_CREATE, GENERATION_CREATE, GENERATION_UPDATE)
    assert all("llm_hub.unended" not in dict(event["attributes"]) for event in log.events())


async def test_it_looks_every_minute_and_at_the_end(
    sends: Callable[..., Any], unended: Unended, log: FakeLog, clock: ManualClock
) -> None:
    await unended.stop()  # not started yet
    await unended.start()
    await sends(RETRIEVE)
    await asyncio.sleep(0)  # until it waits for its minute
    clock.advance(PATIENCE.total_seconds() + 1)
    async with asyncio.timeout(30):
        await log.appended.wait()
    await sends(GENERATION_CREATE)
    clock.advance(PATIENCE.total_seconds() + 1)
    await unended.stop()
    await unended.stop()
    assert [event["type"] for event in log.events()] == ["span", "llm.request"]


async def test_what_is_not_overdue_waits_through_a_restart(
    sends: Callable[..., Any], unended: Unended, log: FakeLog
) -> None:
    await unended.start()
    await sends(TRACE_CREATE, GENERATION_CREATE)
    await unended.stop()
    await sends(GENERATION_UPDATE)
    check_generation(log.events()[1])


@pytest.mark.parametrize("error", [SlowDown("busy"), RuntimeError("broken")])
async def test_trouble_is_told_and_tried_again(
    sends: Callable[..., Any],
    unended: Unended,
    log: FakeLog,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
    error: Any,
) -> None:
    await sends(RETRIEVE)
    await sends(RETRIEVE, tenant="globex")
    clock.advance(PATIENCE.total_seconds() + 1)
    log.fail_with.append(error)
    await unended.look()
    assert [event["tenant"] for event in log.events()] == ["globex"]  # the others' are written
    assert "observations of acme without an end" in caplog.text
    await unended.look()
    assert len(log.events()) == 2


async def test_a_database_that_is_away_is_told(
    unended: Unended, metadata: Metadata, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "session", None)
    await unended.look()
    assert "could not be looked for" in caplog.text


async def test_scores_logs_and_failures(sends: Callable[..., Any], log: FakeLog) -> None:
    told = await sends(
        item("score-create", {"id": "c-1", "traceId": TRACE, "observationId": "g-1", "name": "faith", "value": 0.8}),
        item("score-create", {"id": "c-2", "traceId": TRACE, "name": "tone", "value": "kind", "comment": "nice"}),
        item("score-create", {"id": "c-3", "traceId": TRACE, "name": "safe", "value": True}),
        item("sdk-log", {"log": "queue full"}),
        item("span-create", {"id": "x", "traceId": TRACE, "level": "ERROR", "statusMessage": "no", "name": "db"}),
        item("generation-create", {"id": "y", "level": "ERROR", "statusMessage": "timeout", "startTime": moment()}),
        item("observation-create", {"id": "z", "type": "TOOL", "name": "search", "endTime": moment()}),
    )
    assert told["errors"] == []
    faith, tone, safe, line, span, call, tool = log.events()
    assert (faith["type"], faith["score"], faith["parent_span_id"].hex()) == ("evaluation.score", 0.8, span_hex("g-1"))
    assert orjson.loads(faith["data"])["target_event_id"] == event_id_of("generation", "g-1")
    assert (tone["label"], safe["score"], safe["passed"]) == ("kind", 1, True)
    assert (line["type"], line["severity"]) == ("log.record", "debug")
    assert (span["status"], span["name"]) == ("error", "db")
    assert (call["status"], call["error_type"], call["model"]) == ("error", "timeout", "unknown")
    assert (tool["type"], tool["kind"]) == ("span", "tool")


async def test_wrong_items_are_named_and_the_others_kept(sends: Callable[..., Any], log: FakeLog) -> None:
    told = await sends(
        TRACE_CREATE,
        {"id": "a", "type": "span-crate", "timestamp": moment(), "body": {}},
        {"id": "b", "type": "span-create", "timestamp": moment(), "body": []},
        {"id": "c", "type": "span-create", "timestamp": moment(), "body": {}},
        item("span-create", {"id": "d", "name": "n", "startTime": "soon", "endTime": moment()}),
        item("score-create", {"id": "e", "name": "n"}),
        item("generation-create", {"id": "f", "model": "m", "usage": {"input": -1}, "startTime": moment()}),
        17,
    )
    assert [one["id"] for one in told["successes"]] == [TRACE_CREATE["id"]]
    said = {one["id"].rpartition("-")[2]: one["message"] for one in told["errors"]}
    assert {name: text.split(" ")[0] for name, text in said.items()} == {
        "a": "type",
        "b": "body",
        "c": "body.id",
        "d": "body.startTime",
        "e": "data",
        "f": "body.usage",
        "": "must",
    }
    assert {one["status"] for one in told["errors"]} == {400}
    assert len(log.events()) == 1
    (letter,) = log.dead_letters()
    assert len(orjson.loads(reverse(letter))["rows"]) == 7


SCORES = "/api/public/scores"


async def test_scores_by_themselves(client: httpx.AsyncClient, sends: Any, log: FakeLog) -> None:
    trace, observation = "a" * 32, "b" * 16  # as clients that speak OTLP have them
    score = {"traceId": trace, "observationId": observation, "name": "faith", "value": 0.8, "timestamp": moment()}
    one = await client.post(SCORES, json={**score, "id": "c-1"})
    assert (one.status_code, one.json()) == (200, {"id": "c-1"})
    many = await client.post(SCORES, json=[{"name": "tone", "value": "kind"}, {"name": "safe", "value": 1}])
    assert (many.status_code, many.json()) == (202, {"message": "Accepted"})
    mixed = await client.post(SCORES, json=[{"id": "c-2", "name": "n"}, {"name": "ok", "value": 1}, 17])
    told = mixed.json()
    assert (mixed.status_code, told["accepted"], told["rejected"]) == (207, 1, 2)
    assert [error["message"].split(" ")[0] for error in told["errors"]] == ["body", "data"]
    faith, tone, safe, good = [event for event in log.events() if event["type"] == "evaluation.score"]
    assert (faith["trace_id"].hex(), faith["parent_span_id"].hex(), faith["score"]) == (trace, observation, 0.8)
    assert orjson.loads(faith["data"])["target_event_id"] == str(derived_id("acme", trace, observation))
    assert (tone["label"], safe["score"], good["score"]) == ("kind", 1, 1)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"17", 400), (b"[]", 202), (b'{"name": "n"}', 422), (b'{"id": "", "value": 1, "name": "n"}', 200)],
)
async def test_what_is_no_score(client: httpx.AsyncClient, sends: Any, body: bytes, status: int) -> None:
    answer = await client.post(SCORES, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status


async def test_too_many_scores(client: httpx.AsyncClient, sends: Any, intake: Intake) -> None:
    intake.limits = replace(intake.limits, rows=2)
    assert (await client.post(SCORES, json=[{}, {}, {}])).status_code == 413


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"input": 300, "input_cached_tokens": 512, "output": 90, "output_reasoning": 6}, (812, 96, 512, None, 6)),
        ({"input": 1, "cache_creation_input_tokens": 2, "cache_read_input_tokens": 4}, (7, None, 4, 2, None)),
        ({"prompt_tokens": 120, "completion_tokens": 30, "total_tokens": 150}, (120, 30, None, None, None)),
        (
            {
                "prompt_tokens": 120,
                "completion_tokens": 30,
                "prompt_tokens_details": {"cached_tokens": 64},
                "completion_tokens_details": {"reasoning_tokens": 10},
            },
            (120, 30, 64, None, 10),
        ),
        ({"input": 120, "output": 30, "total": 150, "cache_read_input_tokens": 64}, (120, 30, 64, None, None)),
        ({"input": 56, "output": 30, "total": 150, "input_cached_tokens": 64}, (120, 30, 64, None, None)),
        (
            {"input": 90, "output": 30, "total": 150, "cache_read_input_tokens": 30, "cache_creation_input_tokens": 9},
            (120, 30, 30, 9, None),
        ),
        ({"promptTokens": 1, "completionTokens": 2, "prompt_tokens_details": None}, (1, 2, None, None, None)),
        ({"input": "many", "output": True}, ("many", True, None, None, None)),
        ({}, (None,) * 5),
    ],
)
def test_tokens(usage: dict[str, Any], tokens: tuple[Any, ...]) -> None:
    found = tokens_of(usage)
    names = ("input", "output", "cache_read_input", "cache_write_input", "reasoning_output")
    assert tuple(found.get(f"{name}_tokens") for name in names) == tokens


def test_parameters_are_figures_or_nothing() -> None:
    for value, expected in (("0.2", 0.2), (1, 1.0), ("inf", None), ("warm", None), (True, None), ([], None)):
        subject = Subject("generation", "g", {"modelParameters": {"temperature": value}, "startTime": moment()})
        assert event_of(subject, None, "acme")["data"]["temperature"] == expected


@pytest.mark.parametrize(
    ("body", "status"), [(b"{", 400), (b"[]", 400), (b'{"batch": {}}', 400), (b'{"batch": []}', 207)]
)
async def test_what_is_no_batch(client: httpx.AsyncClient, sends: Any, body: bytes, status: int) -> None:
    answer = await client.post(PATH, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status


async def test_other_types_are_refused(client: httpx.AsyncClient, sends: Any) -> None:
    answer = await client.post(PATH, content=b"{}", headers={"content-type": "text/plain"})
    assert answer.status_code == 415


async def test_basic_is_for_this_door_only(client: httpx.AsyncClient, sends: Any) -> None:
    del client.headers["x-api-key"]
    pair = base64.b64encode(b"pk:lh_acme").decode()
    for path, value, status in (
        ("/v1/events", f"Basic {pair}", 401),
        (PATH, "Basic !", 401),
        (PATH, "Basic " + base64.b64encode(b"no colon").decode(), 401),
        (PATH, f"Basic {pair}", 207),
        (PATH, "Bearer lh_acme", 207),
    ):
        answer = await client.post(path, json={"batch": []}, headers={"Authorization": value})
        assert answer.status_code == status, (path, value)


@pytest.mark.parametrize("count", [3, 1200])
async def test_held_in_chunks_and_again(held: SqlHeld, count: int) -> None:
    subjects = [Subject("span", f"s-{number}", {"name": "n"}) for number in range(count)]
    await held.save("acme", subjects)
    await held.save("acme", subjects)
    assert len(await held.load("acme", [one.name for one in subjects])) == count
    assert await held.load("globex", [one.name for one in subjects]) == {}
    assert await held.late() == await held.overdue("acme") == []


async def test_what_was_written_is_forgotten_in_time(held: SqlHeld, clock: ManualClock) -> None:
    await held.save("acme", [Subject("span", "s-1", {}, written=True), Subject("span", "s-2", {"name": "n"})])
    clock.advance(PATIENCE.total_seconds() + 1)
    assert await held.late() == ["acme"]
    assert [one.id for one in await held.overdue("acme")] == ["s-2"]
    await held.forget()
    assert len(await held.load("acme", ["s-1", "s-2"])) == 2
    clock.advance(PATIENCE.total_seconds())
    await held.forget()
    assert list(await held.load("acme", ["s-1", "s-2"])) == ["s-2"]


async def test_a_tenant_s_observations_go_with_it(held: SqlHeld, metadata: Metadata) -> None:
    await held.save("acme", [Subject("span", "s-1", {})])
    async with metadata.session() as session:
        await session.execute(delete(Tenant).where(Tenant.id == "acme"))
    assert await held.load("acme", ["s-1"]) == {}


def test_ids() -> None:
    assert trace_hex("4BF92F3577B34DA6A3CE929D0E0E4736") == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert len(trace_hex("my-own")) == 32
    assert span_hex("00f067aa0ba902b7") == "00f067aa0ba902b7"
    assert event_id_of("span", "a") == event_id_of("generation", "a") != event_id_of("trace", "a")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    (
        *("id", "traceId", "name", "startTime", "endTime", "usage", "usageDetails", "costDetails", "input", "output"),
        *("metadata", "level", "model", "value", "type", "modelParameters", "completionStartTime"),
        *("parentObservationId", "promptVersion", "tags", "userId"),
    )
)


@settings(max_examples=300, deadline=None)
@given(
    items=st.lists(
        st.builds(
            lambda type_, body, id_: {"id": id_, "type": type_, "timestamp": moment(), "body": body},
            st.sampled_from(sorted(TYPES)) | VALUES,
            st.dictionaries(NAMES, VALUES, max_size=6) | VALUES,
            st.sampled_from(["1", "2", "", None]),
        )
        | VALUES,
        max_size=4,
    )
)
def test_any_item_becomes_an_event_or_is_refused(items: Sequence[Any]) -> None:
    def read() -> Iterable[Subject]:
        for one in items:
            try:
                yield read_item(one)
            except RowInvalid as error:
                json.dumps(error.reason)

    for subject in join(read()):
        try:
            assert event_of(subject, {"name": "t"} if "traceId" in subject.body else None, "acme")["type"]
        except RowInvalid as error:
            json.dumps(error.field)
    assert isinstance(START, datetime)
