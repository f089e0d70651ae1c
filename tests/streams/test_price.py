"""Prices: every case against the public table's own calculation, and the rules of whose cost counts."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import genai_prices
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.prices.model import TenantPrice
from streams.prices.table import PriceTable
from streams.steps.price import Priced, price
from tests.streams.blocks import START, make_table

TABLE = PriceTable()
GPT = {"provider": "openai", "model": "gpt-4o", "input_tokens": 1000, "output_tokens": 100}
GPT_COST = Decimal("0.0035")


def _one(row: Mapping[str, Any], prices: PriceTable = TABLE) -> dict[str, Any]:
    row = dict(price(make_table([row]), prices).table.to_pylist()[0])
    names = ("cost_usd", "reported_cost_usd", "hub_cost_usd", "cost_source", "price_version")
    return {name: row.get(name) for name in names}


def _priced(*rows: Mapping[str, Any], prices: PriceTable = TABLE) -> Priced:
    return price(make_table(rows), prices)


def test_plain_call() -> None:
    assert _one(GPT) == {
        "cost_usd": GPT_COST,
        "reported_cost_usd": None,
        "hub_cost_usd": None,
        "cost_source": "price",
        "price_version": TABLE.version,
    }


def test_cache_reads_are_part_of_the_input_and_billed_once() -> None:
    row = _one({**GPT, "cache_read_input_tokens": 600})
    assert row["cost_usd"] == Decimal("0.00275")  # 400 × 2.5 + 600 × 1.25 + 100 × 10, a million


def test_cache_writes_have_their_own_price() -> None:
    row = _one(
        {
            "provider": "anthropic",
            "model": "claude-sonnet-4-5",
            "input_tokens": 1000,
            "output_tokens": 0,
            "cache_read_input_tokens": 300,
            "cache_write_input_tokens": 200,
        }
    )
    assert row["cost_usd"] == (500 * Decimal(3) + 300 * Decimal("0.3") + 200 * Decimal("3.75")) / 10**6


def test_more_cached_than_input_tokens_is_never_negative() -> None:
    assert _one({**GPT, "input_tokens": 10, "output_tokens": 0, "cache_read_input_tokens": 600})["cost_usd"] == Decimal(
        "0.00075"
    )


def test_reasoning_is_part_of_the_output() -> None:
    assert _one({**GPT, "reasoning_output_tokens": 60})["cost_usd"] == GPT_COST


def test_batch_has_its_own_price() -> None:
    assert _one({**GPT, "batch": True})["cost_usd"] == Decimal("0.00175")


def test_service_tier_has_its_own_price() -> None:
    row = _one({**GPT, "data": json.dumps({"service_tier": "priority", "temperature": 0.2})})
    assert row["cost_usd"] == Decimal("0.00595")


@pytest.mark.parametrize("extra", ["[]", "3", '{"service_tier": 4, "web_searches": true}', '{"x_audio": 1}'])
def test_details_that_say_nothing_change_nothing(extra: str) -> None:
    assert _one({**GPT, "data": extra.replace("[]", '["service_tier"]')})["cost_usd"] == GPT_COST


def test_long_prompts_have_the_price_of_their_tier_for_all_tokens() -> None:
    gemini = {"provider": "google", "model": "gemini-2.5-pro", "output_tokens": 10}
    short, long = _one({**gemini, "input_tokens": 200_000}), _one({**gemini, "input_tokens": 200_001})
    assert short["cost_usd"] == Decimal("0.2501")
    assert long["cost_usd"] == (200_001 * Decimal("2.5") + 10 * 15) / 10**6


def test_time_of_day_decides() -> None:
    call = {"provider": "deepseek", "model": "deepseek-chat", "input_tokens": 10**6, "output_tokens": 0}
    day = datetime(2026, 11, 20, tzinfo=UTC)
    costs = [
        _one({**call, "time": day + timedelta(minutes=minutes)})["cost_usd"] for minutes in (0, 29, 30, 989, 990, 1439)
    ]
    assert costs == [Decimal(text) for text in ("0.135", "0.135", "0.27", "0.27", "0.135", "0.135")]


def test_many_models_with_their_own_times_in_one_block() -> None:
    models = ["deepseek-chat", "deepseek-reasoner", "deepseek-v4-pro", "deepseek-v4-flash", "deepseek-flash"]
    rows = [
        {
            "provider": "deepseek",
            "model": models[number % 5],
            "input_tokens": 1000 + number,
            "output_tokens": number,
            "time": START - timedelta(hours=7 * number),
        }
        for number in range(400)
    ]
    got = [row["cost_usd"] for row in _priced(*rows).table.to_pylist()]
    assert got == [_own(row) for row in rows]


def _own(row: Mapping[str, Any]) -> Decimal:
    """The public table's own calculation."""
    usage = genai_prices.Usage(
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        cache_read_tokens=row.get("cache_read_input_tokens", 0),
        cache_write_tokens=row.get("cache_write_input_tokens", 0),
        output_reasoning_tokens=row.get("reasoning_output_tokens", 0),
    )
    found = genai_prices.calc_price(
        usage,
        row["model"],
        provider_id=row["provider"],
        genai_request_timestamp=row["time"],
        price_context={"processing": "batch"} if row.get("batch") else None,
    )
    return found.total_price.quantize(Decimal("1e-10"))


