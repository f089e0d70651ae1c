"""Langfuse's and LiteLLM's own libraries, each in its own environment, against a whole hub."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from benchmarks.common import ROOT, Hub
from ingest.langfuse.events import trace_hex
from tests.docs.test_adapters_page import variables
from tests.docs.test_guides import GRPC, grpc_address
from tests.hub.running import PATIENCE
from tests.providers import Answer, both, providers

pytestmark = pytest.mark.slow

#: What the scripts tell of a call by hand.
BY_HAND = [1, 0, 120, 64, 30, pytest.approx((56 * 2.5 + 64 * 1.25 + 30 * 10) / 1e6)]
UNCACHED_MINI = [1, 0, 120, 0, 30, pytest.approx((120 * 0.15 + 30 * 0.6) / 1e6)]
#: Of the provider's usage of :mod:`tests.providers`: what a call costs, what its parts are.
_GPT_4O = (300 * 2.5 + 512 * 1.25 + 96 * 10) / 1e6
GPT_4O = [1, 0, 812, 512, 96, pytest.approx(_GPT_4O)]
TWO_GPT_4O = [2, 0, 1624, 1024, 192, pytest.approx(2 * _GPT_4O)]
GPT_4O_MINI = [1, 0, 812, 512, 96, pytest.approx((300 * 0.15 + 512 * 0.075 + 96 * 0.6) / 1e6)]
CLAUDE = [1, 0, 812, 512, 96, pytest.approx((200 * 3 + 512 * 0.3 + 100 * 3.75 + 96 * 15) / 1e6)]
FAILED = [1, 1, 0, 0, 0, 0]
EMBEDDING = [0, 0, 7, 0, 0, pytest.approx(7 * 0.02 / 1e6)]
MEASURES = ["requests", "errors", "input_tokens", "cache_read_input_tokens", "output_tokens", "cost_usd"]


@dataclass
class Run:
    """A script of tests/clients: where it runs, what it is told, and which variables of the page it has."""

    venv: str
    script: str
    arguments: tuple[str, ...] = ()
    recipe: str = "langfuse"


RUNS = {
    "langfuse 2": Run("langfuse-2", "langfuse_batches"),
    "langfuse 4": Run("litellm", "langfuse_otlp"),
    "langfuse 5": Run("langfuse-5", "langfuse_otlp"),
    "litellm, the hub's callback": Run("litellm", "litellm_calls", ("hub", "u-hub"), ""),
    "litellm, otel by HTTP": Run("litellm", "litellm_calls", ("otel", "u-http"), "litellm-http"),
    "litellm, otel by gRPC": Run("litellm", "litellm_calls", ("otel", "u-grpc"), "litellm-grpc"),
    "litellm, langfuse": Run("litellm", "litellm_calls", ("langfuse", "u-langfuse")),
    "litellm, langfuse_otel": Run("litellm", "litellm_calls", ("langfuse_otel", "u-langfuse-otel")),
}


@dataclass
class Sent:
    """What the scripts sent: to which tenant each, and what each said in the end."""

    hub: Hub
    keys: dict[str, str]
    told: dict[str, Any]

    def client(self, name: str) -> httpx.Client:
        """A client that sees what a script sent."""
        headers = {"Authorization": f"Bearer {self.keys[name]}"}
        return httpx.Client(base_url=self.hub.url, headers=headers, trust_env=False, timeout=PATIENCE)

    def calls(self, name: str, least: int) -> dict[tuple[str, str, str], list[Any]]:
        """Calls by user, session and model, once there are ``least`` of them."""
        question = {"measures": MEASURES, "dimensions": ["user_id", "session_id", "model"]}
        question["filters"] = [{"field": "type", "op": "in", "values": ["llm.request", "llm.embedding"]}]  # type: ignore[assignment]
        question["time"] = {"from": "now-1h", "to": "now+1h"}  # type: ignore[assignment]
        until, found = time.monotonic() + 30, dict[tuple[str, str, str], list[Any]]()
        with self.client(name) as client:
            while len(found) < least and time.monotonic() < until:
                answer = client.post("/v1/query", json=question)
                assert answer.status_code == 200, answer.text
                found = {(user, session, model): values for user, session, model, *values in answer.json()["rows"]}
        return found

    def tree(self, name: str, trace: str) -> Any:
        """The names of a trace's spans below one another, and the spans by name."""
        spans: dict[str, Any] = {}

        def shape(span: dict[str, Any]) -> Any:
            title = f"{span['type']} {span['name']}"
            spans[title + (" " + span["status"] if span["status"] == "error" else "")] = span
            return (title, [shape(child) for child in span["children"]]) if span["children"] else title

        with self.client(name) as client:
            answer = client.get(f"/v1/traces/{trace}")
            assert answer.status_code == 200, answer.text
            return [shape(span) for span in answer.json()["spans"]], spans


