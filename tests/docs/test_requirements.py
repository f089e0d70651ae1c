"""The page of requirements names only what there is; what no other test shows of it goes through a real hub here."""

import ast
import functools
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import Route

from benchmarks.common import Hub
from core.metrics import Metrics
from hub.cli import COMMANDS
from ingest.doors import DOORS
from query_api.endpoints import ENDPOINTS
from schemas.catalogue import EVENT_TYPES
from schemas.columns import FIELDS
from schemas.json_schema import example
from semantic.dimensions import DIMENSIONS
from semantic.measures import MEASURES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "requirements.md").read_text()
_PATH = re.compile(r"`((?:tests|benchmarks|\.ci)/[^`:]+)(?:::(\w+))?`")
_ISSUE = re.compile(r"issue '([^']+)'")
_CODE = re.compile(r"`([^`]+)`")
METRICS = {f"{metric.name}_total" for metric in Metrics().registry.collect() if metric.type == "counter"}
NAMES = {
    *(measure.name for measure in MEASURES),
    *(dimension.name for dimension in DIMENSIONS),
    *FIELDS,
    *EVENT_TYPES,
    *METRICS,
    *(
        "compare",
        "granularity",
        "meta",
        "elapsed_ms",
        "rows_read",
        "Retry-After",
        "--out",
        "CHANGELOG.md",
        "docs/adr",
        "docs/releases.md",
    ),
}


def rows() -> list[list[str]]:
    """The cells of every row of every table, without heads and rules."""
    lines = [line for line in PAGE.splitlines() if line.startswith("|")]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [cells for cells in found if cells[0] != "line" and not set("".join(cells)) <= {"-"}]


ROWS = rows()


@functools.cache
def functions_of(path: str) -> frozenset[str]:
    """Names of the test functions of a file."""
    tree = ast.parse((ROOT / path).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds) and node.name.startswith("test_"))


def paths_served() -> set[str]:
    """The paths of doors and endpoints."""
    routes = (route for router in (*DOORS, *ENDPOINTS) for route in router.routes if isinstance(route, Route))
    return {"/", "/docs", "/openapi.json", *(re.sub(r"\{\w+(:\w+)?\}", "{}", route.path) for route in routes)}


def issues_of_the_page() -> set[str]:
    """The titles that the page lists at its top."""
    return set(re.findall(r"^- '([^']+)'", PAGE, re.MULTILINE))


def is_there(code: str) -> bool:
    """Whether what a page shows in code is an endpoint, a command, or a name of an event, measure or dimension."""
    if code.startswith("/"):
        return re.sub(r"\{\w+\}", "{}", code) in paths_served()
    if code.startswith("llm-hub "):
        return code.split()[1] in COMMANDS
    return code in NAMES


def comes_later(cells: list[str]) -> bool:
    """Whether a row says that it, or a part of it, is not there yet."""
    return bool(_ISSUE.search(cells[2])) or "open: " in cells[2] or "not the hub's: " in cells[2]


def test_there_is_a_table_for_every_roadmap() -> None:
    assert re.findall(r"^## (\d{3})", PAGE, re.MULTILINE) == ["000", "001", "002", "003", "004"]
    assert len(ROWS) > 150


def test_every_row_has_three_columns_and_an_answer() -> None:
    assert [cells for cells in ROWS if len(cells) != 3 or not all(cells)] == []
    assert [cells for cells in ROWS if not _PATH.search(cells[2]) and not comes_later(cells)] == []


def test_what_a_row_names_exists() -> None:
    named = {place for cells in ROWS for place in _PATH.findall(cells[2])}
    assert len(named) > 50
    assert [path for path, _ in named if not (ROOT / path).is_file()] == []
    assert [name for name in named if name[1] and name[1] not in functions_of(name[0])] == []
    issues = {issue for cells in ROWS for issue in _ISSUE.findall(cells[2])}
    assert issues == issues_of_the_page()


def test_what_the_hub_does_about_it_exists() -> None:
    codes = [(cells[0], code) for cells in ROWS for code in _CODE.findall(cells[1])]
    assert [(line, code) for line, code in codes if not is_there(code)] == []


# Through a real hub

NOW = datetime.now(UTC).replace(microsecond=0)
WIDE = {"from": "now-100d", "to": "now+1m"}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def event(kind: str, data: dict[str, Any], days_ago: int = 0, **envelope: Any) -> dict[str, Any]:
    moment = NOW - timedelta(days=days_ago, seconds=30)
    return {"type": kind, "source": "test", "time": moment.isoformat(), "data": data, **envelope}


