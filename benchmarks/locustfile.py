"""Load tests with Locust: senders at the doors and people who ask, each with the key of ``LLM_HUB_KEY``.

::

    pip install --require-hashes -r requirements-load.lock    # apart from the hub: Locust brings gevent
    LLM_HUB_KEY=lh_… locust -f benchmarks/locustfile.py --host http://127.0.0.1:8080
    LLM_HUB_KEY=lh_… locust -f benchmarks/locustfile.py --host … --headless -u 50 -r 10 -t 5m Sender Asker

A 503 with ``Retry-After`` is an answer, not a failure: a sender waits as told and sends the same body again, under the
same ``Idempotency-Key``. Everything else that is not expected counts as failed.
"""

import json
import os
import random
import time
import uuid
from typing import Any

from locust import FastHttpUser, between, constant_pacing, task

MODELS = (("openai", "gpt-4o"), ("openai", "gpt-4o-mini"), ("anthropic", "claude-sonnet-4-5"))
RANGES = ("now-15m", "now-1h", "now-6h", "now-24h")


def event(rng: random.Random) -> dict[str, Any]:
    """A model call of now."""
    provider, model = rng.choice(MODELS)
    failed = rng.random() < 0.02
    return {
        "type": "llm.request",
        "source": "gateway",
        "time": int(time.time() * 1000),
        "project": rng.choice(("support-bot", "rag-search")),
        "environment": "production",
        "trace_id": f"{rng.getrandbits(128):032x}",
        "span_id": f"{rng.getrandbits(64):016x}",
        "user_id": f"u-{rng.randrange(5000)}",
        "data": {
            "provider": provider,
            "model": model,
            "input_tokens": int(rng.lognormvariate(6.5, 0.9)),
            "output_tokens": 0 if failed else int(rng.lognormvariate(5, 1)),
            "duration_ms": round(rng.lognormvariate(7, 0.6), 3),
            "status": "error" if failed else "ok",
        },
    }


class _Hub(FastHttpUser):
    abstract = True
    connection_timeout = network_timeout = 60.0

    def on_start(self) -> None:
        """A key, and numbers of this user's own."""
        self.rng = random.Random()
        self.auth = {"Authorization": f"Bearer {os.environ['LLM_HUB_KEY']}"}


class Sender(_Hub):
    """A module's exporter: batches of NDJSON and of OTLP spans, one after the other."""

    weight = 3
    wait_time = constant_pacing(1.0)
    rows = int(os.environ.get("LLM_HUB_BENCH_ROWS", "500"))

    @task(4)
    def events(self) -> None:
        """A batch of events."""
        body = "\n".join(json.dumps(event(self.rng)) for _ in range(self.rows))
        self._send("/v1/events", body, "application/x-ndjson", 202)

    @task(1)
    def traces(self) -> None:
        """A batch of spans over OTLP."""
        now = time.time_ns()
        spans = [
            {
                "traceId": f"{self.rng.getrandbits(128):032x}",
                "spanId": f"{self.rng.getrandbits(64):016x}",
                "name": "retrieve",
                "kind": 1,
                "startTimeUnixNano": str(now - 50_000_000),
                "endTimeUnixNano": str(now),
            }
            for _ in range(self.rows // 5)
        ]
        body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
        self._send("/v1/traces", body, "application/json", 200)

    def _send(self, path: str, body: str, kind: str, good: int) -> None:
        headers = {**self.auth, "Content-Type": kind, "Idempotency-Key": str(uuid.uuid4())}
        while True:
            with self.client.post(path, body, headers=headers, catch_response=True) as answer:
                if answer.status_code == 503 and "retry-after" in answer.headers:
                    answer.success()
                    pause = float(answer.headers["retry-after"])
                elif answer.status_code == good and not _rejected(answer.text):
                    return answer.success()
                else:
                    return answer.failure(f"{answer.status_code} {answer.text[:200]}")
            time.sleep(pause)  # gevent's: only this user waits


def _rejected(text: str) -> int:
    told = json.loads(text or "{}")
    return int(told.get("rejected", 0)) + int(told.get("partialSuccess", {}).get("rejectedSpans", 0))


class Asker(_Hub):
    """Somebody with the page open: the overview, a question, the latest traces."""

    weight = 1
    wait_time = between(0.5, 2.0)

    @task(4)
    def overview(self) -> None:
        """What the page asks for at once."""
        for measures, dimensions in (
            (["requests", "errors", "cost_usd"], []),
            (["latency_p50", "latency_p95"], []),
            (["requests", "cost_usd", "latency_p95"], ["model"]),
        ):
            self._ask("overview", measures, dimensions, "1m")

    @task(2)
    def users(self) -> None:
        """The most expensive users."""
        self._ask("users", ["cost_usd", "requests"], ["user_id"], None)

    @task(1)
    def traces(self) -> None:
        """The latest traces."""
        path = f"/v1/traces?from={self.rng.choice(RANGES)}&to=now&limit=20"
        self.client.get(path, headers=self.auth, name="/v1/traces")

    def _ask(self, name: str, measures: list[str], dimensions: list[str], granularity: str | None) -> None:
        question: dict[str, Any] = {
            "measures": measures,
            "dimensions": dimensions,
            "time": {"from": self.rng.choice(RANGES), "to": "now"},
            "limit": 20,
        }
        if granularity:
            question["granularity"] = granularity
        self.client.post("/v1/query", json=question, headers=self.auth, name=f"/v1/query {name}")
