"""Deterministic, believable events and traces for the pages' tests: no hub needed."""

import math
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

SEED = 20261120
HOSTILE = '<img src=x onerror="window.__pwned=1"><script>window.__pwned=1</script>'

SYSTEM = "You are the support assistant of Acme. Answer from the articles, and say so when they do not cover it."
ANSWER = (
    "Open Settings → Billing, choose Edit address, and save. "
    "The next invoice carries the new address; past invoices keep the old one."
)

#: model, provider, share, input $/Mtok, output $/Mtok, base latency ms, tokens per second; no price means unpriced.
MODELS: list[tuple[str, str, float, float | None, float | None, float, float]] = [
    ("gpt-4o", "openai", 0.30, 2.5, 10.0, 620, 95),
    ("claude-sonnet-4-5", "anthropic", 0.24, 3.0, 15.0, 780, 72),
    ("gpt-4o-mini", "openai", 0.20, 0.15, 0.6, 340, 140),
    ("gemini-2.5-flash", "google", 0.12, 0.3, 2.5, 280, 190),
    ("mistral-large-2512", "mistral", 0.07, 2.0, 6.0, 690, 60),
    ("llama-3.3-70b", "vllm", 0.05, None, None, 410, 48),
    ("text-embedding-3-large", "openai", 0.02, 0.13, 0.0, 90, 900),
]
PROJECTS = ["support-bot", "search", "code-review", "marketing"]
ENVIRONMENTS = ["production", "staging"]
ERRORS = ["rate_limit", "timeout", "server_error", "content_filter", "context_length"]


def _when(rng: random.Random, now: datetime, days: float) -> datetime:
    """A time with a daily rhythm: fewer events at night, and denser towards now."""
    while True:
        age = 86_400 * rng.choices([3 / 24, 1.0, days], weights=[2, 3, 5])[0] * rng.random()
        at = now - timedelta(seconds=age)
        hour = at.hour + at.minute / 60
        if rng.random() < 0.55 + 0.45 * math.sin((hour - 8) / 24 * 2 * math.pi):
            return at


def _row(rng: random.Random, now: datetime, days: float) -> dict[str, Any]:
    at = _when(rng, now, days)
    model, provider, _, price_in, price_out, base, speed = rng.choices(MODELS, weights=[m[2] for m in MODELS])[0]
    age_min = (now - at).total_seconds() / 60
    outage = provider == "anthropic" and 22 < age_min < 34
    slow = 2.6 if outage else 1.0
    tokens_in = int(rng.lognormvariate(6.7, 0.8))
    cached = int(tokens_in * rng.choice([0, 0, 0.3, 0.6]))
    failed = rng.random() < (0.34 if outage else 0.012)
    tokens_out = 0 if failed or model.startswith("text-") else int(rng.lognormvariate(5.2, 0.7))
    ttft = base * rng.lognormvariate(0, 0.35) * slow
    cost = None if price_in is None else ((tokens_in - cached * 0.5) * price_in + tokens_out * (price_out or 0)) / 1e6
    user = min(int(rng.paretovariate(0.9)), 240)
    return {
        "time": at,
        "type": "llm.request",
        "source": "gateway",
        "project": rng.choices(PROJECTS, weights=[5, 3, 2, 1])[0],
        "environment": rng.choices(ENVIRONMENTS, weights=[9, 1])[0],
        "model": model,
        "provider": provider,
        "user_id": f"u-{user:04d}",
        "session_id": f"s-{user:04d}-{rng.randrange(6)}",
        "status": "error" if failed else "ok",
        "error_class": (rng.choices(ERRORS, weights=[4, 3, 5 if outage else 2, 1, 1])[0]) if failed else None,
        "input_tokens": tokens_in,
        "output_tokens": tokens_out,
        "cache_read_input_tokens": cached,
        "time_to_first_token_ms": ttft,
        "duration_ms": ttft + tokens_out / speed * 1000,
        "cost_usd": cost,
        "trace_id": f"{rng.getrandbits(128):032x}",
    }


def events(now: datetime, *, rows: int = 24_000, days: float = 7, seed: int = SEED) -> pl.DataFrame:
    """A week of requests up to ``now``."""
    rng = random.Random(seed)
    made = [_row(rng, now, days) for _ in range(rows)]
    made.append(
        {**made[0], "time": now - timedelta(seconds=95), "user_id": HOSTILE, "cost_usd": 0.42, "trace_id": "ab" * 16}
    )
    return pl.DataFrame(made, infer_schema_length=None).sort("time")


