"""The public price table: ``genai-prices``, as installed, never updated over the network."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from importlib.metadata import version
from typing import Any, Final

from genai_prices.data import providers as public_providers
from genai_prices.data_snapshot import DataSnapshot, find_provider_by_id
from genai_prices.types import ModelPrice, StartDateConstraint, TieredPrices, TimeOfDateConstraint, Usage

from streams.prices.model import SOURCE_PRICE, Call, Rate, Tiers, to_micros

#: Serving software and words for "our own machines": a public price of the same model would be somebody else's.
SELF_HOSTED: Final = frozenset(
    {
        *("vllm", "ollama", "tgi", "sglang", "llamacpp", "llama.cpp", "llama-cpp", "lmstudio", "lm-studio", "mlx"),
        *("triton", "nim", "tensorrt-llm", "ray", "ray-serve", "local", "localai", "internal"),
        *("self-hosted", "self_hosted", "selfhosted", "on-prem", "onprem"),
    }
)

#: Names of OpenTelemetry and of gateways that the table does not know itself.
ALIASES: Final = {
    "azure_openai": "azure",
    "azure-openai": "azure",
    "az.ai.openai": "azure",
    "az.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "azure_ai": "azure",
    "gcp.gen_ai": "google",
    "gcp": "google",
    "mistral_ai": "mistral",
    "x_ai": "x-ai",
    "grok": "x-ai",
    "fireworks_ai": "fireworks",
    "fireworks-ai": "fireworks",
    "together.ai": "together",
    "togetherai": "together",
    "cohere_chat": "cohere",
    "voyage": "voyageai",
    "meta_llama": "meta",
    "nvidia_nim": "nvidia",
}

_MTOK: Final = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "reasoning": "output_reasoning_mtok",
}


#: Models whose very name says that they cost nothing have no price in the table.
_FREE: Final = Tiers((), ((0.0,) * 7,), SOURCE_PRICE)


@dataclass(frozen=True, slots=True)
class Found:
    """A model of the table, at the provider whose price counts."""

    provider: Any
    model: Any

    @property
    def name(self) -> str:
        """``provider/model``."""
        return f"{self.provider.id}/{self.model.id}"


class PublicTable:
    """Finds models in the table of ``genai-prices`` and reads their rates. Pure, and safe for threads."""

    def __init__(self) -> None:
        self._snapshot = DataSnapshot(providers=public_providers, from_auto_update=False)

    @cached_property
    def version(self) -> str:
        """Stamped on every priced event."""
        return f"genai-prices/{version('genai-prices')}"

    @property
    def providers(self) -> list[Any]:
        """All providers of the table."""
        return list(self._snapshot.providers)

    def find(self, call: Call) -> Found | None:
        """The model that was called: by the provider's name where there is one, else by the model's name alone.

        The model that answered goes before the one that was asked for: it carries the exact version. Names with a
        prefix (``openai/gpt-4o``) are tried whole, then split.
        """
        if (call.provider or "").lower().strip() in SELF_HOSTED:
            return None
        for provider, model in _candidates(call):
            if provider is not None and find_provider_by_id(self._snapshot.providers, provider) is None:
                continue
            try:
                return Found(*self._snapshot.find_provider_model(model, None, provider, None))
            except LookupError:
                continue
        return None

    def moments(self, found: Found) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Moments (microseconds) and times of day (seconds) at which a price of the model may change."""
        starts: set[int] = set()
        marks: set[int] = set()
        for constraint in _constraints(found.model):
            if isinstance(constraint, StartDateConstraint):
                starts.add(to_micros(datetime.combine(constraint.start_date, time(), UTC)))
            elif isinstance(constraint, TimeOfDateConstraint):
                marks.update(_second(moment) for moment in (constraint.start_time, constraint.end_time))
        return tuple(sorted(starts)), tuple(sorted(marks))

    def tiers(self, found: Found, moment: datetime, call: Call) -> Tiers | None:
        """The rates at a moment; None when the model has no price for tokens or calls at all."""
        price = self._price(found, moment, call)
        used = {name: getattr(price, key) for name, key in _MTOK.items()}
        request = getattr(price, "requests_kcount", None)
        if request is None and all(value is None for value in used.values()):
            return _FREE if found.model.id.endswith(":free") else None
        above = sorted({tier.start for value in used.values() for tier in _tiers(value)})
        rates = tuple(_rate(used, request, start) for start in (-1, *above))
        return Tiers(tuple(above), rates, SOURCE_PRICE)

    def cost(self, found: Found, moment: datetime, call: Call, usage: dict[str, int | float]) -> Decimal | None:
        """The table's own calculation for usage of any kind (audio, images, searches …); None if it refuses."""
        price = self._price(found, moment, call)
        try:
            return Decimal(price.calc_price(Usage(**usage))["total_price"])
        except ValueError:
            return None

    def _price(self, found: Found, moment: datetime, call: Call) -> ModelPrice:
        # Variants are the provider's own: a model that another provider resells has the standard price.
        own = any(found.model is model for model in found.provider.models)
        price: ModelPrice = found.model.get_prices(moment, dict(call.context) if own else None)
        return price