def call(tokens: int = 1000, days_ago: int = 0, user: str = "u-1", **data: Any) -> dict[str, Any]:
    """A request that costs 2.50 dollars a million tokens."""
    plain = {"provider": "openai", "model": "gpt-4o", "input_tokens": tokens, "output_tokens": 0, "duration_ms": 500.0}
    return event("llm.request", plain | data, days_ago, user_id=user)


def span(kind: str, number: int, parent: int | None, data: dict[str, Any]) -> dict[str, Any]:
    place: dict[str, Any] = {"span_id": f"{number:016x}", "parent_span_id": f"{parent:016x}" if parent else None}
    return event(kind, data, trace_id=TRACE, **place)


#: Project → its events; a test asks for one project.
STORIES: dict[str, list[dict[str, Any]]] = {
    "rag": [
        span("span", 1, None, {"name": "POST /chat", "kind": "server", "service": "gateway", "duration_ms": 900.0}),
        span("gateway.route", 2, 1, {"model": "gpt-4o", "policy": "least_loaded", "worker": "w-0", "queue_ms": 4.0}),
        span("span", 3, 1, {"name": "answer", "kind": "chain", "service": "orchestrator", "duration_ms": 880.0}),
        span("retrieval.query", 4, 3, {"index": "handbook", "top_k": 4, "returned": 4, "document_ids": ["d-1", "d-2"]}),
        span("llm.request", 5, 3, {"provider": "openai", "model": "gpt-4o", "input_tokens": 400, "output_tokens": 40}),
        span("evaluation.score", 6, 3, {"evaluator": "groundedness", "score": 0.9, "passed": True, "kind": "rule"}),
    ],
    "routing": [
        event("gateway.route", {"model": "m", "policy": "token_aware", "worker": "w-0", "status": "ok"}),
        event("gateway.route", {"model": "m", "policy": "fallback", "fallback_from": "w-0", "worker": "w-1"}),
        event("gateway.route", {"model": "m", "policy": "fallback", "fallback_from": "w-0", "worker": "w-1"}),
        call(model="m-1", attempt=1, status="error", error_type="timeout"),
        call(model="m-1", attempt=2, status="error", error_type="timeout"),
        call(model="m-2", attempt=3, status="ok"),
        event("gateway.rate_limit", {"limit_name": "tokens", "action": "rejected", "retry_after_ms": 900}),
    ],
    "safety": [
        event("guardrail.check", {"policy": policy, "stage": stage, "verdict": verdict})
        for policy, stage, verdict in (("pii", "input", "block"), ("pii", "input", "pass"), ("bias", "output", "flag"))
    ],
    "workers": [
        event("serving.sample", {"worker": "w-0", "queue_depth": 2.0, "healthy": True}),
        event("serving.sample", {"worker": "w-1", "queue_depth": 9.0, "healthy": False}),
    ],
    "spending": [call(days_ago=days, user=user) for days, user in ((0, "u-1"), (1, "u-1"), (40, "u-2"))],
    "prompts": [
        call(technique="few_shot", intent="rewrite", prompt_id="p", prompt_version="2", variant="b", feature="enhance"),
        call(technique="few_shot", intent="rewrite", prompt_id="p", prompt_version="2", variant="b", feature="enhance"),
        call(technique="meta", intent="explain", prompt_id="p", prompt_version="1", variant="a", feature="analyze"),
        event("evaluation.score", {"evaluator": "clarity", "score": 0.9, "technique": "few_shot", "variant": "b"}),
        event("evaluation.score", {"evaluator": "clarity", "score": 0.4, "technique": "meta", "variant": "a"}),
    ],
    "scores": [event("evaluation.score", {"evaluator": "judge", "score": score}) for score in (1.0, 2.0, 4.0, 5.0)],
    "classifier": [
        event("evaluation.score", {"evaluator": "intent", "expected": "a", "predicted": name, "passed": name == "a",
                                   "label": name, "kind": "reference"})
        for name in ("a", "a", "a", "b")
    ],
    "journey": [
        *(event("product.event", {"name": "app_opened"}, user_id=f"u-{user}") for user in (1, 1, 2, 3)),
        *(event("product.event", {"name": "enhanced"}, user_id=f"u-{user}") for user in (1, 2)),
        event("product.event", {"name": "paid", "revenue_usd": 29}, user_id="u-2"),
        *(event("experiment.exposure", {"experiment_id": "x", "variant": v}, user_id=v) for v in ("a", "b")),
    ],
    "jobs": [
        event("job.run", {"job": "ingest", "pipeline": "nightly", "state": state, "rows": 40, "attempt": 1})
        for state in ("started", "succeeded", "failed", "succeeded", "succeeded")
    ],
    "satisfaction": [event("feedback.rating", {"label": label}) for label in ("up", "up", "up", "down")],
}  # fmt: skip