@st.composite
def _calls(draw: st.DrawFn) -> dict[str, Any]:
    provider, model = draw(
        st.sampled_from(
            [
                ("openai", "gpt-4o"),
                ("openai", "gpt-5"),
                ("anthropic", "claude-sonnet-4-5"),
                ("google", "gemini-2.5-pro"),
                ("deepseek", "deepseek-v4-pro"),
                ("mistral", "mistral-large-latest"),
                ("aws", "anthropic.claude-3-5-sonnet-20241022-v2:0"),
            ]
        )
    )
    read, write, rest = (draw(st.integers(0, 300_000)) for _ in range(3))
    reasoning, said = draw(st.integers(0, 10_000)), draw(st.integers(0, 10_000))
    return {
        "provider": provider,
        "model": model,
        "input_tokens": read + write + rest,
        "cache_read_input_tokens": read,
        "cache_write_input_tokens": write,
        "output_tokens": reasoning + said,
        "reasoning_output_tokens": reasoning,
        "batch": draw(st.booleans()),
        "time": START - timedelta(minutes=draw(st.integers(0, 400_000))),
    }


@settings(deadline=None, max_examples=60)
@given(st.lists(_calls(), min_size=1, max_size=40))
def test_equals_the_table_itself_row_by_row(rows: list[dict[str, Any]]) -> None:
    for row, got in zip(rows, _priced(*rows).table.to_pylist(), strict=True):
        assert abs(got["cost_usd"] - _own(row)) <= Decimal("1e-9")


@pytest.mark.parametrize(
    ("provider", "model", "response_model"),
    [
        (None, "gpt-4o", None),
        (None, "openai/gpt-4o", None),
        ("openai", "openai/gpt-4o", None),
        ("litellm", "openai/gpt-4o", None),
        ("my-gateway", "gpt-4o", None),
        ("azure_openai", "my-deployment", "gpt-4o"),
        ("OpenAI", "GPT-4o", None),
        ("azure.ai.openai", "gpt-4o", None),
    ],
)
def test_ways_to_name_a_model(provider: str | None, model: str, response_model: str | None) -> None:
    row = {**GPT, "provider": provider, "model": model, "response_model": response_model}
    assert _one(row)["cost_usd"] == GPT_COST


def test_the_model_that_answered_goes_first() -> None:
    assert _one({**GPT, "response_model": "gpt-4o-2024-05-13"})["cost_usd"] == Decimal("0.0065")


def test_embeddings() -> None:
    row = {"type": "llm.embedding", "provider": "openai", "model": "text-embedding-3-small", "input_tokens": 1000}
    assert _one(row)["cost_usd"] == Decimal("0.00002")


class TestUnpriced:
    def test_unknown_model_is_null_and_counted(self) -> None:
        done = _priced(*[{**GPT, "model": "acme-7", "provider": "acme-ai"}] * 3, GPT)
        row = done.table.to_pylist()[0]
        assert (row["cost_usd"], row["cost_source"], row["price_version"]) == (None, "unpriced", None)
        assert [(item.model, item.reason, item.calls) for item in done.unpriced] == [("acme-7", "no_price", 3)]

    def test_without_tokens_or_text(self) -> None:
        done = _priced({"provider": "openai", "model": "gpt-4o"})
        assert done.table.to_pylist()[0]["cost_source"] == "unpriced"
        assert done.unpriced[0].reason == "no_usage"

    @pytest.mark.parametrize("provider", ["vllm", "Ollama", "self-hosted"])
    def test_own_machines_have_no_public_price(self, provider: str) -> None:
        assert _one({**GPT, "provider": provider})["cost_source"] == "unpriced"

    def test_model_without_a_price_for_tokens(self) -> None:
        assert _one({**GPT, "provider": "groq", "model": "whisper-large-v3"})["cost_source"] == "unpriced"

    def test_other_types_have_no_cost(self) -> None:
        assert "cost_source" not in _priced({"type": "agent.run", "input_tokens": 5}).table.column_names


