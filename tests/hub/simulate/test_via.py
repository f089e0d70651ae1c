"""The same seed through every door gives the same answers."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.errors import SettingsError
from hub.simulate import Simulation, SimulationConfig, simulate
from hub.simulate.via import DOORS, VIA, speech
from tests.hub.running import EVERYTHING, PATIENCE, served

CONFIG = SimulationConfig(
    seed=7,
    rate=20,
    start=datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=10),
    duration=timedelta(seconds=120),
    scenario="token_leak",
)
WIDE = {"from": "now-2h", "to": "now+1h"}
OF_METRICS = [{"field": "type", "op": "eq", "values": ["metric.sample"]}]
TOKENS = ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_write_input_tokens"]
QUESTIONS: list[dict[str, Any]] = [
    {"measures": ["events", "errors", "users", "sessions", "latency_avg", "latency_p95"], "dimensions": ["type"]},
    {"measures": ["events", "traces"], "dimensions": ["project", "environment", "attributes.region"]},
    {"measures": ["requests", "errors", "total_tokens", "reasoning_output_tokens", "unpriced_requests", *TOKENS]},
    {"measures": ["cost_usd", "requests", "ttft_p50", "tokens_per_second", *TOKENS], "dimensions": ["model"]},
    {"measures": ["requests", "cost_usd"], "dimensions": ["provider", "status", "error_type", "http_status_code"]},
    {"measures": ["requests", *TOKENS], "dimensions": ["feature", "intent", "technique", "prompt_id", "variant"]},
    {"measures": ["requests", "cost_usd"], "dimensions": ["attempt", "stream", "finish_reason"]},
    {"measures": ["requests", "input_tokens"], "dimensions": ["user_id"]},
    {"measures": ["tool_calls", "tool_errors"], "dimensions": ["tool_name"]},
    {"measures": ["agent_runs", "latency_p50"], "dimensions": ["agent_name"]},
    {"measures": ["retrievals", "retrieval_returned_avg", "retrieval_score_avg"], "dimensions": ["index"]},
    {"measures": ["guardrail_checks", "guardrail_block_rate"], "dimensions": ["policy", "stage"]},
    {"measures": ["evaluations", "evaluation_score_avg", "evaluation_pass_rate"], "dimensions": ["evaluator", "kind"]},
    {"measures": ["feedbacks", "feedback_avg", "feedback_up_rate"], "dimensions": ["prompt_version"]},
    {"measures": ["events", "value_avg"], "dimensions": ["name"], "filters": OF_METRICS},
    {"measures": ["events"], "dimensions": ["severity"]},
    {"measures": ["queue_depth_avg", "gpu_utilization_avg", "deployments", "revenue_usd", "job_failure_rate"]},
]


def answers(url: str, admin: httpx.Client, via: str) -> list[Any]:
    """What a tenant of its own is answered once the simulation has come in through one door."""
    admin.post("/v1/tenants", json={"id": via, "name": via})
    body = {"tenant": via, "role": "admin", "scopes": ["ingest", "query", "admin"]}
    key = admin.post("/v1/keys", json=body).json()["key"]
    outcome = asyncio.run(simulate(CONFIG, url=url, key=key, via=via))
    assert outcome.totals["default"].rejected == 0, outcome.totals["default"]
    assert outcome.totals["default"].accepted == outcome.events
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE) as client:
        assert count(client, outcome.events) == outcome.events
        return [ask(client, question) for question in QUESTIONS]


def ask(client: httpx.Client, question: dict[str, Any]) -> list[Any]:
    """The rows of an answer, in an order that does not depend on equal values."""
    answer = client.post("/v1/query", json={"limit": 10_000, **question, "time": WIDE})
    assert answer.status_code == 200, answer.text
    assert 0 < len(answer.json()["rows"]) < 10_000, question
    return sorted(answer.json()["rows"], key=str)


def count(client: httpx.Client, at_least: int) -> int:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        rows = client.post("/v1/query", json=EVERYTHING).json()["rows"]
        if rows and rows[0][0] >= at_least:
            return int(rows[0][0])
    raise AssertionError("the events did not come")


def test_the_same_seed_gives_the_same_answers_through_every_door(tmp_path: Path) -> None:
    with served(tmp_path / "data") as url:
        key = (tmp_path / "data" / "admin.key").read_text().strip()
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE) as admin:
            told = {via: answers(url, admin, via) for via in DOORS}
    expected = [[[near(value) for value in row] for row in rows] for rows in told["events"]]
    for via in DOORS:
        for question, mine, wanted in zip(QUESTIONS, told[via], expected, strict=True):
            assert mine == wanted, (via, question)


def near(value: Any) -> Any:
    return pytest.approx(value, rel=1e-9) if isinstance(value, float) else value


def test_every_door_says_every_event() -> None:
    batch = [event for batch in Simulation(CONFIG).batches(5000) for event in batch.events]
    for name, speak in VIA.items():
        bodies = speak(batch)
        said = b"".join(body.content for body in bodies)
        assert sum(body.items for body in bodies) == len(batch)
        if name != "otlp":  # spans have no other id than their own
            assert all(event["id"].encode() in said for event in batch[:50])


def test_a_door_nobody_knows_is_named() -> None:
    with pytest.raises(SettingsError, match="the doors are events, otlp, cloudevents, adapters, sdk"):
        speech("fax")


async def test_files_hold_events_only(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="to a hub"):
        await simulate(CONFIG, out=tmp_path / "a.ndjson", via="adapters")
