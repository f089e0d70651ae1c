"""What a provider's answer says about tokens, in whichever of the providers' forms it says so.

The figures are taken out by the extractors of ``genai-prices``, the price table's own: price and usage agree on what
each number means (Anthropic counts prompt tokens without cache reads, OpenAI with them).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from ingest.decode.explain import RowInvalid

#: Names of the price table that an event has columns for.
_COLUMNS: Final[Mapping[str, str]] = {
    "cache_read_tokens": "cache_read_input_tokens",
    "cache_write_tokens": "cache_write_input_tokens",
    "output_reasoning_tokens": "reasoning_output_tokens",
}


@dataclass(frozen=True, slots=True)
class _Shape:
    """A form of usage: who may use it under which flavour, and whose it is."""

    flavours: tuple[str, ...]
    provider: str
    flavour: str
    telling: bool = False
    """Whether the form alone tells the provider: nobody else answers so."""


_CHAT: Final = _Shape(("chat", "default"), "openai", "chat")
_EMBEDDINGS: Final = _Shape(("embeddings", "chat", "default"), "openai", "embeddings")
_RESPONSES: Final = _Shape(("responses", "default"), "openai", "responses")
_ANTHROPIC: Final = _Shape(("anthropic",), "anthropic", "default", telling=True)
_GOOGLE: Final = _Shape(("default",), "google", "default", telling=True)
_BEDROCK: Final = _Shape(("default",), "aws", "default", telling=True)
_COHERE: Final = _Shape(("default", "embeddings"), "cohere", "default", telling=True)


def _shape(response: Mapping[str, Any]) -> _Shape | None:
    if isinstance(response.get("usageMetadata"), dict):
        return _GOOGLE
    usage = response.get("usage")
    if not isinstance(usage, dict):
        return _COHERE if isinstance(response.get("meta"), dict) else None
    if "prompt_tokens" in usage:
        return _CHAT if "completion_tokens" in usage else _EMBEDDINGS
    if "inputTokens" in usage:
        return _BEDROCK
    if "billed_units" in usage:
        return _COHERE
    if "input_tokens" in usage:
        theirs = response.get("type") == "message" or any(name.startswith("cache_") for name in usage)
        return _ANTHROPIC if theirs else _RESPONSES
    return None


#: How the extractors begin to say that a figure is not there: such a call is kept, and shown as unpriced.
_SILENT: Final = ("Missing", "No usage")
#: Fields of usage that only one provider writes.
_SIGNATURES: Final = {"cost_details": "openrouter", "queue_time": "groq", "prompt_cache_hit_tokens": "deepseek"}


@dataclass(frozen=True, slots=True)
class Usage:
    """``provider`` as the price table calls it, None where nothing tells it; ``fields`` as an event's ``data`` has."""

    provider: str | None
    fields: dict[str, int | float]
    embeddings: bool = False


def usage_of(response: Mapping[str, Any], model: str | None, provider: str | None, url: str | None) -> Usage:
    """Take the usage out of an answer; nothing at all where there is none.

    Parameters
    ----------
    response
        The provider's answer, decoded.
    model
        The model that was asked for.
    provider, url
        Who answered, where that was recorded.

    Raises
    ------
    RowInvalid
        There is usage, and it makes no sense: negative numbers, text.
    """
    shape = _shape(response)
    signed = _signed(response.get("usage"))
    named = _provider(model, provider or signed, url, shape)
    if shape is None:
        return Usage(named or provider, {})
    embeddings = shape is _EMBEDDINGS or (shape is _COHERE and "meta" in response)
    reason = "nobody's form"
    for extractor in _extractors(named, shape):
        try:
            usage = _extracted(extractor, response)
        except ValueError as error:
            reason = str(error)
            continue
        values = {name: value for name, value in vars(usage).items() if value is not None and name != "requests"}
        fields = {_COLUMNS.get(name, name): _plain(value) for name, value in values.items()}
        if signed == "openrouter" and _is_number(cost := response["usage"].get("cost")):
            fields["provider_cost_usd"] = cost
        return Usage(named or provider, fields, embeddings)
    if reason.startswith(_SILENT):
        return Usage(named or provider, {}, embeddings)
    raise RowInvalid("response.usage", f"cannot be read: {reason[:200]}")


def _extracted(extractor: Any, response: Mapping[str, Any]) -> Any:
    """What one extractor finds; raises ``ValueError``.

    They were not written for whatever a sender writes: where one stumbles over a list of details, the totals are taken.
    """
    for answer in (response, _totals(response)):
        try:
            return extractor.extract(answer)[1]
        except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
            stumbled = error
    raise ValueError(f"a value is of no kind that belongs there ({type(stumbled).__name__})")


def _totals(response: Mapping[str, Any]) -> dict[str, Any]:
    """The answer with usage of plain numbers only."""
    return {
        name: {one: amount for one, amount in value.items() if _is_number(amount)} if isinstance(value, dict) else value
        for name, value in response.items()
    }


def _signed(usage: object) -> str | None:
    names = usage if isinstance(usage, dict) else {}
    return next((provider for name, provider in _SIGNATURES.items() if name in names), None)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _plain(value: Any) -> int | float:
    return value if isinstance(value, int) else float(value)


def _extractors(provider: str | None, shape: _Shape) -> Iterator[Any]:
    """The provider's own way to read this form, then the way of whom the form comes from."""
    known = _known()
    for owner, flavours in ((provider, shape.flavours), (shape.provider, (shape.flavour, *shape.flavours))):
        own = {one.api_flavor: one for one in known.get(owner, ())} if owner else {}
        yield from (own[flavour] for flavour in flavours if flavour in own)


@cache
def _known() -> dict[str, tuple[Any, ...]]:
    from genai_prices.data_snapshot import get_snapshot  # heavy, and only these adapters need it

    return {provider.id: tuple(provider.extractors or ()) for provider in get_snapshot().providers}


def _provider(model: str | None, provider: str | None, url: str | None, shape: _Shape | None) -> str | None:
    """The id in the price table of who answered: as named, else by the address, by the form, by the model."""
    if provider is not None:
        return _found(None, provider, None)
    if url is not None:
        return _found(None, None, url) or ("self-hosted" if _is_near(url) else None)
    if shape is not None and shape.telling:
        return shape.provider
    if model is None:
        return None
    return _found(model.lower(), None, None) or (_lister(model, shape.provider) if shape else None)


def _found(model: str | None, provider: str | None, url: str | None) -> str | None:
    from genai_prices.data_snapshot import get_snapshot

    try:
        return str(get_snapshot().find_provider(model, provider, url).id)
    except LookupError:
        return None


def _lister(model: str, provider: str) -> str | None:
    """The provider whose form this is, if it has such a model."""
    from genai_prices.data_snapshot import get_snapshot

    try:
        get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return None
    return provider


def _is_near(url: str) -> bool:
    """Whether an address is of this machine or a private network: what runs there has no public price."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_private
    except ValueError:
        return False
