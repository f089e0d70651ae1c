"""The public traces as recordings, and what a hub must say of them, worked out without the hub."""

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
from genai_prices import Usage, calc_price

from benchmarks.common import Hub
from hub.simulate.traces import azure_events, mooncake_events


@dataclass
class Expected:
    """Sums of one model."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cost: Decimal = Decimal(0)


def events(data: Path) -> Iterator[dict[str, Any]]:
    """Every event of the Azure and Mooncake traces."""
    for name in ("conv", "code"):
        yield from azure_events(data / "azure_llm_2023" / f"{name}.csv.gz")
    for name in ("conversation", "synthetic"):
        yield from mooncake_events(data / "mooncake" / f"{name}_trace.jsonl.gz")


def record(data: Path, folder: Path) -> tuple[list[list[Path]], dict[str, Expected]]:
    """Write the traces as recordings; the files of each collection (a year apart), and what is expected by model."""
    expected: dict[str, Expected] = defaultdict(Expected)
    files: dict[str, list[bytes]] = defaultdict(list)
    now = datetime.now(UTC)
    for event in events(data):
        values, one = event["data"], expected[event["data"]["model"]]
        one.requests += 1
        one.input_tokens += values["input_tokens"]
        one.output_tokens += values["output_tokens"]
        one.cache_read_input_tokens += values.get("cache_read_input_tokens", 0)
        one.cost += price(values, now)
        files[event["project"]].append(orjson.dumps(event))
    paths = []
    for project, lines in files.items():
        paths.append(folder / f"{project}.ndjson")
        paths[-1].write_bytes(b"\n".join(lines) + b"\n")
    collections = [[path for path in paths if path.name.startswith(name)] for name in ("azure", "mooncake")]
    return collections, dict(expected)


def price(values: dict[str, Any], when: datetime) -> Decimal:
    """The price of one call, straight from the price library."""
    usage = Usage(
        input_tokens=values["input_tokens"],
        output_tokens=values["output_tokens"],
        cache_read_tokens=values.get("cache_read_input_tokens", 0),
    )
    return calc_price(usage, values["model"], provider_id=values["provider"], genai_request_timestamp=when).total_price


def told(hub: Hub) -> dict[str, Expected]:
    """The same figures as the hub tells them."""
    measures = ["requests", "input_tokens", "output_tokens", "cache_read_input_tokens", "cost_usd"]
    answer = hub.ask({"measures": measures, "dimensions": ["model"], "time": {"from": "now-60d", "to": "now+1d"}})
    return {row[0]: Expected(*row[1:5], Decimal(str(row[5]))) for row in answer["rows"]}


def settled(hub: Hub, expected: dict[str, Expected], seconds: float = 60) -> dict[str, Expected]:
    """What the hub tells once it has seen as many requests as there are, or after ``seconds``."""
    wanted, until = sum(one.requests for one in expected.values()), time.monotonic() + seconds
    while True:
        found = told(hub)
        if sum(one.requests for one in found.values()) >= wanted or time.monotonic() > until:
            return found


def agree(found: dict[str, Expected], expected: dict[str, Expected]) -> None:
    """Counts and token sums to the last one, costs to a billionth of a dollar an event."""
    assert found.keys() == expected.keys()
    for model, one in expected.items():
        other = found[model]
        assert (other.requests, other.input_tokens, other.output_tokens, other.cache_read_input_tokens) == (
            one.requests,
            one.input_tokens,
            one.output_tokens,
            one.cache_read_input_tokens,
        )
        assert abs(other.cost - one.cost) <= Decimal("1e-9") * one.requests
