"""Recorded exchanges with real providers, played to instrumented clients: the hub counts what providers reported."""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
import yaml
from openinference.instrumentation.openai import OpenAIInstrumentor as OpenInference
from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor
from opentelemetry.instrumentation.openai import OpenAIInstrumentor as OpenLLMetry

from tests.e2e.instrumented import Bench, benched
from tests.providers import providers

pytestmark = [
    pytest.mark.data,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the instrumentations, not of the hub
]

OPENAI, ANTHROPIC = "https://api.openai.com/v1/chat/completions", "https://api.anthropic.com/v1/messages"


@dataclass(frozen=True)
class Exchange:
    """A request, and the provider's answer: an object, or the bytes of a stream."""

    request: dict[str, Any]
    answer: dict[str, Any] | bytes

    def usage(self) -> tuple[int, int, int] | None:
        """Tokens in (cached ones included), out, and read from the cache, as the provider reported them."""
        parts = [self.answer] if isinstance(self.answer, dict) else _events(self.answer)
        found: dict[str, Any] = {}
        for part in parts:
            found |= part.get("usage") or (part.get("message") or {}).get("usage") or {}
        if "prompt_tokens" in found:
            details = found.get("prompt_tokens_details") or {}
            return found["prompt_tokens"], found["completion_tokens"], details.get("cached_tokens") or 0
        if "input_tokens" in found:
            read, written = (found.get(f"cache_{one}_input_tokens") or 0 for one in ("read", "creation"))
            return found["input_tokens"] + read + written, found["output_tokens"], read
        return None


def _events(stream: bytes) -> Iterator[dict[str, Any]]:
    for line in stream.decode().splitlines():
        if line.startswith("data: {"):
            yield json.loads(line[6:])


def exchanges(folder: Path, uri: str) -> list[Exchange]:
    """The recorded exchanges with one address that went well and were not streamed."""
    found = []
    for path in sorted(folder.glob("**/*.yaml.gz")):
        document = yaml.load(gzip.decompress(path.read_bytes()), Loader=yaml.CSafeLoader)
        for one in document.get("interactions", ()):
            if one["request"]["uri"] == uri and one["response"]["status"]["code"] == 200:
                answer = _answer(one["response"]["body"]["string"])
                found.append(Exchange(json.loads(one["request"]["body"]), answer))
    return [one for one in found if one.usage() is not None and not one.request.get("stream")]


def _answer(body: str | bytes) -> dict[str, Any] | bytes:
    raw = body.encode() if isinstance(body, str) else body
    raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    return json.loads(raw) if raw.lstrip()[:1] == b"{" else raw


@pytest.fixture(scope="module")
def folder(bench_data: Path) -> Path:
    found = bench_data / "provider_cassettes"
    if not found.is_dir():
        pytest.skip(f"no recorded exchanges at {found}: set LLM_HUB_BENCH_DATA")
    return found


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with benched(tmp_path_factory.mktemp("hub") / "data") as bench:
        yield bench


def counted(bench: Bench, instrumentor: Any, given: list[Exchange], create: Any) -> None:
    """Play all exchanges in one trace, and compare what the hub counts with what the providers said."""
    with bench.traced(instrumentor) as traced:
        for one in given:
            create(one)
    spans = traced.spans(len(given))
    assert {span["type"] for span in spans} == {"llm.request"}
    names = ("input_tokens", "output_tokens", "cache_read_input_tokens")
    told = Counter(tuple(span["data"].get(name) or 0 for name in names) for span in spans)
    assert told == Counter(one.usage() for one in given)
    assert all(span["data"]["model"] for span in spans)


@pytest.mark.parametrize("instrumentor", [OpenInference, OpenLLMetry], ids=["openinference", "openllmetry"])
def test_openai(bench: Bench, folder: Path, instrumentor: Any) -> None:
    given = exchanges(folder, OPENAI)
    assert len(given) > 50
    current: list[Exchange] = []
    with (
        providers(lambda path, body: (200, current[-1].answer)) as provider,
        openai.OpenAI(api_key="sk-test", base_url=f"{provider.url}/v1", max_retries=0) as client,
    ):

        def create(one: Exchange) -> None:
            current.append(one)
            plain = {name: one.request[name] for name in ("model", "messages", "tools") if name in one.request}
            client.chat.completions.create(**plain)

        counted(bench, instrumentor, given, create)


def test_anthropic(bench: Bench, folder: Path) -> None:
    given = exchanges(folder, ANTHROPIC)
    assert len(given) > 15
    current: list[Exchange] = []
    with (
        providers(lambda path, body: (200, current[-1].answer)) as provider,
        anthropic.Anthropic(api_key="sk-test", base_url=provider.url, max_retries=0) as client,
    ):

        def create(one: Exchange) -> None:
            current.append(one)
            names = ("model", "messages", "max_tokens", "system", "tools")
            client.messages.create(**{name: one.request[name] for name in names if name in one.request})

        counted(bench, AnthropicInstrumentor, given, create)