class TestReported:
    def test_counts_beside_the_hubs(self) -> None:
        row = _one({**GPT, "cost_usd": 0.5})
        assert (row["cost_usd"], row["cost_source"]) == (Decimal("0.5"), "reported")
        assert (row["reported_cost_usd"], row["hub_cost_usd"]) == (Decimal("0.5"), GPT_COST)
        assert row["price_version"] == TABLE.version

    def test_zero_is_contradicted_by_a_price(self) -> None:
        row = _one({**GPT, "cost_usd": 0.0})
        assert (row["cost_usd"], row["cost_source"], row["reported_cost_usd"]) == (GPT_COST, "price", Decimal(0))

    def test_zero_of_a_cache_hit_is_true(self) -> None:
        row = _one({**GPT, "cost_usd": 0.0, "cache_hit": True})
        assert (row["cost_usd"], row["cost_source"]) == (Decimal(0), "reported")

    def test_zero_of_an_unknown_model_is_taken(self) -> None:
        assert _one({**GPT, "model": "acme-7", "cost_usd": 0.0})["cost_source"] == "reported"

    def test_of_an_unknown_model(self) -> None:
        done = _priced({**GPT, "model": "acme-7", "cost_usd": 0.25})
        row = done.table.to_pylist()[0]
        assert (row["cost_usd"], row.get("hub_cost_usd")) == (Decimal("0.25"), None)
        assert not done.unpriced

    def test_of_a_judgement(self) -> None:
        row = _one({"type": "evaluation.score", "name": "faithful", "score": 1.0, "cost_usd": 0.002})
        assert (row["cost_usd"], row["cost_source"]) == (Decimal("0.002"), "reported")


def test_cache_hit_costs_nothing() -> None:
    row = _one({**GPT, "cache_hit": True})
    assert (row["cost_usd"], row["cost_source"]) == (Decimal(0), "price")


@pytest.mark.parametrize("model", ["gpt-4o", "acme-7"])
def test_failed_call_without_tokens_costs_nothing(model: str) -> None:
    row = _one({"provider": "openai", "model": model, "status": "error"})
    assert (row["cost_usd"], row["cost_source"]) == (Decimal(0), "price")


def test_estimate_from_the_text_is_labelled() -> None:
    body = json.dumps(
        {"input_messages": [{"role": "user", "content": "x" * 4000}], "output_messages": [{"content": "y" * 397}]}
    )
    row = _one({"provider": "openai", "model": "gpt-4o", "body": body})
    assert (row["cost_usd"], row["cost_source"]) == (GPT_COST, "estimated")


def test_body_without_text_is_no_estimate() -> None:
    assert _one({"provider": "openai", "model": "gpt-4o", "body": '{"tools": []}'})["cost_source"] == "unpriced"
    two = _priced({"provider": "openai", "model": "gpt-4o", "body": '{"input_messages": "hi"}'}, {"model": "gpt-4o"})
    assert [row["cost_source"] for row in two.table.to_pylist()] == ["estimated", "unpriced"]


