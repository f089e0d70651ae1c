"""Events made at random, as dictionaries for a naive computation and as an Arrow table for the warehouse."""

import json
import random
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from core.clock import ManualClock
from schemas.arrow import ARROW_TYPES
from schemas.columns import EVENT_COLUMNS
from storage.warehouse.client import Warehouse
from storage.warehouse.roller import Roller

#: An event: column → value; what is absent is not there.
Event = dict[str, Any]

NOW = datetime(2026, 11, 20, 12, 34, 56, 789000, tzinfo=UTC)
TYPES = (
    "llm.request",
    "llm.request",
    "llm.request",
    "llm.embedding",
    "agent.run",
    "tool.call",
    "guardrail.check",
    "evaluation.score",
    "feedback.rating",
    "retrieval.query",
    "serving.sample",
    "metric.sample",
    "gateway.route",
    "gateway.rate_limit",
    "registry.deployment",
    "job.run",
    "product.event",
)


def make_events(seed: int, count: int) -> list[Event]:
    """Events over the three days before :data:`NOW`, denser towards its end."""
    dice = random.Random(seed)
    return [_event(dice) for _ in range(count)]


def _maybe(dice: random.Random, event: Event, share: float, **values: Any) -> None:
    for name, value in values.items():
        if dice.random() < share:
            event[name] = value


def _event(dice: random.Random) -> Event:
    back = dice.random() ** 3 * 3 * 86400
    kind = dice.choice(TYPES)
    event: Event = {
        "id": uuid.UUID(int=dice.getrandbits(128)).bytes,
        "type": kind,
        "source": dice.choice(["gateway", "observatory"]),
        "time": NOW - timedelta(microseconds=int(back * 1e6)),
        "received_at": NOW,
        "attributes": {"region": dice.choice(["eu", "us"])} if dice.random() < 0.7 else {},
    }
    _maybe(
        dice,
        event,
        0.8,
        project=dice.choice(["bot", "search"]),
        environment=dice.choice(["production", "staging"]),
        user_id=f"u-{dice.randrange(40)}",
        session_id=f"s-{dice.randrange(200)}",
        trace_id=dice.randrange(1, 500).to_bytes(16, "big"),
        span_id=dice.randrange(1, 5000).to_bytes(8, "big"),
        feature=dice.choice(["answer", "summary"]),
    )
    _FILL.get(kind, _other)(dice, event)
    return event


def _other(dice: random.Random, event: Event) -> None:
    _maybe(dice, event, 0.9, name=dice.choice(["alpha", "beta"]))


def _call(dice: random.Random, event: Event) -> None:
    event["model"] = dice.choice(["gpt-4o", "claude-x", "llama"])
    event["status"] = "error" if dice.random() < 0.1 else "ok"
    _maybe(
        dice,
        event,
        0.9,
        provider=dice.choice(["openai", "anthropic"]),
        input_tokens=dice.randrange(5000),
        output_tokens=dice.randrange(900),
        cache_read_input_tokens=dice.randrange(500),
        duration_ms=dice.lognormvariate(7, 1),
        time_to_first_token_ms=dice.lognormvariate(5, 1),
        cache_hit=dice.random() < 0.2,
    )
    _maybe(dice, event, 0.3, reasoning_output_tokens=dice.randrange(90), cache_write_input_tokens=dice.randrange(90))
    if "output_tokens" in event and "duration_ms" in event:
        event["tokens_per_second"] = event["output_tokens"] / event["duration_ms"] * 1000
    if event["model"] == "llama":
        event["cost_source"] = "unpriced"
    else:
        event["cost_source"] = "price"
        event["cost_usd"] = Decimal(dice.randrange(1, 10**8)).scaleb(-10)
    if event["status"] == "error":
        event["error_class"] = dice.choice(["timeout", "rate_limit"])


def _agent(dice: random.Random, event: Event) -> None:
    event.update(name="planner", input_tokens=9999, output_tokens=999, duration_ms=dice.random() * 9000, status="ok")


def _tool(dice: random.Random, event: Event) -> None:
    event.update(
        name=dice.choice(["lookup", "send"]), status=dice.choice(["ok", "error"]), duration_ms=dice.random() * 90
    )


