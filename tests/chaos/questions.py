"""What a hub answers beside what was acknowledged: through its API, by tenant, type, model and minute."""

import json
import os
import time
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from tests.chaos.compare import compare
from tests.chaos.hubs import PATIENCE, AnyHub, call, until
from tests.chaos.ledger import Ledger, Row

_MEASURES: Final = ("events", "requests", "errors", "input_tokens", "output_tokens", "cost_usd", "unpriced_requests")
_CALLS: Final = ("llm.request", "llm.embedding")
_SPAN: Final = {"from": "now-1d", "to": "now+1d"}
_QUESTIONS: Final[tuple[tuple[str, ...], ...]] = ((), ("model",), ("type", "status"), ("type", "model"))


def settle(hub: AnyHub, ledger: Ledger, keys: dict[str, str], seconds: float = PATIENCE) -> float:
    """Wait until a question sees as many events as were acknowledged; how long that took."""
    return until(lambda: all(visible(hub, key) >= ledger.count(tenant) for tenant, key in keys.items()), seconds, 0.2)


def visible(hub: AnyHub, key: str) -> int:
    """How many events of a tenant a question sees."""
    try:
        rows = call(hub, "POST", "/v1/query", {"measures": ["events"], "time": _SPAN}, key)["rows"]
    except OSError:  # it is being started anew
        return -1
    return int(rows[0][0]) if rows else 0


def agree(hub: AnyHub, ledger: Ledger, keys: dict[str, str]) -> None:
    """Every answer is what was acknowledged: no more, no less."""
    for tenant, key in keys.items():
        rows = ledger.acknowledged.get(tenant, {})
        for dimensions in _QUESTIONS:
            question: dict[str, Any] = {"measures": _MEASURES, "dimensions": dimensions, "time": _SPAN, "limit": 10_000}
            answer = call(hub, "POST", "/v1/query", question, key)["rows"]
            told = {tuple(row[: len(dimensions)]): _told(row[len(dimensions) :]) for row in answer}
            wanted: dict[tuple[str | None, ...], list[Row]] = defaultdict(list)
            for row in rows.values():
                wanted[tuple(getattr(row, name) or None for name in dimensions)].append(row)
            expected = {group: _wanted(members, of_all_types="type" in dimensions) for group, members in wanted.items()}
            assert told == expected, f"{tenant} by {dimensions}: told {told}, wanted {expected}"
        by_row = {"measures": ["events"], "dimensions": ["session_id"], "time": _SPAN, "limit": 10_000}
        assert sum(row[1] for row in call(hub, "POST", "/v1/query", by_row, key)["rows"]) == len(rows), tenant


def _told(values: list[Any]) -> tuple[Any, ...]:
    *counts, cost, unpriced = values
    return (*counts, None if cost is None else round(Decimal(str(cost)), 8), unpriced)


def _wanted(rows: list[Row], *, of_all_types: bool) -> tuple[Any, ...]:
    """The measures of these rows; errors are of requests, unless the question names the types."""
    requests = [row for row in rows if row.type == "llm.request"]
    costs = [Decimal(row.cost_usd) for row in rows if row.cost_usd is not None]
    unpriced = sum(row.cost_usd is None for row in rows if row.type in _CALLS)
    return (
        len(rows),
        len(requests),
        sum(row.status == "error" for row in (rows if of_all_types else requests)),
        sum(row.input_tokens or 0 for row in rows),
        sum(row.output_tokens or 0 for row in rows),
        None if unpriced and not costs else round(sum(costs, Decimal(0)), 8),
        unpriced,
    )


def checked(hub: AnyHub, ledger: Ledger, keys: dict[str, str], folder: Path, *, stop: bool = False) -> dict[str, Any]:
    """All of it: wait, ask, and compare every row and every rollup with what was acknowledged.

    A hub whose warehouse nobody else can open has to ``stop`` before that.
    """
    waited = settle(hub, ledger, keys)
    agree(hub, ledger, keys)
    if stop:
        hub.stop()
    found = compare(hub.warehouse_url, ledger, folder)
    assert found["trouble"] == [], "\n".join(found["trouble"])
    assert ledger.count() > 0
    return {"events": found["events"], "rollups": found["rollups"], "settled_s": round(waited, 2)}


def measured(scenario: str, **figures: Any) -> None:
    """Print a scenario's figures, and keep them in the file that ``LLM_HUB_CHAOS_OUT`` names."""
    line = json.dumps({"scenario": scenario, "at": round(time.time()), **figures}, default=str)
    print(f"\nchaos: {line}", flush=True)
    if out := os.environ.get("LLM_HUB_CHAOS_OUT"):
        with Path(out).open("a") as file:
            file.write(line + "\n")
