"""Recorded calls: who answered, how many tokens, what it cost."""

import gzip
import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import genai_prices
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.adapters import MODULES
from ingest.batch import Decoded
from ingest.decode.explain import RowInvalid
from ingest.doors.adapters import decode
from ingest.limits import Limits
from streams.prices.table import PriceTable
from streams.steps.price import price
from tests.ingest.adapters.test_modules import ARRIVAL
from tests.ingest.fakes import NOW

NAMES_OF_USAGE = st.sampled_from(
    (
        *("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "cache_read_input_tokens"),
        *("prompt_tokens_details", "cached_tokens", "inputTokens", "cacheDetails", "ttl", "promptTokenCount"),
        *("promptTokensDetails", "modality", "tokenCount", "billed_units", "cost", "cost_details", "queue_time"),
    )
)
CENT = Decimal("0.01")


def decoded(rows: list[dict[str, Any]]) -> Decoded:
    body = json.dumps(rows).encode()
    return decode(body, ARRIVAL, Limits(), adapter=MODULES["openai"], version="1", media_type="application/json")


def data_of(row: dict[str, Any]) -> dict[str, Any]:
    (made,) = MODULES["openai"].versions["1"].read(row)
    return made.event["data"]


def sse(*chunks: dict[str, Any]) -> str:
    return "".join(f"event: x\ndata: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


OPENAI_CHUNKS = [
    {"id": "c-1", "model": "gpt-4o-2024-08-06", "choices": [{"delta": {"role": "assistant", "content": "He"}}]},
    {"id": "c-1", "model": "gpt-4o-2024-08-06", "choices": [{"delta": {"content": "llo"}, "finish_reason": "stop"}]},
    {"id": "c-1", "model": "gpt-4o-2024-08-06", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2}},
]
ANTHROPIC_CHUNKS = [
    {
        "type": "message_start",
        "message": {
            "type": "message",
            "id": "msg_1",
            "model": "claude-sonnet-4-5",
            "content": [],
            "usage": {"input_tokens": 9, "cache_read_input_tokens": 100, "output_tokens": 1},
        },
    },
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 12}},
]
RESPONSES_CHUNKS = [
    {"type": "response.created", "response": {"id": "r-1", "model": "gpt-5", "usage": None, "output": []}},
    {
        "type": "response.completed",
        "response": {
            "id": "r-1",
            "model": "gpt-5",
            "output": [{"type": "message"}],
            "usage": {"input_tokens": 9, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 4}},
        },
    },
]


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        (
            OPENAI_CHUNKS,
            {"model": "gpt-4o-2024-08-06", "provider": "openai", "input_tokens": 9, "output_tokens": 2}
            | {"finish_reason": "stop", "output_messages": "Hello"},
        ),
        (
            ANTHROPIC_CHUNKS,
            {"model": "claude-sonnet-4-5", "provider": "anthropic", "input_tokens": 109, "output_tokens": 12}
            | {"cache_read_input_tokens": 100, "finish_reason": "end_turn", "output_messages": "Hello"},
        ),
        (
            RESPONSES_CHUNKS,
            {"model": "gpt-5", "provider": "openai", "input_tokens": 9, "cache_read_input_tokens": 4}
            | {"output_messages": [{"type": "message"}]},
        ),
    ],
)
def test_streams(chunks: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    for response in (chunks, sse(*chunks)):
        data = data_of({"response": response})
        assert {name: data.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("row", "provider"),
    [
        ({"provider": "azure", "response": OPENAI_CHUNKS[2]}, "azure"),
        ({"url": "https://api.groq.com/openai/v1/chat/completions", "response": OPENAI_CHUNKS[2]}, "groq"),
        ({"response": OPENAI_CHUNKS[2]}, "openai"),
        ({"provider": "our-own-proxy", "response": OPENAI_CHUNKS[2]}, "our-own-proxy"),
        (
            {"url": "http://127.0.0.1:8000/v1/chat/completions", "response": {**OPENAI_CHUNKS[2], "model": "own"}},
            "self-hosted",
        ),
        ({"url": "https://llm.example/v1", "response": OPENAI_CHUNKS[2]}, None),
        ({"response": {**OPENAI_CHUNKS[2], "model": "nobody-s"}}, None),
        ({"response": {"model": "text-embedding-3-small", "usage": {"prompt_tokens": 3}}}, "openai"),
        ({"response": {"usageMetadata": {"promptTokenCount": 3}, "modelVersion": "gemini-2.5-flash"}}, "google"),
        ({"request": {"modelId": "nova"}, "response": {"usage": {"inputTokens": 3, "outputTokens": 4}}}, "aws"),
    ],
)
def test_who_answered(row: dict[str, Any], provider: str | None) -> None:
    data = data_of(row)
    assert data["provider"] == provider
    assert "input_tokens" in data


def test_the_same_answer_again_is_the_same_event_and_another_under_its_id_is_not() -> None:
    def id_of(answer: dict[str, Any]) -> Any:
        (made,) = MODULES["openai"].versions["1"].read({"response": answer})
        return made.event["id"]

    other = {**OPENAI_CHUNKS[2], "usage": {"prompt_tokens": 9, "completion_tokens": 3}}
    assert id_of(OPENAI_CHUNKS[2]) == id_of(dict(OPENAI_CHUNKS[2])) != id_of(other)
    assert id_of({"model": "m", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}) is None


def test_the_answer_alone_is_a_row() -> None:
    assert data_of(OPENAI_CHUNKS[2])["input_tokens"] == 9


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"response": {"usage": {"prompt_tokens": "9", "completion_tokens": 1}}}, "response.usage"),
        ({}, "response"),
        ({"request": [], "response": {}}, "request"),
        ({"response": 7}, "response"),
        ({"response": "hello"}, "response"),
        ({"response": "data: {"}, "response"),
    ],
)
def test_what_is_no_call(row: dict[str, Any], field: str) -> None:
    with pytest.raises(RowInvalid) as told:
        data_of(row)
    assert told.value.field == field


