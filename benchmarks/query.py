"""Latency of the dashboard's questions: N users ask while events flow in, over millions of stored events.

Each user opens the page with a range and a filter of their own, asks its questions one after the other with half a
second between them (a page asks nine questions every five seconds or so), then changes the range. Latency is what
the user waits for: the whole HTTP request.
"""

import asyncio
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from benchmarks.common import Hub, machine, options, percentile, report
from benchmarks.load import NdjsonBody, drive
from benchmarks.seed import fill

RANGES = (
    ("now-15m", "10s"),
    ("now-1h", "1m"),
    ("now-6h", "5m"),
    ("now-24h", "15m"),
    ("now-7d", "1h"),
    ("now-30d", "6h"),
)

#: What the overview page asks: name → question without its range.
PAGE: dict[str, dict[str, Any]] = {
    "tiles": {
        "measures": [
            "requests",
            "error_rate",
            "latency_p95",
            "ttft_p95",
            "total_tokens",
            "cost_usd",
            "unpriced_requests",
        ],
        "compare": "previous_period",
    },
    "traffic": {"measures": ["requests"], "dimensions": ["status"], "granularity": True},
    "errors": {"measures": ["errors"], "dimensions": ["error_class"], "granularity": True},
    "latency": {"measures": ["latency_p50", "latency_p90", "latency_p95", "latency_p99"], "granularity": True},
    "tokens": {"measures": ["input_tokens", "output_tokens", "cache_read_input_tokens"], "granularity": True},
    "cost": {"measures": ["cost_usd"], "dimensions": ["model"], "granularity": True},
    "models": {
        "measures": ["requests", "error_rate", "latency_p95", "cost_usd", "tokens_per_second"],
        "dimensions": ["model"],
        "order": [{"field": "cost_usd", "direction": "desc"}],
        "limit": 20,
    },
    "users": {
        "measures": ["requests", "total_tokens", "cost_usd"],
        "dimensions": ["user_id"],
        "order": [{"field": "cost_usd", "direction": "desc"}],
        "limit": 10,
    },
    "user_count": {"measures": ["users"]},
}

FILTERS: tuple[list[dict[str, Any]], ...] = (
    [],
    [],
    [{"field": "environment", "op": "in", "values": ["production"]}],
    [{"field": "model", "op": "in", "values": ["gpt-4o", "gpt-4o-mini"]}],
)


def ask(template: dict[str, Any], span: tuple[str, str], filters: list[dict[str, Any]]) -> dict[str, Any]:
    """A question of the page over one range."""
    question = template | {"time": {"from": span[0], "to": "now"}, "filters": filters}
    if template.get("granularity"):
        question["granularity"] = span[1]
    return question


async def user(number: int, hub: Hub, until: float, latencies: dict[str, list[float]], pause: float) -> None:
    """One user at the page."""
    rng = random.Random(number)
    async with httpx.AsyncClient(
        base_url=hub.url, headers={"Authorization": f"Bearer {hub.key}"}, timeout=60, trust_env=False
    ) as client:
        while time.monotonic() < until:
            span, filters = rng.choice(RANGES), rng.choice(FILTERS)
            for name, template in PAGE.items():
                await asyncio.sleep(pause * rng.uniform(0.5, 1.5))
                began = time.monotonic()
                answer = await client.post("/v1/query", json=ask(template, span, filters))
                latencies.setdefault(f"{name} {span[0]}", []).append(time.monotonic() - began)
                if answer.status_code != 200:
                    raise RuntimeError(f"{answer.status_code}: {answer.text}")


async def run(hub: Hub, users: int, rate: float, seconds: float, pause: float) -> dict[str, list[float]]:
    """All users at once, with the load beside them."""
    latencies: dict[str, list[float]] = {}
    load = drive(
        hub.url, hub.key, lambda number: NdjsonBody(250, number), seconds=seconds + 2, connections=2, rate=rate
    )
    until = time.monotonic() + 2 + seconds
    await asyncio.gather(load, *(user(number, hub, until, latencies, pause) for number in range(users)))
    return latencies


def main() -> None:
    parser = options(__doc__ or "")
    parser.add_argument("--events", type=int, help="stored events (default 10 million)")
    parser.add_argument("--users", type=int, default=10)
    parser.add_argument("--rate", type=float, default=5000)
    parser.add_argument("--pause", type=float, default=0.5)
    parser.add_argument("--folder", type=Path, help="keep the hub's data here and use it again")
    args = parser.parse_args()
    events = args.events or (200_000 if args.quick else 10_000_000)
    before = machine()
    with tempfile.TemporaryDirectory(prefix="llm-hub-bench-") as scratch:
        folder = args.folder or Path(scratch) / "data"
        if not folder.exists():
            folder.mkdir(parents=True)
            hub = Hub(folder)
            hub.start()  # makes the schema and the tenant
            hub.stop()
            fill(folder / "warehouse", events)
        hub = Hub(folder)
        hub.start()
        try:
            stored = hub.visible()
            cpu, began = hub.cpu_seconds(), time.monotonic()
            latencies = asyncio.run(run(hub, args.users, args.rate, 6 if args.quick else 60, args.pause))
            busy = (hub.cpu_seconds() - cpu) / (time.monotonic() - began)
            resident = hub.resident_mb()
        finally:
            hub.kill()
    everything = [value for values in latencies.values() for value in values]
    figures: dict[str, Any] = {
        "stored_events": stored,
        "users": args.users,
        "rate_events_per_s": args.rate,
        "questions": len(everything),
        "start_s": round(hub.seconds_to_ready, 2),
        "resident_mb": round(resident),
        "hub_cores_busy": round(busy, 2),
    }
    figures |= {f"p{share}_ms": round(percentile(everything, share / 100) * 1000, 1) for share in (50, 90, 95, 99)}
    by_question: dict[str, list[float]] = {}
    for name, values in latencies.items():
        by_question.setdefault(name.split()[0], []).extend(values)
    figures |= {f"{name}_p95_ms": round(percentile(values, 0.95) * 1000, 1) for name, values in by_question.items()}
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        detail = {name: [round(v * 1000, 1) for v in values] for name, values in sorted(latencies.items())}
        (args.out / "query_detail.json").write_text(json.dumps(detail))
    report("query", before, figures, {}, args.out)


if __name__ == "__main__":
    main()
