"""The examples run as they stand, against a real hub, and the hub sees what they say."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import llm_hub
from benchmarks.common import Hub
from examples.rag_service import answer
from llm_hub.testing import MemoryClient

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow
PATIENCE = 60.0


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hub") / "data"
    folder.mkdir()
    hub = Hub(folder)
    hub.start()
    yield hub
    hub.kill()


def run(hub: Hub, name: str) -> str:
    path = os.pathsep.join([str(ROOT / "sdk" / "python" / "src")])
    env = {**os.environ, "PYTHONPATH": path, "LLM_HUB_URL": hub.url, "LLM_HUB_KEY": hub.key}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / name)],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def asked(hub: Hub, project: str, count: int, measures: list[str], dimension: str) -> dict[Any, list[Any]]:
    """A question about a project, once ``count`` events are there."""
    question: dict[str, Any] = {
        "measures": ["events", *measures],
        "dimensions": [dimension],
        "time": {"from": "now-1h", "to": "now+1m"},
        "filters": [{"field": "project", "op": "in", "values": [project]}],
    }
    until = time.monotonic() + PATIENCE
    while True:
        rows = hub.ask(question)["rows"]
        if sum(row[1] for row in rows) >= count:
            return {row[0]: row[1:] for row in rows}
        assert time.monotonic() < until, rows


@pytest.mark.parametrize("name", ["rag_service.py", "prompt_assistant.py"])
def test_they_are_short(name: str) -> None:
    assert len((ROOT / "examples" / name).read_text().splitlines()) < 100


def test_rag_service(hub: Hub) -> None:
    out = run(hub, "rag_service.py")
    assert "When are orders shipped? → Orders are shipped within one day" in out
    assert "Tell me a password → I cannot help" in out
    assert "'dropped': {}" in out
    types = {
        "span": 3,
        "gateway.route": 3,
        "guardrail.check": 5,
        "retrieval.query": 2,
        "llm.request": 2,
        "evaluation.score": 2,
        "feedback.rating": 2,
    }
    rows = asked(hub, "support", sum(types.values()), ["feedback_up_rate", "guardrail_block_rate"], "type")
    assert {kind: row[0] for kind, row in rows.items()} == types
    assert rows["feedback.rating"][1] == 0.5
    assert rows["guardrail.check"][2] == 0.2


def test_prompt_assistant(hub: Hub) -> None:
    out = run(hub, "prompt_assistant.py")
    rows = asked(hub, "assistant", 1_000, ["requests", "feedback_up_rate", "cost_usd"], "variant")
    assert set(rows) == {"control", "examples"}
    assert sum(row[1] for row in rows.values()) == 200
    assert rows["examples"][2] > rows["control"][2]
    assert min(row[3] for row in rows.values()) > 0
    for variant, row in rows.items():
        assert f"{variant}: {row[1]} users, {row[1]} requests" in out


def test_a_question_is_one_trace() -> None:
    with MemoryClient(source="rag") as hub:
        answer(hub, "When are orders shipped?", "u-1")
        root = hub.of("span")[0]
        assert {event["trace_id"] for event in hub.events} == {root["trace_id"]}
        assert {event.get("parent_span_id") for event in hub.events} == {None, root["span_id"]}
        assert llm_hub.get_client() is not None
