"""Real clients, real instrumentations, the real exporter and a whole hub; only the providers answer from memory."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import anthropic
import openai
import pytest
from genai_prices import Usage, calc_price
from openinference.instrumentation.openai import OpenAIInstrumentor as OpenInference
from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor
from opentelemetry.instrumentation.openai import OpenAIInstrumentor as OpenLLMetry

from tests.e2e.instrumented import Bench, benched
from tests.providers import providers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the instrumentations, not of the hub
]

TOOL = {"type": "function", "function": {"name": "get_order", "parameters": {"type": "object", "properties": {}}}}
MESSAGES: Any = [{"role": "user", "content": "Where is my order?"}]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with benched(tmp_path_factory.mktemp("hub") / "data") as bench:
        yield bench


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with providers() as made:
        yield made.url


@pytest.fixture
def gpt(provider: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="sk-test", base_url=f"{provider}/v1", max_retries=0) as client:
        yield client


@pytest.fixture
def claude(provider: str) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="sk-test", base_url=provider, max_retries=0) as client:
        yield client


def price(provider: str, model: str, **usage: int) -> float:
    return float(calc_price(Usage(**usage), model, provider_id=provider).total_price)


INSTRUMENTORS = pytest.mark.parametrize(
    "instrumentor", [OpenInference, OpenLLMetry], ids=["openinference", "openllmetry"]
)


@INSTRUMENTORS
def test_a_chat(bench: Bench, gpt: openai.OpenAI, instrumentor: Callable[[], Any]) -> None:
    with bench.traced(instrumentor) as traced:
        gpt.chat.completions.create(model="gpt-4o", messages=MESSAGES, temperature=0.2)
    (span,) = traced.spans(1)
    data = span["data"]
    assert span["type"] == "llm.request"
    assert (data["provider"], data["input_tokens"], data["output_tokens"]) == ("openai", 812, 96)
    assert data["cache_read_input_tokens"] == 512
    assert data["temperature"] == 0.2
    assert "gpt-4o" in (data["model"], data["model"].removesuffix("-2024-08-06"))
    event = traced.event(span)
    assert (event["session_id"], event["user_id"], event["source"]) == ("s-1", "u-1", "shop")
    assert "Where is my order?" in str(event["data"]["input_messages"])
    assert "hello" in str(event["data"]["output_messages"])
    expected = price("openai", "gpt-4o-2024-08-06", input_tokens=812, cache_read_tokens=512, output_tokens=96)
    requests, tokens, cost = bench.ask(traced.trace_id, ["requests", "total_tokens", "cost_usd"])
    assert (requests, tokens) == (1, 908)
    assert Decimal(str(cost)) == pytest.approx(Decimal(str(expected)), abs=Decimal("1e-9"))


@INSTRUMENTORS
def test_a_stream(bench: Bench, gpt: openai.OpenAI, instrumentor: Callable[[], Any]) -> None:
    with bench.traced(instrumentor) as traced:
        stream = gpt.chat.completions.create(
            model="gpt-4o", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        assert len(list(stream)) == 5
    (span,) = traced.spans(1)
    data = span["data"]
    assert (span["type"], data["input_tokens"], data["output_tokens"]) == ("llm.request", 812, 96)
    assert data["stream"] is True
    assert 0 <= data["time_to_first_token_ms"] <= data["duration_ms"]


@INSTRUMENTORS
def test_tools(bench: Bench, gpt: openai.OpenAI, instrumentor: Callable[[], Any]) -> None:
    with bench.traced(instrumentor) as traced:
        gpt.chat.completions.create(model="gpt-4o", messages=MESSAGES, tools=[TOOL])  # type: ignore[call-overload]
    (span,) = traced.spans(1)
    contents = traced.event(span)["data"]
    assert "get_order" in str(contents["tools"])
    assert "call_1" in str(contents["output_messages"])


@INSTRUMENTORS
def test_embeddings(bench: Bench, gpt: openai.OpenAI, instrumentor: Callable[[], Any]) -> None:
    with bench.traced(instrumentor) as traced:
        gpt.embeddings.create(model="text-embedding-3-small", input="refund policy")
    (span,) = traced.spans(1)
    assert span["type"] == "llm.embedding"
    assert (span["data"]["model"], span["data"]["input_tokens"]) == ("text-embedding-3-small", 7)
    assert span["cost_usd"] == pytest.approx(price("openai", "text-embedding-3-small", input_tokens=7))


@INSTRUMENTORS
def test_an_error(bench: Bench, gpt: openai.OpenAI, instrumentor: Callable[[], Any]) -> None:
    with bench.traced(instrumentor) as traced, pytest.raises(openai.RateLimitError):
        gpt.chat.completions.create(model="status-429", messages=MESSAGES)
    (span,) = traced.spans(1)
    assert (span["type"], span["status"], span["data"]["error_type"]) == ("llm.request", "error", "RateLimitError")


def test_two_instrumentations_of_one_client_count_a_call_once(bench: Bench, gpt: openai.OpenAI) -> None:
    with bench.traced(OpenInference, OpenLLMetry) as traced:
        gpt.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    outer, inner = traced.spans(2)
    assert (outer["type"], inner["type"]) == ("span", "llm.request")
    assert traced.event(outer)["attributes"]["llm_hub.reconciled"] == inner["span_id"]
    assert bench.ask(traced.trace_id, ["requests", "input_tokens", "output_tokens"]) == [1, 812, 96]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_anthropic(bench: Bench, claude: anthropic.Anthropic, streamed: bool) -> None:
    with bench.traced(AnthropicInstrumentor) as traced:
        answer: Any = claude.messages.create(
            model="claude-sonnet-4-0", max_tokens=64, messages=MESSAGES, stream=streamed
        )
        if streamed:
            list(answer)
    (span,) = traced.spans(1)
    data = span["data"]
    assert (span["type"], data["provider"], data["model"]) == ("llm.request", "anthropic", "claude-sonnet-4-0")
    output = 97 if streamed else 96  # the instrumentation adds up what a stream says first and what it says last
    assert (data["input_tokens"], data["output_tokens"]) == (812, output)
    assert (data["cache_read_input_tokens"], data["cache_write_input_tokens"]) == (512, 100)
    expected = price(
        "anthropic",
        "claude-sonnet-4-0",
        input_tokens=812,
        cache_read_tokens=512,
        cache_write_tokens=100,
        output_tokens=output,
    )
    assert span["cost_usd"] == pytest.approx(expected, abs=1e-9)
    assert "Where is my order?" in str(traced.event(span)["data"]["input_messages"])


def test_anthropics_tools_and_errors(bench: Bench, claude: anthropic.Anthropic) -> None:
    tool: Any = {"name": "get_order", "description": "d", "input_schema": {"type": "object", "properties": {}}}
    with bench.traced(AnthropicInstrumentor) as traced:
        claude.messages.create(model="claude-sonnet-4-0", max_tokens=64, messages=MESSAGES, tools=[tool])
        with pytest.raises(anthropic.APIStatusError):
            claude.messages.create(model="status-529", max_tokens=64, messages=MESSAGES)
    good, bad = traced.spans(2)
    assert "get_order" in str(traced.event(good)["data"]["tools"])
    assert (good["status"], bad["status"]) == ("ok", "error")
    assert bad["data"]["error_type"]