def everything() -> list[dict[str, Any]]:
    """The stories and the example of every type, each with an id of its own."""
    told = [one | {"project": project} for project, events in STORIES.items() for one in events]
    times = {"time": (NOW - timedelta(seconds=30)).isoformat()}
    more = {"project": "examples", "attributes": {"title": "t"}}
    shown = [example(kind) | times | more for kind in EVENT_TYPES]
    for one in shown:
        one["data"]["unknown_to_the_hub"] = [1, {"a": "b"}]
    return [one | {"id": f"0192f0c1-0000-7000-8000-{number:012x}"} for number, one in enumerate([*shown, *told])]


class Asker:
    """A hub that was told everything."""

    def __init__(self, hub: Hub) -> None:
        headers = {"Authorization": f"Bearer {hub.key}"}
        self._client = httpx.Client(base_url=hub.url, headers=headers, trust_env=False, timeout=30)
        self.events = everything()

    def tell(self) -> None:
        answer = self._client.post("/v1/events", json=self.events)
        assert answer.json() == {"accepted": len(self.events), "rejected": 0, "duplicates": 0, "errors": []}
        until = time.monotonic() + 30
        while self.ask("events")[0][0] < len(self.events):
            assert time.monotonic() < until, "accepted, but not seen"

    def get(self, path: str) -> Any:
        answer = self._client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def metric(self, name: str, labels: str) -> float:
        answer = self._client.get("/metrics")
        return float(answer.text.split(f"\n{name}{{{labels}}} ")[1].split("\n")[0])

    def ask(self, measures: str, by: str = "", project: str = "", *more: dict[str, Any], **rest: Any) -> Any:
        filters = [{"field": "project", "op": "eq", "values": [project]}] if project else []
        question = {"measures": measures.split(), "dimensions": by.split(), "time": WIDE, **rest}
        answer = self._client.post("/v1/query", json=question | {"filters": [*filters, *more]})
        assert answer.status_code == 200, answer.text
        return answer.json()["rows"]

    def close(self) -> None:
        self._client.close()


@pytest.fixture(scope="module")
def asker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    folder = tmp_path_factory.mktemp("requirements") / "data"
    folder.mkdir()
    hub = Hub(folder)
    hub.start()
    try:
        asker = Asker(hub)
        asker.tell()
        yield asker
        asker.close()
    finally:
        hub.kill()


@pytest.mark.slow
def test_every_event_type_is_visible_with_all_it_says(asker: Asker) -> None:
    assert asker.ask("events", "type", "examples") == [[kind, 1] for kind in sorted(EVENT_TYPES)]
    for sent in asker.events[: len(EVENT_TYPES)]:
        kept = asker.get(f"/v1/events/{sent['id']}")
        assert all(kept[name] == sent[name] for name in ("type", "source", "project", "attributes"))
        for name, value in sent["data"].items():
            assert kept["data"][name] == (pytest.approx(value, rel=1e-6) if isinstance(value, float) else value)


@pytest.mark.slow
def test_a_request_is_one_tree_across_modules(asker: Asker) -> None:
    trace = asker.get(f"/v1/traces/{TRACE}")
    (root,) = trace["spans"]
    children = {child["type"]: child for child in root["children"]}
    assert set(children) == {"gateway.route", "span"}
    below = {child["type"] for child in children["span"]["children"]}
    assert below == {"retrieval.query", "llm.request", "evaluation.score"}
    assert trace["cost_usd"] == pytest.approx(400 * 2.5e-6 + 40 * 10e-6)


@pytest.mark.slow
def test_routing_fallback_and_rejections(asker: Asker) -> None:
    routes = {"field": "type", "op": "eq", "values": ["gateway.route"]}
    assert asker.ask("events", "policy worker", "routing", routes) == [
        ["fallback", "w-1", 2],
        ["token_aware", "w-0", 1],
    ]
    assert asker.ask(
        "events", "fallback_from", "routing", {"field": "fallback_from", "op": "exists", "values": []}
    ) == [["w-0", 2]]
    assert asker.ask("rate_limited", "action", "routing", {"field": "action", "op": "exists", "values": []}) == [
        ["rejected", 1]
    ]


@pytest.mark.slow
def test_retries_and_availability_by_model(asker: Asker) -> None:
    calls = {"field": "type", "op": "eq", "values": ["llm.request"]}
    assert asker.ask("requests errors", "attempt", "routing", calls) == [[1, 1, 1], [2, 1, 1], [3, 1, 0]]
    assert asker.ask("error_rate", "model provider", "routing", calls) == [["m-1", "openai", 1], ["m-2", "openai", 0]]
    failed = {"field": "status", "op": "eq", "values": ["error"]}
    assert asker.ask("errors", "error_class", "routing", calls, failed) == [["timeout", 2]]