def _span(
    rng: random.Random, ids: list[int], name: str, kind: str, start: datetime, ms: float, **rest: Any
) -> dict[str, Any]:
    ids[0] += 1
    return {
        "span_id": f"{rng.getrandbits(64):016x}",
        "parent_span_id": None,
        "name": name,
        "type": kind,
        "start": _text(start),
        "duration_ms": round(ms, 3),
        "status": rest.pop("status", "ok"),
        "cost_usd": rest.pop("cost_usd", None),
        "data": rest.pop("data", {}),
        "children": [],
        **rest,
    }


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _adopt(parent: dict[str, Any], *children: dict[str, Any]) -> dict[str, Any]:
    for child in children:
        child["parent_span_id"] = parent["span_id"]
        parent["children"].append(child)
    return parent


def trace(row: dict[str, Any], *, hostile: bool = False) -> dict[str, Any]:
    """The tree of one request's trace: agent → retrieval, guardrail, model, tool, model, evaluation."""
    rng, ids = random.Random(row["trace_id"]), [0]
    ms, end = row["duration_ms"], row["time"]
    start = end - timedelta(milliseconds=ms * 1.9)

    def at(share: float) -> datetime:
        return start + timedelta(milliseconds=ms * share)

    text = HOSTILE if hostile else "How do I change the billing address of my workspace?"
    failed = row["status"] == "error"
    root = _span(
        rng,
        ids,
        HOSTILE if hostile else f"{row['project']} agent",
        "agent.run",
        start,
        ms * 1.9,
        status=row["status"],
        data={"agent_name": row["project"], "steps": 4, "llm_calls": 2, "tool_calls": 1},
        attributes={"region": "eu-west-1", "release": "2026.47.1", **({"note": HOSTILE} if hostile else {})},
    )
    retrieve = _span(
        rng,
        ids,
        "retrieve documents",
        "retrieval.query",
        at(0.02),
        ms * 0.22,
        data={"index": "kb-articles", "query": text, "top_k": 8, "returned": 8, "max_score": 0.873},
    )
    _adopt(
        retrieve,
        _span(
            rng,
            ids,
            "text-embedding-3-large",
            "llm.embedding",
            at(0.03),
            ms * 0.08,
            cost_usd=0.0000021,
            data={"model": "text-embedding-3-large", "provider": "openai", "input_tokens": 16},
        ),
        _span(rng, ids, "vector search", "span", at(0.12), ms * 0.1, data={"kind": "client", "service": "qdrant"}),
    )
    guard = _span(
        rng,
        ids,
        "prompt-injection",
        "guardrail.check",
        at(0.25),
        ms * 0.05,
        data={"policy": "prompt-injection", "verdict": "pass", "stage": "input", "score": 0.04, "threshold": 0.8},
    )
    plan = _span(
        rng,
        ids,
        "gpt-4o-mini",
        "llm.request",
        at(0.31),
        ms * 0.4,
        cost_usd=0.000213,
        data={
            "model": "gpt-4o-mini",
            "provider": "openai",
            "operation": "chat",
            "input_tokens": 640,
            "output_tokens": 58,
            "time_to_first_token_ms": round(ms * 0.1, 1),
            "finish_reason": "tool_calls",
        },
    )
    tool = _span(
        rng,
        ids,
        "get_workspace",
        "tool.call",
        at(0.72),
        ms * 0.12,
        data={
            "tool_name": "get_workspace",
            "arguments": {"id": "ws_81", "fields": ["billing", "owner"]},
            "result": {"plan": "team"},
        },
    )
    _adopt(
        tool,
        _span(
            rng,
            ids,
            "GET /workspaces/ws_81",
            "span",
            at(0.70),
            ms * 0.1,
            data={"kind": "client", "service": "workspace-api"},
        ),
    )
    answer = _span(
        rng,
        ids,
        row["model"],
        "llm.request",
        at(0.86),
        ms,
        status=row["status"],
        cost_usd=row["cost_usd"],
        data={
            "model": row["model"],
            "provider": row["provider"],
            "operation": "chat",
            "input_tokens": row["input_tokens"],
            "output_tokens": row["output_tokens"],
            "cache_read_input_tokens": row["cache_read_input_tokens"],
            "time_to_first_token_ms": round(row["time_to_first_token_ms"], 1),
            "temperature": 0.2,
            "stream": True,
            **({"error_type": row["error_class"], "http_status_code": 529} if failed else {"finish_reason": "stop"}),
            "input_messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}],
            "output_messages": [] if failed else [{"role": "assistant", "content": HOSTILE if hostile else ANSWER}],
        },
    )
    judge = _span(
        rng,
        ids,
        "faithfulness",
        "evaluation.score",
        at(1.87),
        ms * 0.02,
        data={"evaluator": "faithfulness", "score": 0.94, "passed": True, "kind": "llm_judge"},
    )
    _adopt(root, retrieve, guard, plan, tool, answer, judge)
    cost = None if row["cost_usd"] is None else row["cost_usd"] + 0.0002151
    return {"trace_id": row["trace_id"], "spans": [root], "cost_usd": cost, "duration_ms": round(ms * 1.9, 3)}