def test_errors_are_told_by_the_callers_own_fields() -> None:
    rows = [
        {"response": {"model": "gpt-4o", "usage": {"prompt_tokens": -1, "completion_tokens": 1}}},
        {"response": {"usage": {"prompt_tokens": 1, "completion_tokens": 1}}},
        {"response": OPENAI_CHUNKS[2], "duration_ms": -1},
        {"response": OPENAI_CHUNKS[2], "timestamp": "now"},
    ]
    assert [(row.index, row.field) for row in decoded(rows).rejected] == [
        (0, "response.usage"),
        (1, "request.model"),
        (2, "duration_ms"),
        (3, "timestamp"),
    ]


def test_what_openrouter_charged_is_kept() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "cost": 0.00093, "cost_details": {}, "is_byok": False}
    data = data_of({"response": {"model": "anthropic/claude-4.6-sonnet-20260217", "usage": usage}})
    assert (data["provider"], data["provider_cost_usd"]) == ("openrouter", 0.00093)


def prices_of(body: dict[str, Any], provider: str | None = None) -> set[Decimal]:
    """What a body must cost, by a provider or by whichever it may have come from: then, and by today's price list."""
    allowed = set()
    for extracted in body["extracted"]:
        for one in extracted["extractors"]:
            if "input_price" in one and provider in (None, one["provider_id"]):
                then = Decimal(one.get("total_price", Decimal(one["input_price"]) + Decimal(one["output_price"])))
                usage = genai_prices.Usage(**extracted["usage"])
                now = genai_prices.calc_price(
                    usage, body["model"], provider_id=one["provider_id"], genai_request_timestamp=NOW
                )
                allowed |= {then, now.total_price}
    return allowed


def recorded(folder: Path) -> list[dict[str, Any]]:
    with gzip.open(folder / "genai_prices" / "usages.json.gz") as file:
        return json.load(file)


def off(cost: dict[str, Any], allowed: set[Decimal]) -> Decimal:
    """How far the cost is from the nearest that it may be."""
    return min((abs(cost["cost_usd"] - one) for one in allowed), default=Decimal(0))


def test_details_of_a_kind_nobody_knows_leave_the_totals() -> None:
    usage = {
        "promptTokenCount": 9,
        "candidatesTokenCount": 2,
        "promptTokensDetails": [{"modality": 1, "tokenCount": 9}],
    }
    data = data_of({"response": {"usageMetadata": usage, "modelVersion": "gemini-2.5-flash"}})
    assert (data["input_tokens"], data["output_tokens"]) == (9, 2)