def _guard(dice: random.Random, event: Event) -> None:
    event.update(name=dice.choice(["pii", "jailbreak"]), verdict=dice.choice(["pass", "flag", "block", "redact"]))


def _evaluation(dice: random.Random, event: Event) -> None:
    event["name"] = dice.choice(["faithful", "tone"])
    _maybe(dice, event, 0.8, score=dice.random(), passed=dice.random() < 0.7)
    _maybe(dice, event, 0.3, cost_usd=Decimal("0.002"))
    event["data"] = json.dumps({"judge_model": dice.choice(["judge-a", "judge-b"]), "scale_max": 1.0})


def _feedback(dice: random.Random, event: Event) -> None:
    _maybe(dice, event, 0.6, rating=float(dice.randrange(1, 6)), label=dice.choice(["up", "down"]))


def _retrieval(dice: random.Random, event: Event) -> None:
    event["name"] = "handbook"
    _maybe(dice, event, 0.8, returned=dice.randrange(4), max_score=dice.random(), duration_ms=dice.random() * 50)


def _serving(dice: random.Random, event: Event) -> None:
    event["worker"] = dice.choice(["w-0", "w-1"])
    values = {
        "queue_depth": float(dice.randrange(9)),
        "running": float(dice.randrange(9)),
        "kv_cache_usage": dice.random(),
        "gpu_utilization": dice.random(),
        "generation_tokens_per_s": dice.random() * 2000,
    }
    _maybe(dice, event, 0.8, **values)


def _metric(dice: random.Random, event: Event) -> None:
    event.update(name=dice.choice(["queue.length", "heap"]), value=dice.gauss(10, 3))


def _route(dice: random.Random, event: Event) -> None:
    event.update(name="least_loaded", queue_ms=dice.random() * 20, model="gpt-4o")


def _job(dice: random.Random, event: Event) -> None:
    event.update(name="nightly", state=dice.choice(["started", "succeeded", "failed", "skipped"]))


def _product(dice: random.Random, event: Event) -> None:
    event["name"] = "checkout"
    _maybe(dice, event, 0.5, revenue_usd=Decimal("9.99"))


_FILL = {
    "llm.request": _call,
    "llm.embedding": _call,
    "agent.run": _agent,
    "tool.call": _tool,
    "guardrail.check": _guard,
    "evaluation.score": _evaluation,
    "feedback.rating": _feedback,
    "retrieval.query": _retrieval,
    "serving.sample": _serving,
    "metric.sample": _metric,
    "gateway.route": _route,
    "job.run": _job,
    "product.event": _product,
}


def store(warehouse: Warehouse, rolled: Iterable[pa.Table], behind: Iterable[pa.Table] = ()) -> None:
    """Store events, one insert a table: some are rolled up, some are behind the rollups."""
    roller = Roller(warehouse, ManualClock(NOW))
    roller.resume(0, complete=True)
    for tables, roll in ((rolled, True), (behind, False)):
        for table in tables:
            position = roller.take(0, 1)[0]
            column = pa.repeat(pa.scalar(position, pa.uint64()), table.num_rows)
            warehouse.insert("events", table.append_column("position", column))
            roller.stored(0, position, table.num_rows, NOW)
        if roll:
            roller.roll()


def as_table(tenant: str, events: list[Event]) -> pa.Table:
    """The events as the streams write them: text and ids empty where absent, numbers null."""
    columns: dict[str, pa.Array] = {}
    for column in EVENT_COLUMNS:
        if column.name == "expires_at":
            continue
        values = [tenant if column.name == "tenant" else event.get(column.name) for event in events]
        if all(value is None for value in values):
            continue
        columns[column.name] = _array(column.name, column.arrow, column.clickhouse, values)
    return pa.table(columns)


def _array(name: str, arrow: str, clickhouse: str, values: list[Any]) -> pa.Array:
    if "Decimal" in clickhouse:
        return pa.array(values, pa.decimal128(18, 10))
    empty = {"string": "", "json": "", "id16": bytes(16), "id8": bytes(8)}
    if arrow in empty:
        values = [empty[arrow] if value is None else value for value in values]
    if arrow == "map":
        values = [list(value.items()) for value in values]
    return pa.array(values, ARROW_TYPES[arrow])  # type: ignore[index]
