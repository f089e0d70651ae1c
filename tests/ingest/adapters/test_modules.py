"""Every adapter against its fixtures, against every example of the hub's own, and against anything at all."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.adapters import ADAPTERS, MODULES
from ingest.adapters.form import Choice, Form
from ingest.batch import Arrival
from ingest.doors.adapters import decode
from ingest.limits import Limits
from schemas.catalogue import EVENT_TYPES
from tests.ingest.fakes import NOW, FakeLog, reverse

FIXTURES = Path(__file__).parent / "fixtures"
NATIVE = [(adapter.module, version) for adapter in ADAPTERS for version in adapter.versions]
FORMS = [(a.module, reader) for a in ADAPTERS for reader in a.versions.values() if isinstance(reader, Form | Choice)]


def fixture(module: str, version: str) -> list[dict[str, Any]]:
    return orjson.loads((FIXTURES / f"{module}-{version}.json").read_bytes())


def near(value: Any) -> Any:
    """The same, with floats that need not be exact."""
    if isinstance(value, float):
        return pytest.approx(value)
    if isinstance(value, dict):
        return {name: near(item) for name, item in value.items()}
    return [near(item) for item in value] if isinstance(value, list) else value


def test_every_version_has_a_fixture_and_every_fixture_a_version() -> None:
    assert {path.stem for path in FIXTURES.iterdir()} == {f"{module}-{version}" for module, version in NATIVE}


@pytest.mark.parametrize(("module", "version"), NATIVE)
async def test_fixtures(client: httpx.AsyncClient, log: FakeLog, module: str, version: str) -> None:
    pairs = fixture(module, version)
    read = MODULES[module].versions[version].read
    for pair in pairs:
        (made,) = read(pair["row"])
        shown = {name: value for name, value in made.event.items() if name in pair["event"] or name != "id"}
        assert {name: value for name, value in shown.items() if value is not None} == near(pair["event"])
        model = EVENT_TYPES[made.event["type"]]
        model.model_validate(made.event["data"])
    rows = [pair["row"] for pair in pairs]
    answer = await client.post(f"/v1/adapters/{module}", params={"version": version}, json=rows)
    assert answer.json() == {"accepted": len(rows), "rejected": 0, "duplicates": 0, "errors": []}
    assert [event["type"] for event in log.events()] == [pair["event"]["type"] for pair in pairs]
    assert {event["tenant"] for event in log.events()} == {"acme"}


def test_every_form_of_a_choice_has_a_fixture() -> None:
    for module in MODULES.values():
        for version, reader in module.versions.items():
            if isinstance(reader, Choice):
                shown = {pair["row"][reader.field] for pair in fixture(module.module, version)}
                shown |= {p["row"][reader.field] for other in module.versions for p in fixture(module.module, other)}
                assert shown >= set(reader.forms)


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_what_a_form_writes_it_reads_again(event_type: str) -> None:
    event = {
        "id": "e-1",
        "type": event_type,
        "source": "any",
        "time": NOW.isoformat(),
        "project": "p",
        "user_id": "u",
        "trace_id": "ab" * 16,
        "attributes": {"a": "b"},
        "data": {**EVENT_TYPES[event_type].EXAMPLE, "technique": "t"},
    }
    found = [(module, form) for module, form in FORMS if form.fits(event)]
    assert found, f"no module sends {event_type}"
    for _, form in found:
        (made,) = form.read(form.write(event))
        assert made.event == {**near(event), "source": made.event["source"]}


async def test_a_wrong_row_is_named_by_index_id_and_its_own_field(client: httpx.AsyncClient, log: FakeLog) -> None:
    time = NOW.isoformat()
    rows = [
        {"kind": "call", "timestamp": time, "model": "m", "usage": {"input": 3}},
        {"kind": "call", "timestamp": time, "id": "bad-1", "model": "m", "usage": {"input": -3}},
        {"kind": "call", "timestamp": time, "id": 7, "usage": {"input": 3}},
        {"kind": "rout", "timestamp": time},
        {"kind": "route", "model": "m", "timestamp": "yesterday"},
        {"kind": "call", "model": "m", "timestamp": time, "latency_s": "quick"},
        {"kind": "call", "model": "m", "timestamp": time, "outcome": "maybe"},
        17,
    ]
    answer = await client.post("/v1/adapters/gateway", json=rows)
    told = answer.json()
    assert (answer.status_code, told["accepted"], told["rejected"]) == (202, 1, 7)
    assert [(error["index"], error["id"], error["field"]) for error in told["errors"]] == [
        (1, "bad-1", "usage.input"),
        (2, "7", "model"),
        (3, None, "kind"),
        (4, None, "timestamp"),
        (5, None, "latency_s"),
        (6, None, "outcome"),
        (7, None, ""),
    ]
    assert "did you mean 'route'" in told["errors"][2]["reason"]
    assert told["errors"][5]["reason"] == "must be one of success, ok, failure, error"
    (letter,) = log.dead_letters()
    kept = orjson.loads(reverse(letter))
    assert kept["door"] == "adapters/gateway"
    assert orjson.loads(kept["rows"][0]["original"]) == rows[1]


async def test_lines(client: httpx.AsyncClient, log: FakeLog) -> None:
    body = b'{"timestamp":1795177800000,"worker":"w-0"}\n\n{broken\n{"worker":"w-1"}'
    answer = await client.post("/v1/adapters/serving", content=body, headers={"content-type": "application/x-ndjson"})
    assert answer.json()["accepted"] == 1
    assert [(error["index"], error["field"]) for error in answer.json()["errors"]] == [(2, ""), (3, "timestamp")]
    assert log.events()[0]["worker"] == "w-0"


@pytest.mark.parametrize(
    ("path", "body", "content_type", "status", "said"),
    [
        ("/v1/adapters/gatway", b"[{}]", "application/json", 404, "did you mean 'gateway'"),
        ("/v1/adapters/gatway", b"[{}]", "application/json", 404, "observatory, registry"),
        ("/v1/adapters/gateway?version=9", b"[{}]", "application/json", 422, "known are 1, 2"),
        ("/v1/adapters/gateway", b"[]", "application/json", 400, "no events"),
        ("/v1/adapters/gateway", b"17", "application/json", 400, "no events"),
        ("/v1/adapters/gateway", b"{", "application/json", 400, "not JSON"),
        ("/v1/adapters/gateway", b"\n", "application/x-ndjson", 400, "no events"),
        ("/v1/adapters/gateway", b"{}", "text/plain", 415, "application/x-ndjson"),
    ],
)
async def test_what_is_refused(
    client: httpx.AsyncClient, log: FakeLog, path: str, body: bytes, content_type: str, status: int, said: str
) -> None:
    answer = await client.post(path, content=body, headers={"content-type": content_type})
    assert answer.status_code == status
    assert said in answer.json()["detail"]
    assert log.records == []


async def test_the_same_rows_for_another_module_are_another_request(client: httpx.AsyncClient, log: FakeLog) -> None:
    row = {"id": "r-1", "timestamp": NOW.isoformat(), "kind": "step", "step": "opened", "worker": "w"}
    for path in ("/v1/adapters/serving", "/v1/adapters/prompt-tools", "/v1/adapters/serving"):
        assert (await client.post(path, json=[row])).status_code == 202
    assert [event["type"] for event in log.events()] == ["serving.sample", "product.event"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def rows_like(module: str) -> st.SearchStrategy[dict[str, Any]]:
    """Rows of the fixtures with something else in some of their fields."""
    shown = [pair["row"] for name, version in NATIVE if name == module for pair in fixture(name, version)]
    names = sorted({name for row in shown for name in row})
    odd = st.dictionaries(st.sampled_from(names) | st.text(max_size=8), VALUES, max_size=4)
    return st.builds(lambda row, more: {**row, **more}, st.sampled_from(shown), odd)


ARRIVAL = Arrival("acme", NOW, NOW - timedelta(days=90), NOW + timedelta(days=1))


@settings(max_examples=40, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize(("module", "version"), NATIVE)
def test_any_row_becomes_events_or_is_refused(module: str, version: str, data: st.DataObject) -> None:
    rows = data.draw(st.lists(rows_like(module), min_size=1, max_size=3))
    adapter = MODULES[module]
    body = json.dumps(rows).replace("NaN", "null").replace("-Infinity", "null").replace("Infinity", "null")
    decoded = decode(body.encode(), ARRIVAL, Limits(), adapter=adapter, version=version, media_type="application/json")
    assert decoded.rows == len(rows)
    assert all(row.reason and row.index < len(rows) for row in decoded.rejected)
