"""Versions at the door: as they are, brought up to date, or refused; the same from every form of body."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pyarrow as pa
import pytest

from ingest.decode.arrow import decode_arrow
from ingest.decode.json import decode_json
from ingest.decode.ndjson import decode_ndjson
from ingest.intake import Intake
from ingest.limits import Limits
from schemas import versions
from schemas.catalogue import EVENT_TYPES
from schemas.versions import Columns, Step, renamed
from tests.ingest.fakes import FakeLog, sample


def split_price(columns: Columns) -> Columns:
    """2.0 → 3.0: whole cents become dollars."""
    rest = {name: values for name, values in columns.items() if name != "revenue_cents"}
    cents = columns.get("revenue_cents")
    return rest if cents is None else {**rest, "revenue_usd": [None if c is None else c / 100 for c in cents]}


STEPS = [
    Step("product.event", "1.0", "2.0", renamed(title="name"), {"name": "title"}),
    Step("product.event", "2.0", "3.0", split_price, {"revenue_usd": "revenue_cents"}),
]


@pytest.fixture
def third(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """``product.event`` is at 3.0, and its two older versions are read."""
    monkeypatch.setattr(EVENT_TYPES["product.event"], "VERSION", "3.0")
    versions.STEPS.extend(STEPS)
    yield
    versions.STEPS.clear()


def event(version: str | None, **data: Any) -> dict[str, Any]:
    made = sample(type="product.event", id=None)
    return {**made, "data": data, **({} if version is None else {"schema_version": version})}


ROWS = [
    event(None, title="viewed", revenue_cents=150),
    event("1.0", title="viewed", name="newer wins"),
    event("2.0", name="bought", revenue_cents=990),
    event("3.0", name="bought", revenue_usd=1.5),
    event("3.4", name="bought", colour="red"),
    event("4.0", name="bought"),
    event("1.0", title=""),
    event("2.0", name="bought", revenue_cents=-5),
    sample(id=None),
]
WRONG = [(5, "schema_version"), (6, "data.title"), (7, "data.revenue_cents")]


@pytest.mark.parametrize("copies", [1, 80])
def test_older_versions_become_the_newest(third: None, intake: Intake, copies: int) -> None:
    rows = ROWS * copies
    arrival = intake.arrival("acme", "events", "k")
    columns = {name: [row.get(name) for row in rows] for name in ("type", "source", "time", "schema_version")}
    table = pa.table({**columns, "data": [json.dumps(row["data"]) for row in rows]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    for decoded in (
        decode_json(orjson.dumps(rows), arrival, Limits()),
        decode_ndjson(b"\n".join(map(orjson.dumps, rows)), arrival, Limits()),
        decode_arrow(sink.getvalue().to_pybytes(), arrival, Limits()),
    ):
        assert [(row.index, row.field) for row in decoded.rejected[:3]] == WRONG
        assert "known are 1.x, 2.x, 3.x" in decoded.rejected[0].reason
        assert len(decoded.rejected) == 3 * copies
        kept = [
            (row["schema_version"], row["name"], row["data"], row["revenue_usd"])
            for row in decoded.table.to_pylist()
            if row["type"] == "product.event"
        ]
        assert set(kept) == {
            ("3.0", "viewed", None, 1.5),
            ("3.0", "newer wins", None, None),
            ("3.0", "bought", None, 9.9),
            ("3.0", "bought", None, 1.5),
            ("3.4", "bought", '{"colour":"red"}', None),
        }
        assert len(kept) == 5 * copies


async def test_originals_are_kept_as_they_came(third: None, client: httpx.AsyncClient, log: FakeLog) -> None:
    answer = (await client.post("/v1/events", json=[event("1.0", title="")])).json()
    assert [error["field"] for error in answer["errors"]] == ["data.title"]
    (letter,) = log.dead_letters()
    (row,) = orjson.loads(letter[::-1])["rows"]
    assert json.loads(row["original"])["data"] == {"title": ""}


@pytest.mark.parametrize("copies", [1, 80])
async def test_a_newer_minor_version_is_kept_and_a_newer_major_one_refused(
    client: httpx.AsyncClient, log: FakeLog, copies: int
) -> None:
    rows = [
        sample(id=None, schema_version="1.9", data={"invented": 1}),
        sample(id=None, schema_version="2.0"),
        sample(id=None),
        sample(id=None, schema_version=None),
    ] * copies
    body, headers = b"\n".join(map(orjson.dumps, rows)), {"content-type": "application/x-ndjson"}
    answer = (await client.post("/v1/events", content=body, headers=headers)).json()
    assert (answer["accepted"], answer["rejected"]) == (3 * copies, copies)
    assert answer["errors"][0]["index"] == 1
    assert answer["errors"][0]["reason"] == "2.0 of llm.request is not known; known are 1.x"
    kept = [(row["schema_version"], row["data"] and json.loads(row["data"])) for row in log.events()]
    assert sorted(kept, key=str) == sorted([("1.9", {"invented": 1}), ("1.0", None), ("1.0", None)] * copies, key=str)


async def test_current_versions_take_the_quick_way(intake: Intake) -> None:
    rows = [sample(id=None, schema_version=version) for version in ("1.0", "1.1", "1.2")] * 50
    body = b"\n".join(map(orjson.dumps, rows))
    decoded = decode_ndjson(body, intake.arrival("acme", "events", "k"), Limits())
    assert (decoded.path, decoded.table.num_rows) == ("fast", 150)


def test_an_older_version_is_upcast_once_a_body(monkeypatch: pytest.MonkeyPatch, intake: Intake) -> None:
    calls: list[int] = []

    def counting(columns: Columns) -> Columns:
        calls.append(len(next(iter(columns.values()))))
        return columns

    monkeypatch.setattr(EVENT_TYPES["product.event"], "VERSION", "2.0")
    monkeypatch.setattr(versions, "STEPS", versions.STEPS)
    versions.STEPS.append(Step("product.event", "1.0", "2.0", counting))
    try:
        body = orjson.dumps([event("1.0", name="x")] * 70)
        decode_json(body, intake.arrival("acme", "events"), Limits())
    finally:
        versions.STEPS.clear()
    assert calls == [70]
