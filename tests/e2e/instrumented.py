"""A whole hub, and a way to trace instrumented clients into it with the real exporter."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import openai.resources.responses
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tests.hub.running import PATIENCE, served

#: Classes whose methods the instrumentations wrap.
_PATCHED: Any = tuple(
    getattr(module, name)
    for module, names in (
        (openai.resources.chat, ("Completions", "AsyncCompletions")),
        (openai.resources, ("Completions", "AsyncCompletions", "Embeddings", "AsyncEmbeddings")),
        (openai.resources.responses, ("Responses", "AsyncResponses")),
        (anthropic.resources, ("Messages", "AsyncMessages")),
    )
    for name in names
)
WHO = {"session.id": "s-1", "user.id": "u-1"}


@dataclass
class Bench:
    """A hub, and a way to trace into it."""

    url: str
    client: httpx.Client
    key: str

    @contextmanager
    def traced(self, *instrumentors: Any) -> Iterator["Traced"]:
        """Instrument, run what is within as one trace, and wait until the hub shows it."""
        exporter = OTLPSpanExporter(
            endpoint=f"{self.url}/v1/traces",
            headers={"Authorization": f"Bearer {self.key}"},
            compression=Compression.Gzip,
        )
        provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
        provider.add_span_processor(BatchSpanProcessor(exporter))
        plain = [(owner, dict(vars(owner))) for owner in _PATCHED]
        made = [instrumentor() for instrumentor in instrumentors]
        for instrumentor in made:
            instrumentor.instrument(tracer_provider=provider)
        traced = Traced(self, provider)
        try:
            with provider.get_tracer("tests").start_as_current_span("POST /chat", attributes=WHO) as root:
                yield traced
        finally:
            for instrumentor in made:
                instrumentor.uninstrument()
            for owner, members in plain:  # not all of them undo what they did
                for name in [name for name, member in vars(owner).items() if member is not members.get(name, member)]:
                    setattr(owner, name, members[name])
            provider.shutdown()
        traced.trace_id = f"{root.get_span_context().trace_id:032x}"

    def ask(self, trace_id: str, measures: list[str]) -> list[Any]:
        """One row of measures over a trace."""
        question = {
            "measures": measures,
            "time": {"from": "now-1h", "to": "now+1h"},
            "filters": [{"field": "trace_id", "op": "eq", "values": [trace_id]}],
        }
        answer = self.client.post("/v1/query", json=question)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["rows"][0])


@dataclass
class Traced:
    """What came of a trace."""

    bench: Bench
    provider: TracerProvider
    trace_id: str = ""

    def spans(self, count: int) -> list[dict[str, Any]]:
        """The spans of the trace below the root's, from top to bottom, once there are so many."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            answer = self.bench.client.get(f"/v1/traces/{self.trace_id}")
            if answer.status_code == 200 and len(answer.json()["spans"]) == 1:  # else the root is still to come
                (root,) = answer.json()["spans"]
                found = list(_flat(root))
                if len(found) >= count + 1:
                    assert root["name"] == "POST /chat"
                    return found[1:]
        raise AssertionError("the trace did not come")

    def event(self, span: dict[str, Any]) -> dict[str, Any]:
        """A span's event, with its contents."""
        return dict(self.bench.client.get(f"/v1/events/{span['id']}").json())


def _flat(span: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield span
    for child in span["children"]:
        yield from _flat(child)


@contextmanager
def benched(folder: Path) -> Iterator[Bench]:
    """A hub in a thread, with its data in ``folder``."""
    folder.mkdir()
    with served(folder) as url:
        key = (folder / "admin.key").read_text().strip()
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE) as client:
            yield Bench(url, client, key)