def _candidates(call: Call) -> Iterator[tuple[str | None, str]]:
    hint = (call.provider or "").lower().strip() or None
    hint = ALIASES.get(hint, hint) if hint else None
    names = list(dict.fromkeys(name.strip() for name in (call.response_model, call.model) if name and name.strip()))
    if hint:
        yield from ((hint, name) for name in names)
        yield from ((hint, name.rsplit("/", 1)[1]) for name in names if "/" in name)
    for name in names:
        if "/" in name:
            prefix, rest = name.split("/", 1)
            yield ALIASES.get(prefix.lower(), prefix), rest
    yield from ((None, name) for name in names)
    yield from ((None, name.rsplit("/", 1)[1]) for name in names if "/" in name)


def _constraints(model: Any) -> Iterator[Any]:
    if isinstance(model.prices, list):
        yield from (conditional.constraint for conditional in model.prices)
    yield from (variant.constraint for variant in model.price_variants or ())


def _second(moment: time) -> int:
    """The second of the day from which on a constraint with this time may decide otherwise, in UTC."""
    if moment.tzinfo is not None:
        moment = datetime.combine(date(2000, 1, 2), moment).astimezone(UTC).time()
    return moment.hour * 3600 + moment.minute * 60 + moment.second


def _tiers(price: Decimal | TieredPrices | None) -> list[Any]:
    return price.tiers if isinstance(price, TieredPrices) else []


def _at(price: Decimal | TieredPrices | None, above: int) -> Decimal | None:
    """The price for more than ``above`` input tokens."""
    if not isinstance(price, TieredPrices):
        return price
    return next((tier.price for tier in reversed(price.tiers) if above >= tier.start), price.base)


def _rate(used: dict[str, Any], request: Decimal | None, above: int) -> Rate:
    prices = {name: _at(value, above) for name, value in used.items()}
    plain, out = prices["input"] or Decimal(0), prices["output"] or Decimal(0)

    def token(name: str, otherwise: Decimal) -> float:
        price = prices[name]
        return float((otherwise if price is None else price) / 1_000_000)

    return (
        float(plain / 1_000_000),
        float(out / 1_000_000),
        token("cache_read", plain),
        token("cache_write", plain),
        token("reasoning", out),
        float((request or Decimal(0)) / 1000),
        0.0,
    )


def representative(start: int | None, first: int | None, mark: int | None) -> datetime:
    """A moment at which the price of an interval holds: the day it starts at the time of day it starts."""
    if start is not None:
        day = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=start)
    elif first is not None:
        day = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=first) - timedelta(days=1)
    else:
        day = datetime(2020, 1, 1, tzinfo=UTC)
    return datetime.combine(day.date(), time(), UTC) + timedelta(seconds=mark or 0)