@pytest.mark.slow
def test_guardrails_by_policy_and_stage(asker: Asker) -> None:
    asked = asker.ask("guardrail_checks guardrail_block_rate guardrail_flag_rate", "policy stage", "safety")
    assert asked == [["bias", "output", 1, 0, 1], ["pii", "input", 2, 0.5, 0.5]]


@pytest.mark.slow
def test_health_and_queue_of_each_worker(asker: Asker) -> None:
    assert asker.ask("queue_depth_avg", "worker healthy", "workers") == [["w-0", True, 2], ["w-1", False, 9]]


@pytest.mark.slow
def test_costs_by_day_week_month_model_and_user(asker: Asker) -> None:
    for granularity in ("1d", "1w", "1M"):
        found = asker.ask("cost_usd", "", "spending", granularity=granularity)
        assert sum(row[1] for row in found) == pytest.approx(0.0075)
        assert sum(row[1] > 0 for row in found) >= 2
    assert asker.ask("cost_usd", "model", "spending") == [["gpt-4o", pytest.approx(0.0075)]]
    assert asker.ask("cost_usd", "user_id", "spending") == [
        ["u-1", pytest.approx(0.005)],
        ["u-2", pytest.approx(0.0025)],
    ]


@pytest.mark.slow
def test_prompts_techniques_intents_and_variants_compare(asker: Asker) -> None:
    for name, values in {
        "technique": {"few_shot": 2, "meta": 1},
        "intent": {"rewrite": 2, "explain": 1},
        "prompt_version": {"2": 2, "1": 1},
        "feature": {"enhance": 2, "analyze": 1},
    }.items():
        calls = {"field": "type", "op": "eq", "values": ["llm.request"]}
        assert dict(asker.ask("requests", name, "prompts", calls)) == values
    assert asker.ask("requests evaluation_score_avg", "variant", "prompts") == [
        ["a", 1, pytest.approx(0.4)],
        ["b", 2, pytest.approx(0.9)],
    ]
    assert dict(asker.ask("evaluation_score_avg", "technique", "prompts")) == pytest.approx(
        {"few_shot": 0.9, "meta": 0.4}
    )


@pytest.mark.slow
def test_low_and_high_scores_are_counted(asker: Asker) -> None:
    assert asker.ask("evaluations", "", "scores", {"field": "score", "op": "lt", "values": [3]}) == [[2]]
    assert asker.ask("evaluations", "", "scores", {"field": "score", "op": "gte", "values": [4]}) == [[2]]


@pytest.mark.slow
def test_accuracy_of_a_classifier(asker: Asker) -> None:
    assert asker.ask("evaluation_pass_rate", "evaluator", "classifier") == [["intent", 0.75]]
    assert asker.ask("evaluations", "label", "classifier") == [["a", 3], ["b", 1]]


@pytest.mark.slow
def test_steps_of_a_journey_exposures_and_revenue(asker: Asker) -> None:
    steps = {"field": "type", "op": "eq", "values": ["product.event"]}
    assert asker.ask("users events revenue_usd", "name", "journey", steps) == [
        ["app_opened", 3, 4, 0],
        ["enhanced", 2, 2, 0],
        ["paid", 1, 1, 29],
    ]
    shown = {"field": "type", "op": "eq", "values": ["experiment.exposure"]}
    assert asker.ask("users", "experiment_id variant", "journey", shown) == [["x", "a", 1], ["x", "b", 1]]


@pytest.mark.slow
def test_jobs_and_their_failures(asker: Asker) -> None:
    assert asker.ask("job_failure_rate", "job", "jobs") == [["ingest", 0.25]]
    assert dict(asker.ask("events", "state", "jobs")) == {"started": 1, "succeeded": 3, "failed": 1}


@pytest.mark.slow
def test_satisfaction_of_users(asker: Asker) -> None:
    assert asker.ask("feedback_up_rate", "", "satisfaction") == [[0.75]]


@pytest.mark.slow
def test_prometheus_counts_tokens_and_cost(asker: Asker) -> None:
    asked = asker.ask("input_tokens cost_usd", "model", "", {"field": "type", "op": "eq", "values": ["llm.request"]})
    ((tokens, cost),) = ([row[1], row[2]] for row in asked if row[0] == "gpt-4o")
    assert asker.metric("llm_gateway_token_usage_total", 'kind="input",model="gpt-4o"') == tokens
    assert asker.metric("llm_gateway_cost_usd_total", 'model="gpt-4o"') == pytest.approx(cost)
