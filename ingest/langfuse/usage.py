"""The tokens of a call as Langfuse's clients count them, in batches and in spans alike."""

from collections.abc import Mapping
from typing import Any, Final

_CACHE_READ: Final = ("input_cached_tokens", "cache_read_input_tokens", "input_cache_read")
_CACHE_WRITE: Final = ("cache_creation_input_tokens", "input_cache_creation", "cache_write_input_tokens")
_REASONING: Final = ("output_reasoning_tokens", "output_reasoning")


def tokens_of(usage: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of the event; those that are not told are None, and what is no number is handed on, to be refused by name.

    Langfuse's kinds of tokens are parts that add up, and the hub's input contains what was cached. Its wrapper of
    OpenAI's client hands on OpenAI's own usage, where it is a part of the prompt already; where others call
    such a prompt ``input``, or a part of it, the total tells.
    """
    if "promptTokens" in usage or "prompt_tokens" in usage:
        return {
            "input_tokens": usage.get("promptTokens", usage.get("prompt_tokens")),
            "output_tokens": usage.get("completionTokens", usage.get("completion_tokens")),
            "cache_read_input_tokens": _detail(usage, "prompt_tokens_details", "cached_tokens"),
            "reasoning_output_tokens": _detail(usage, "completion_tokens_details", "reasoning_tokens"),
        }
    total = usage.get("total")
    whole = total is not None and total == _total(usage, ("input", "output"))
    output = _total(usage, ("output",) if whole else ("output", *_REASONING))
    given = _total(usage, ("input",) if whole else ("input", *_CACHE_READ, *_CACHE_WRITE))
    if type(total) is type(output) is type(given) is int and total >= output:
        given = total - output
    return {
        "input_tokens": given,
        "output_tokens": output,
        "cache_read_input_tokens": _total(usage, _CACHE_READ),
        "cache_write_input_tokens": _total(usage, _CACHE_WRITE),
        "reasoning_output_tokens": _total(usage, _REASONING),
    }


def _detail(usage: Mapping[str, Any], place: str, name: str) -> Any:
    details = usage.get(place)
    return details.get(name) if isinstance(details, dict) else None


def _total(usage: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The sum of the parts there are."""
    values = [usage[one] for one in names if usage.get(one) is not None]
    if any(isinstance(value, bool) or not isinstance(value, int) for value in values):
        return values[0]
    return sum(values) if values else None
