"""Public traces as events: what each row becomes follows from the row alone."""

import gzip
from pathlib import Path

import orjson
import pytest

from hub.simulate.traces import TRACE_MODELS, azure_events, mooncake_events
from schemas.envelope import Envelope
from schemas.events.llm_request import LlmRequest

AZURE = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,9\n"
)
MOONCAKE = [
    {"timestamp": 0, "input_length": 1300, "output_length": 5, "hash_ids": [0, 1, 2]},
    {"timestamp": 27, "input_length": 1200, "output_length": 6, "hash_ids": [0, 1, 9]},
    {"timestamp": 40, "input_length": 500, "output_length": 7, "hash_ids": [0]},
    {"timestamp": 40, "input_length": 1000, "output_length": 7, "hash_ids": [7, 1]},
]


@pytest.fixture
def azure(tmp_path: Path) -> Path:
    path = tmp_path / "conv.csv.gz"
    path.write_bytes(gzip.compress(AZURE.encode()))
    return path


@pytest.fixture
def mooncake(tmp_path: Path) -> Path:
    path = tmp_path / "conversation_trace.jsonl"
    path.write_bytes(b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in MOONCAKE))
    return path


def test_an_azure_row_keeps_its_tokens_and_arrival(azure: Path) -> None:
    first, second = azure_events(azure)
    assert (first["data"]["input_tokens"], first["data"]["output_tokens"]) == (374, 44)
    # 200 ms + 374 × 0.04 ms + 44 × 20 ms after the arrival at 46.680590
    assert first["data"]["duration_ms"] == 1094.96
    assert first["time"] == "2023-11-16T18:15:47.775550Z"
    assert (first["data"]["provider"], first["data"]["model"]) == TRACE_MODELS[0]
    assert (second["data"]["provider"], second["data"]["model"]) == TRACE_MODELS[1]


def test_events_are_the_same_each_time_and_valid(azure: Path, mooncake: Path) -> None:
    events = [*azure_events(azure), *mooncake_events(mooncake)]
    assert events == [*azure_events(azure), *mooncake_events(mooncake)]
    assert len({event["id"] for event in events}) == 6
    for event in events:
        Envelope.model_validate(event)
        assert not LlmRequest.model_validate(event["data"]).model_extra


def test_a_model_may_be_named(azure: Path) -> None:
    assert [event["data"]["model"] for event in azure_events(azure, model="gpt-5")] == ["gpt-5", "gpt-5"]
    assert "provider" not in next(azure_events(azure, model="gpt-5"))["data"]
    assert next(azure_events(azure, "gpt-5", "azure"))["data"]["provider"] == "azure"


def test_known_leading_blocks_are_cache_reads(mooncake: Path) -> None:
    cached = [event["data"].get("cache_read_input_tokens", 0) for event in mooncake_events(mooncake)]
    # The third prompt is shorter than its one known block; the fourth begins with an unknown one.
    assert cached == [0, 1024, 500, 0]


def test_mooncake_times_count_from_a_fixed_start(mooncake: Path) -> None:
    first = next(mooncake_events(mooncake))
    assert first["time"] == "2024-11-01T00:00:00.352000Z"