def limited(path: str, asked: dict[str, Any]) -> Answer:
    """The providers, with a model that is over its limit."""
    if asked["model"] == "gpt-none":
        error = {"message": "slow down", "type": "rate_limit", "code": "rate_limit_exceeded"}
        return 429, {"error": error}
    return both(path, asked)


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sent]:
    """All scripts run at the same time, each for a tenant of its own."""
    environments = os.environ.get("LLM_HUB_TEST_CLIENTS")
    if not environments:
        pytest.skip("the libraries of others: tests/clients/install FOLDER, and LLM_HUB_TEST_CLIENTS=FOLDER")
    folder = tmp_path_factory.mktemp("clients") / "data"
    folder.mkdir()
    hub = Hub(folder, GRPC)
    hub.start()
    try:
        with providers(limited) as provider:
            keys = {name: tenant(hub, f"tenant-{number}") for number, name in enumerate(RUNS)}
            processes = {
                name: subprocess.Popen(
                    [
                        f"{environments}/{run.venv}/bin/python",
                        f"tests/clients/{run.script}.py",
                        *run.arguments,
                    ],
                    cwd=ROOT,
                    env=environment(hub, keys[name], provider.url, run.recipe),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                for name, run in RUNS.items()
            }
            outputs = {name: process.communicate(timeout=3 * PATIENCE) for name, process in processes.items()}
        failed = {name: outputs[name][1] for name, process in processes.items() if process.returncode}
        assert not failed
        yield Sent(hub, keys, {name: json.loads(out) if out else None for name, (out, _) in outputs.items()})
    finally:
        hub.kill()


def tenant(hub: Hub, name: str) -> str:
    """The key of a new tenant."""
    headers = {"Authorization": f"Bearer {hub.key}"}
    wanted = {"tenant": name, "role": "developer", "scopes": ["ingest", "query"], "expires": None}
    with httpx.Client(base_url=hub.url, headers=headers, trust_env=False) as client:
        assert client.post("/v1/tenants", json={"id": name, "name": name}).status_code == 201
        return str(client.post("/v1/keys", json=wanted).json()["key"])


def environment(hub: Hub, key: str, provider: str, recipe: str) -> dict[str, str]:
    """What the page of adapters tells a user to set, and nothing else."""
    found = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    found |= {"PROVIDER": provider, "NO_PROXY": "127.0.0.1", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    found |= {"LLM_HUB_URL": hub.url, "LLM_HUB_KEY": key}
    told = variables(recipe, found) if recipe else {}
    return found | {name: value.replace("127.0.0.1:4317", grpc_address(hub)) for name, value in told.items()}


@pytest.mark.parametrize(
    ("name", "session"),
    [
        ("litellm, the hub's callback", "s-u-hub"),
        ("litellm, otel by HTTP", None),  # its callback does not tell it
        ("litellm, otel by gRPC", None),
        ("litellm, langfuse", "s-u-langfuse"),
        ("litellm, langfuse_otel", "s-u-langfuse-otel"),
    ],
)
def test_litellm(sent: Sent, name: str, session: str | None) -> None:
    user = RUNS[name].arguments[1]
    expected = {
        "gpt-4o": GPT_4O,
        "gpt-4o-mini": GPT_4O_MINI,
        "text-embedding-3-small": EMBEDDING,
        "gpt-none": FAILED,
        "claude-sonnet-4-0": CLAUDE,
    }
    if name == "litellm, langfuse":
        expected["text-embedding-3-small"] = [1, *EMBEDDING[1:]]  # a generation, LiteLLM says
    assert sent.calls(name, 5) == {(user, session, model): values for model, values in expected.items()}


def test_langfuse_in_batches(sent: Sent) -> None:
    name = "langfuse 2"
    assert sent.calls(name, 4) == {
        ("u-1", "s-1", "gpt-4o"): [2, 1, *BY_HAND[2:]],
        ("u-2", "s-2", "gpt-4o-mini"): UNCACHED_MINI,
        ("u-3", "s-3", "gpt-4o-2024-08-06"): TWO_GPT_4O,
        ("u-3", "s-3", "gpt-none"): FAILED,
    }
    told = sent.told[name]
    shape, spans = sent.tree(name, trace_hex(told["by_hand"]))
    answer = ("llm.request gpt-4o", ["evaluation.score faithfulness"])
    inner = ["span cache-miss", answer, "llm.request gpt-4o"]
    assert shape == [("span support", [("span retrieve", inner), "evaluation.score tone"])]
    call = spans["llm.request gpt-4o"]
    assert call["data"]["temperature"] == 0.2
    assert 0 < call["data"]["time_to_first_token_ms"] < call["duration_ms"]
    failed = spans["llm.request gpt-4o error"]
    assert failed["data"]["error_type"] == "429: slow down"
    with sent.client(name) as client:
        event = client.get(f"/v1/events/{call['id']}").json()
        assert "It arrives on Monday." in str(event["data"]["output_messages"])
        score = client.get(f"/v1/events/{spans['evaluation.score faithfulness']['id']}").json()
        assert score["data"]["target_event_id"] == call["id"]
    shape, _ = sent.tree(name, trace_hex(told["decorated"]))
    assert shape == [("span decorated", ["llm.request gpt-4o-mini"])]


@pytest.mark.parametrize("name", ["langfuse 4", "langfuse 5"])
def test_langfuse_by_otlp(sent: Sent, name: str) -> None:
    assert sent.calls(name, 4) == {
        ("u-1", "s-1", "gpt-4o"): [2, 1, *BY_HAND[2:]],
        ("u-2", "s-2", "gpt-4o-mini"): UNCACHED_MINI,
        ("u-3", "s-3", "gpt-4o-2024-08-06"): TWO_GPT_4O,
        ("u-3", "s-3", "gpt-none"): FAILED,
    }
    told = sent.told[name]
    shape, spans = sent.tree(name, told["by_hand"])
    answer = ("llm.request gpt-4o", ["evaluation.score faithfulness"])
    assert shape == [
        ("span support", ["retrieval.query retrieval.query", answer, "llm.request gpt-4o", "tool.call get_order"])
    ]
    call = spans["llm.request gpt-4o"]
    assert (call["data"]["temperature"], call["data"]["max_tokens"]) == (0.2, 64)
    with sent.client(name) as client:
        event = client.get(f"/v1/events/{call['id']}").json()
        assert "It arrives on Monday." in str(event["data"]["output_messages"])
        score = client.get(f"/v1/events/{spans['evaluation.score faithfulness']['id']}").json()
        assert score["data"]["target_event_id"] == call["id"]
    shape, _ = sent.tree(name, told["decorated"])
    assert shape == [("agent.run decorated", ["llm.request gpt-4o-mini"])]
