"""Exports: every format holds every event."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from query_api.formats import encoder
from tests.semantic.rows import Event

Reader = Callable[[bytes], list[dict[str, Any]]]
READERS: dict[str, Reader] = {
    "csv": lambda body: list(csv.DictReader(io.StringIO(body.decode()))),
    "jsonl": lambda body: [json.loads(line) for line in body.splitlines()],
    "arrow": lambda body: pa.ipc.open_stream(body).read_all().to_pylist(),
    "parquet": lambda body: pq.read_table(io.BytesIO(body)).to_pylist(),
}


@pytest.mark.parametrize("form", READERS)
@pytest.mark.parametrize("zipped", [False, True])
async def test_every_event_once(acme: httpx.AsyncClient, events: list[Event], form: str, zipped: bool) -> None:
    answer = await acme.get("/v1/exports", params={"format": form, "from": "now-4d", "gzip": str(zipped).lower()})
    assert answer.status_code == 200, answer.text
    body = gzip.decompress(answer.content) if zipped else answer.content
    rows = READERS[form](body)
    assert len(rows) == len(events)
    assert sum(float(row["input_tokens"] or 0) for row in rows) == sum(row.get("input_tokens", 0) for row in events)
    assert {row["trace_id"] or None for row in rows} == {
        row["trace_id"].hex() if "trace_id" in row else None for row in events
    }


async def test_chosen_columns_and_filters(acme: httpx.AsyncClient, events: list[Event]) -> None:
    params = {
        "format": "jsonl",
        "from": "now-4d",
        "columns": "time,model,attributes.region,judge_model,attributes",
        "filter": "type:in:llm.request,evaluation.score",
        "limit": "50",
    }
    rows = READERS["jsonl"]((await acme.get("/v1/exports", params=params)).content)
    assert len(rows) == 50
    assert list(rows[0]) == ["time", "model", "attributes.region", "judge_model", "attributes"]
    assert rows[0]["time"].endswith("Z")


async def test_nothing(acme: httpx.AsyncClient) -> None:
    for form, read in READERS.items():
        params = {"format": form, "from": "now-30d", "to": "now-29d", "columns": "time,model"}
        assert read((await acme.get("/v1/exports", params=params)).content) == []


@pytest.mark.parametrize("form", READERS)
async def test_an_answer_as_a_file(acme: httpx.AsyncClient, form: str) -> None:
    question = {
        "measures": ["requests", "latency_p95"],
        "dimensions": ["model", "cache_hit"],
        "time": {"from": "now-4d"},
    }
    answer = await acme.post("/v1/query", json=question)
    file = await acme.post("/v1/exports", json={"question": question, "format": form, "gzip": form == "csv"})
    body = gzip.decompress(file.content) if form == "csv" else file.content
    assert [float(row["requests"]) for row in READERS[form](body)] == [row[2] for row in answer.json()["rows"]]


@pytest.mark.parametrize(
    "params",
    [
        {"format": "xlsx"},
        {"columns": "modle"},
        {"columns": "model,model"},
        {"columns": "input_messages"},
        {"limit": "0"},
    ],
)
async def test_mistakes(acme: httpx.AsyncClient, params: dict[str, str]) -> None:
    assert (await acme.get("/v1/exports", params=params)).status_code == 422


def test_formulas_are_disarmed() -> None:
    batch = pa.RecordBatch.from_pydict({"name": ["=1+1", "@x", "-2", "fine", None], "n": [-1, 2, 3, 4, 5]})
    writer = encoder("csv", batch.schema)
    text = (writer.add(batch) + writer.finish()).decode()
    assert text.splitlines()[1:] == ['"\'=1+1",-1', '"\'@x",2', '"\'-2",3', '"fine",4', ",5"]
    kept = encoder("csv", batch.schema, keep_formulas=True)
    assert '"=1+1",-1' in (kept.add(batch) + kept.finish()).decode()
