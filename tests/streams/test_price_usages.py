"""Every recorded usage body that has a price gets exactly that price from the vectorised step."""

import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import genai_prices
import pytest

from streams.prices.table import PriceTable
from streams.steps.price import price
from tests.streams.blocks import START, make_table

_COLUMNS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cache_read_input_tokens",
    "cache_write_tokens": "cache_write_input_tokens",
    "output_reasoning_tokens": "reasoning_output_tokens",
}


def _cases(folder: Path) -> Iterator[tuple[str, str, dict[str, Any], Decimal]]:
    """Provider, model, usage and the price that they must give."""
    with gzip.open(folder / "genai_prices" / "usages.json.gz") as file:
        bodies = json.load(file)
    for body in bodies:
        model = body.get("model") or body["body"].get("model")
        for extracted in body["extracted"]:
            for extractor in extracted["extractors"]:
                if model and "input_price" in extractor:
                    prices = (Decimal(extractor[name]) for name in ("input_price", "output_price"))
                    total = Decimal(extractor.get("total_price", sum(prices)))
                    yield extractor["provider_id"], model, extracted["usage"], total


def _row(provider: str, model: str, usage: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"provider": provider, "model": model}
    row.update({_COLUMNS[name]: value for name, value in usage.items() if name in _COLUMNS})
    further = {name: value for name, value in usage.items() if name not in _COLUMNS}
    return {**row, "data": json.dumps(further)} if further else row


@pytest.mark.data
def test_recorded_usages(bench_data: Path) -> None:
    cases = [case for case in _cases(bench_data) if case[2]]
    assert len(cases) > 2000
    priced = price(make_table([_row(*case[:3]) for case in cases]), PriceTable()).table.to_pylist()
    unpriced, as_recorded = set(), 0
    for (provider, model, usage, recorded), got in zip(cases, priced, strict=True):
        own = genai_prices.calc_price(
            genai_prices.Usage(**usage), model, provider_id=provider, genai_request_timestamp=START
        ).total_price
        if got["cost_usd"] is None:
            # In the table, but without a price: zero there, unknown here.
            assert own == 0
            unpriced.add((provider, model))
            continue
        assert abs(got["cost_usd"] - own) <= Decimal("1e-10"), (provider, model, usage)
        as_recorded += abs(got["cost_usd"] - recorded) <= Decimal("1e-10")
    assert unpriced == {("cerebras", "qwen-3-coder-480b")}
    # Some models have changed their prices since the bodies were recorded.
    assert as_recorded > 0.96 * len(cases)
