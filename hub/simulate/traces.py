"""Turns the public traces into events of the contract: real arrivals and token counts for tests and benchmarks.

Ids, models, durations and users follow from the row alone: what a hub must answer can be worked out apart from it.
"""

import csv
import gzip
import io
from collections import OrderedDict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from core.ids import derived_id
from hub.simulate.config import Event, from_us, to_us

#: Models a trace is spread over when none is named: row n goes to model n mod 4.
TRACE_MODELS = (
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini"),
    ("anthropic", "claude-sonnet-4-5"),
    ("google", "gemini-2.5-flash"),
)
#: Tokens of a block that Mooncake's ``hash_ids`` stand for.
MOONCAKE_BLOCK = 512
#: The Mooncake traces count from an arbitrary zero; this is where it is put.
MOONCAKE_START = datetime(2024, 11, 1, tzinfo=UTC)
#: Assumed speed: time to the first token, and of each token of prompt and completion, in microseconds.
_FIRST_US, _PROMPT_US, _TOKEN_US = 200_000, 40, 20_000
#: Blocks a simulated cache remembers; a bound on memory, far above what the traces hold.
_CACHE_BLOCKS = 1_000_000


def azure_events(path: Path, model: str | None = None, provider: str | None = None) -> Iterator[Event]:
    """Events of an Azure LLM inference trace (``TIMESTAMP,ContextTokens,GeneratedTokens``).

    Parameters
    ----------
    path
        CSV, plain or ``.gz``.
    model, provider
        One model for all rows; else :data:`TRACE_MODELS` in turn.

    Yields
    ------
    dict
        ``llm.request`` events; ``time`` is the arrival plus the duration, microseconds cut.
    """
    name = path.name.split(".")[0]
    with _text(path) as lines:
        for row, record in enumerate(csv.DictReader(lines)):
            arrived = datetime.fromisoformat(record["TIMESTAMP"][:26]).replace(tzinfo=UTC)
            data = _data(row, int(record["ContextTokens"]), int(record["GeneratedTokens"]), 0, model, provider)
            yield _event(f"azure-{name}", row, to_us(arrived), data)


def mooncake_events(path: Path, model: str | None = None, provider: str | None = None) -> Iterator[Event]:
    """Events of a Mooncake trace (JSONL of ``timestamp``, ``input_length``, ``output_length``, ``hash_ids``).

    The leading blocks that an earlier row has had already are its cache reads; parameters as of
    :func:`azure_events`.
    """
    name = path.name.split(".")[0]
    seen: OrderedDict[int, None] = OrderedDict()
    with _text(path) as lines:
        for row, line in enumerate(lines):
            record = orjson.loads(line)
            cached = min(_reused(record["hash_ids"], seen) * MOONCAKE_BLOCK, record["input_length"])
            data = _data(row, record["input_length"], record["output_length"], cached, model, provider)
            yield _event(f"mooncake-{name}", row, to_us(MOONCAKE_START) + record["timestamp"] * 1000, data)


def _text(path: Path) -> io.TextIOWrapper:
    file = gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # noqa: SIM115 - the wrapper closes it
    return io.TextIOWrapper(file, encoding="utf-8", newline="")


def _reused(blocks: list[int], seen: "OrderedDict[int, None]") -> int:
    """How many leading blocks are known; remembers all of them, forgetting the least recently used."""
    count = next((place for place, block in enumerate(blocks) if block not in seen), len(blocks))
    for block in blocks:
        seen[block] = None
        seen.move_to_end(block)
    while len(seen) > _CACHE_BLOCKS:
        seen.popitem(last=False)
    return count


def _data(
    row: int, prompt: int, completion: int, cached: int, model: str | None, provider: str | None
) -> dict[str, Any]:
    chosen_provider, chosen_model = TRACE_MODELS[row % len(TRACE_MODELS)]
    first = _FIRST_US + _PROMPT_US * (prompt - cached)
    data: dict[str, Any] = {"model": model or chosen_model, "operation": "chat"}
    if model is None or provider:
        data["provider"] = provider or chosen_provider
    data["input_tokens"] = prompt
    data["output_tokens"] = completion
    if cached:
        data["cache_read_input_tokens"] = cached
    data["duration_ms"] = (first + _TOKEN_US * completion) / 1000
    data["time_to_first_token_ms"] = first / 1000
    data["status"] = "ok"
    data["finish_reason"] = "stop"
    return data


def _event(trace: str, row: int, arrived_us: int, data: dict[str, Any]) -> Event:
    return {
        "id": str(derived_id(trace, row)),
        "type": "llm.request",
        "source": "gateway",
        "time": from_us(arrived_us + round(data["duration_ms"] * 1000)),
        "schema_version": "1.0",
        "project": trace,
        "environment": "production",
        "user_id": f"u-{row % 97}",
        "session_id": f"s-{row % 997}",
        "data": data,
    }