FINITE = st.floats(allow_nan=False, allow_infinity=False)
ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 10**10)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES_OF_USAGE, inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=400, deadline=None)
@given(
    usage=st.dictionaries(NAMES_OF_USAGE, ODD, max_size=6),
    place=st.sampled_from(["usage", "usageMetadata", "meta"]),
    more=st.dictionaries(
        st.sampled_from(["choices", "content", "data", "id", "model", "type", "object", "error"]), ODD
    ),
    request_body=st.dictionaries(st.sampled_from(["model", "messages", "input", "system", "tools", "stream"]), ODD),
)
def test_any_answer_becomes_an_event_or_is_refused(
    usage: dict[str, Any], place: str, more: dict[str, Any], request_body: dict[str, Any]
) -> None:
    rows = [{"request": request_body, "response": {**more, place: usage}}, {"response": [{**more, place: usage}] * 2}]
    assert decoded(rows).rows == 2


@pytest.mark.data
def test_every_recorded_exchange_is_read(bench_data: Path) -> None:
    """Recordings of three instrumentation projects: whatever a provider answered, it is an event."""
    yaml = pytest.importorskip("yaml")
    known: Counter[str] = Counter()
    for path in sorted((bench_data / "provider_cassettes").rglob("*.yaml.gz")):
        with gzip.open(path) as file:
            exchanges = yaml.load(file, yaml.CSafeLoader).get("interactions") or []
        for exchange in exchanges:
            row = recorded_row(exchange)
            if row is not None:
                data = data_of(row)
                known[f"{data['provider']} {'tokens' if 'input_tokens' in data else data.get('status', 'silent')}"] += 1
    assert known["openai tokens"] > 70
    assert known["anthropic tokens"] > 30
    assert known["google tokens"] > 30


def recorded_row(exchange: dict[str, Any]) -> dict[str, Any] | None:
    """A recorded exchange as a row; None of one that is no call of a model, or not readable as text."""
    asked, answered = exchange["request"], exchange["response"]
    body = answered.get("body")
    body = body.get("string") if isinstance(body, dict) else body
    body = body.decode(errors="replace") if isinstance(body, bytes) else body
    status = answered["status"]["code"] if isinstance(answered.get("status"), dict) else answered.get("status_code")
    request = asked.get("body")
    request = request.decode(errors="replace") if isinstance(request, bytes) else request
    if not isinstance(body, str) or not isinstance(request, str) or not request.startswith("{"):
        return None
    if not body.startswith(("{", "data:", "event:")):
        return None
    try:
        sent = json.loads(request)
    except json.JSONDecodeError:  # whoever recorded it took something out
        return None
    return {"request": sent, "response": body, "url": asked.get("uri"), "http_status": status}


@pytest.mark.data
def test_every_recorded_body_costs_what_it_must(bench_data: Path) -> None:
    bodies = recorded(bench_data)
    rows = [{"request": {"model": body.get("model")}, "response": body["body"]} for body in bodies]
    taken = decoded(rows)
    nameless = [index for index, row in enumerate(rows) if row["request"]["model"] is None]
    assert [(row.index, row.field) for row in taken.rejected] == [(index, "request.model") for index in nameless]
    costs = price(taken.table, PriceTable()).table.to_pylist()
    unpriced = [cost["model"] for cost in costs if cost["cost_usd"] is None]
    assert {cost["cost_source"] for cost in costs if cost["cost_usd"] is None} == {"unpriced"}
    named = [body for body in bodies if body.get("model")]
    offs = [off(cost, prices_of(body)) for body, cost in zip(named, costs, strict=True) if cost["cost_usd"] is not None]
    assert (len(costs), len(unpriced)) == (894, 19), set(unpriced)  # models of many hosts, and nothing that tells which
    assert max(offs) <= CENT
    assert sum(one <= Decimal("1e-9") for one in offs) > 0.96 * len(offs)


@pytest.mark.data
def test_every_recorded_body_costs_what_its_provider_takes(bench_data: Path) -> None:
    rows, due = [], []
    for body in recorded(bench_data):
        providers = {one["provider_id"] for extracted in body["extracted"] for one in extracted["extractors"]}
        for provider in sorted(providers) if body.get("model") else ():
            if allowed := prices_of(body, provider):
                rows.append({"provider": provider, "request": {"model": body["model"]}, "response": body["body"]})
                due.append(allowed)
    costs = price(decoded(rows).table, PriceTable()).table.to_pylist()
    offs = [off(cost, one) for cost, one in zip(costs, due, strict=True) if cost["cost_usd"] is not None]
    assert len(offs) > 0.99 * len(costs)
    assert max(offs) <= CENT