class TestTenantPrices:
    def test_go_first(self) -> None:
        prices = PriceTable(
            lambda tenant: (
                [
                    TenantPrice(
                        "gpt-*", input_usd_per_mtok=2.0, output_usd_per_mtok=4.0, batch_factor=0.5, request_usd=1.0
                    )
                ]
                if tenant == "acme"
                else []
            )
        )
        row = _one(GPT, prices)
        assert (row["cost_usd"], row["cost_source"]) == (Decimal("1.0024"), "tenant_price")
        assert row["price_version"] == "tenant"
        assert _one({**GPT, "batch": True}, prices)["cost_usd"] == Decimal("1.0012")
        assert _one({**GPT, "tenant": "other"}, prices)["cost_usd"] == GPT_COST

    def test_per_gpu_hour(self) -> None:
        prices = PriceTable(lambda _: [TenantPrice("llama-*", provider="vllm", gpu_hour_usd=2.5, gpus=4)])
        call = {"provider": "vllm", "model": "llama-3-70b", "input_tokens": 10}
        assert _one({**call, "duration_ms": 1800.0}, prices)["cost_usd"] == Decimal("0.005")
        assert _one(call, prices)["cost_source"] == "unpriced"

    def test_cached_and_reasoning_tokens(self) -> None:
        own = TenantPrice(
            input_usd_per_mtok=10,
            output_usd_per_mtok=20,
            cache_read_usd_per_mtok=1,
            cache_write_usd_per_mtok=12,
            reasoning_usd_per_mtok=30,
        )
        row = {**GPT, "cache_read_input_tokens": 200, "cache_write_input_tokens": 100, "reasoning_output_tokens": 40}
        cost = (700 * 10 + 200 * 1 + 100 * 12 + 60 * 20 + 40 * 30) / Decimal(10**6)
        assert _one(row, PriceTable(lambda _: [own]))["cost_usd"] == cost

    def test_hold_from_and_to_a_moment(self) -> None:
        noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
        own = TenantPrice(input_usd_per_mtok=1000, valid_from=noon, valid_to=noon + timedelta(hours=1))
        prices = PriceTable(lambda _: [own])
        times = [noon - timedelta(microseconds=1), noon, noon + timedelta(hours=1)]
        sources = [_one({**GPT, "time": time}, prices)["cost_source"] for time in times]
        assert sources == ["price", "tenant_price", "price"]

    def test_change_takes_effect_with_the_next_block(self) -> None:
        own: list[TenantPrice] = []
        prices = PriceTable(lambda _: own)
        assert _one(GPT, prices)["cost_usd"] == GPT_COST
        own.append(TenantPrice(input_usd_per_mtok=1.0))
        assert _one(GPT, prices)["cost_usd"] == Decimal("0.001")
        own.clear()
        assert _one(GPT, prices)["cost_usd"] == GPT_COST

    def test_audio_at_a_tenants_price_is_not_priced_twice(self) -> None:
        prices = PriceTable(lambda _: [TenantPrice(input_usd_per_mtok=1.0)])
        row = {**GPT, "data": '{"input_audio_tokens": 100}'}
        assert _one(row, prices)["cost_usd"] == Decimal("0.001")


def test_audio_tokens_have_their_own_price() -> None:
    row = {
        "provider": "google",
        "model": "gemini-2.5-flash",
        "input_tokens": 1000,
        "output_tokens": 0,
        "data": json.dumps({"input_audio_tokens": 400}),
    }
    usage = genai_prices.Usage(input_tokens=1000, input_audio_tokens=400)
    own = genai_prices.calc_price(usage, row["model"], provider_id="google", genai_request_timestamp=START)
    assert own.total_price > Decimal("0.0003")
    assert _one(row)["cost_usd"] == own.total_price


def test_usage_that_contradicts_itself_keeps_the_price_of_the_columns() -> None:
    assert _one({**GPT, "data": '{"input_audio_tokens": 4000, "cache_audio_read_tokens": 9000}'})["cost_usd"] in (
        GPT_COST,
        Decimal("0.0035000000"),
    )


def test_empty_block() -> None:
    assert price(make_table([GPT]).slice(0, 0), TABLE).table.num_rows == 0


class TestQuestions:
    def test_lookup(self) -> None:
        answer = TABLE.lookup("acme", "gpt-4o", "openai", at=START)
        assert answer is not None
        assert (answer.provider, answer.model, answer.source) == ("openai", "gpt-4o", "price")
        assert answer.usd_per_mtok[0]["input"] == 2.5

    def test_lookup_of_batch_and_tiers(self) -> None:
        answer = TABLE.lookup("acme", "gemini-2.5-pro", batch=True, at=START)
        assert answer is not None
        assert answer.above_input_tokens == (200_000,)
        assert [rates["input"] for rates in answer.usd_per_mtok] == [0.625, 1.25]

    def test_lookup_of_nothing(self) -> None:
        assert TABLE.lookup("acme", "acme-7") is None

    def test_lookup_of_a_tenants_own(self) -> None:
        prices = PriceTable(lambda _: [TenantPrice(gpu_hour_usd=2.0, gpus=2)])
        answer = prices.lookup("acme", "llama", "vllm")
        assert answer is not None
        assert (answer.source, answer.version, answer.hour_usd) == ("tenant_price", "tenant", 4.0)
        assert prices.own("acme")[0].gpus == 2

    def test_listing_has_the_whole_table(self) -> None:
        answers = list(TABLE.listing(START))
        assert len(answers) > 2000
        assert any((answer.provider, answer.model) == ("openai", "gpt-4o") for answer in answers)
