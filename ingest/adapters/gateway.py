"""The gateway: model calls, routing decisions, rate limits.

Version 1 is flat and counts prompt tokens without those read from the provider's cache; version 2 nests what belongs
together and counts them in, as the hub does.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ingest.adapters.form import SECONDS, Adapter, Choice, Form, Target, words
from ingest.decode.translated import Translated

_OUTCOME: Final = words(success="ok", ok="ok", failure="error", error="error")

_ROUTE: Final = Form(
    "gateway.route",
    "gateway",
    {
        "model": "data.model",
        "target.provider": "data.provider",
        "target.worker": "data.worker",
        "policy": "data.policy",
        "reason": "data.reason",
        "attempt": "data.attempt",
        "fallback_from": "data.fallback_from",
        "cache_hit": "data.cache_hit",
        "queue_s": ("data.queue_ms", SECONDS),
        "outcome": ("data.status", _OUTCOME),
    },
)
_RATE_LIMIT: Final = Form(
    "gateway.rate_limit",
    "gateway",
    {
        "limit.name": "data.limit_name",
        "limit.size": "data.limit",
        "limit.used": "data.used",
        "retry_after_s": ("data.retry_after_ms", SECONDS),
        "decision": ("data.action", words(delay="delayed", reject="rejected")),
    },
)
_CALL: Final[Mapping[str, Target]] = {
    "model": "data.model",
    "provider": "data.provider",
    "operation": "data.operation",
    "response_model": "data.response_model",
    "latency_s": ("data.duration_ms", SECONDS),
    "first_token_s": ("data.time_to_first_token_ms", SECONDS),
    "outcome": ("data.status", _OUTCOME),
    "error": "data.error_type",
    "http_status": "data.http_status_code",
    "finish_reason": "data.finish_reason",
    "stream": "data.stream",
    "attempt": "data.attempt",
    "cache_hit": "data.cache_hit",
    "batch": "data.batch",
    "cost_usd": "data.cost_usd",
    "temperature": "data.temperature",
    "max_tokens": "data.max_tokens",
    "messages": "data.input_messages",
    "completion": "data.output_messages",
    "tools": "data.tools",
}
_FLAT_CALL: Final = Form(
    "llm.request",
    "gateway",
    {
        **_CALL,
        "prompt_tokens": "data.input_tokens",
        "completion_tokens": "data.output_tokens",
        "cached_tokens": "data.cache_read_input_tokens",
    },
)
_NESTED_CALL: Final = Form(
    "llm.request",
    "gateway",
    {
        **_CALL,
        "usage.input": "data.input_tokens",
        "usage.output": "data.output_tokens",
        "usage.cache_read": "data.cache_read_input_tokens",
        "usage.cache_write": "data.cache_write_input_tokens",
        "usage.reasoning": "data.reasoning_output_tokens",
    },
)
_EMBEDDING: Final = Form(
    "llm.embedding",
    "gateway",
    {
        "model": "data.model",
        "provider": "data.provider",
        "usage.input": "data.input_tokens",
        "dimensions": "data.dimensions",
        "latency_s": ("data.duration_ms", SECONDS),
        "outcome": ("data.status", _OUTCOME),
        "error": "data.error_type",
    },
)


@dataclass(frozen=True)
class _CacheApart:
    """Adds to the prompt's tokens those that came from the cache: the hub counts them in."""

    form: Choice

    def read(self, row: dict[str, Any]) -> Iterator[Translated]:
        """See :class:`ingest.adapters.form.Reader`."""
        prompt, cached = row.get("prompt_tokens"), row.get("cached_tokens")
        if type(prompt) is int and type(cached) is int and cached > 0:
            row = {**row, "prompt_tokens": prompt + cached}
        return self.form.read(row)


ADAPTER: Final = Adapter(
    "gateway",
    {
        "1": _CacheApart(Choice("kind", {"call": _FLAT_CALL, "route": _ROUTE, "rate_limit": _RATE_LIMIT})),
        "2": Choice(
            "kind", {"call": _NESTED_CALL, "embedding": _EMBEDDING, "route": _ROUTE, "rate_limit": _RATE_LIMIT}
        ),
    },
)
