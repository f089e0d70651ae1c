"""Calls of language models as they were recorded: the request and the answer of the provider's own interface.

Chat completions, responses and embeddings of OpenAI and everybody who speaks like it, Anthropic's messages, Google's
``generateContent``, Bedrock's ``converse``. A row is ``{"request": {…}, "response": {…}, …}``, or the answer alone.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from core.ids import derived_id
from ingest.adapters.answers import whole_answer
from ingest.adapters.form import COMMON, Adapter, get, put
from ingest.adapters.usage import Usage, usage_of
from ingest.decode.explain import RowInvalid
from ingest.decode.rows import written
from ingest.decode.translated import Translated

_Paths = tuple[tuple[str, ...], ...]

#: Fields of the row itself, beside :data:`ingest.adapters.form.COMMON`.
_ROW: Final = {
    "duration_ms": "duration_ms",
    "time_to_first_token_ms": "time_to_first_token_ms",
    "http_status": "http_status_code",
    "attempt": "attempt",
    "cost_usd": "cost_usd",
    "batch": "batch",
    "cache_hit": "cache_hit",
    "operation": "operation",
}
_REQUEST: Final[Mapping[str, _Paths]] = {
    "temperature": (("temperature",), ("generationConfig", "temperature"), ("inferenceConfig", "temperature")),
    "max_tokens": (
        ("max_tokens",),
        ("max_completion_tokens",),
        ("max_output_tokens",),
        ("generationConfig", "maxOutputTokens"),
        ("inferenceConfig", "maxTokens"),
    ),
    "stream": (("stream",),),
    "input_messages": (("messages",), ("input",), ("contents",), ("prompt",), ("texts",)),
    "tools": (("tools",), ("toolConfig", "tools")),
}
_SYSTEM: Final[_Paths] = (("system",), ("instructions",), ("systemInstruction",))
_RESPONSE: Final[Mapping[str, _Paths]] = {
    "finish_reason": (
        ("choices", "0", "finish_reason"),
        ("stop_reason",),
        ("candidates", "0", "finishReason"),
        ("stopReason",),
        ("finish_reason",),
        ("incomplete_details", "reason"),
    ),
    "service_tier": (("service_tier",), ("usage", "service_tier")),
}
_MODEL: Final[_Paths] = (("model",), ("modelVersion",), ("modelId",))
_ID: Final[_Paths] = (("id",), ("responseId",))
_FORMS: Final = frozenset({"usage", "usageMetadata", "choices", "candidates", "output", "content", "error", "object"})


class _Calls:
    """See :class:`ingest.adapters.form.Reader`."""

    def read(self, row: dict[str, Any]) -> Iterator[Translated]:
        """The one event of a call."""
        if "response" not in row and "error" not in row and not _FORMS.isdisjoint(row):
            row = {"response": row}
        request, response = _object(row, "request"), whole_answer(row.get("response"))
        error = _error(row, response)
        if not response and error is None:
            raise RowInvalid("response", "is required: the provider's answer, or error for a call that failed")
        model = _text(_first(request, _MODEL)) or _text(row.get("model")) or _text(_first(response, _MODEL))
        usage = usage_of(response, model, _text(row.get("provider")), _text(row.get("url")))
        event: dict[str, Any] = {
            "type": "llm.embedding" if _embeds(row, response, usage) else "llm.request",
            "source": "gateway",
            "id": _id(response),
            "data": {"model": model, "provider": usage.provider, **usage.fields},
        }
        data = event["data"]
        if (answered := _text(_first(response, _MODEL))) is not None:
            data["response_model"] = answered
        _common(event, row)
        _call(data, row, request, response)
        if error is not None:
            data |= {"status": "error", "error_type": error}
        yield Translated(event, _NAMES)


_NAMES: Final = {
    **{to: path for path, to in COMMON.items() if isinstance(to, str)},
    **{f"data.{to}": name for name, to in _ROW.items()},
    "data.model": "request.model",
    "data.response_model": "response.model",
    "data.temperature": "request.temperature",
    "data.max_tokens": "request.max_tokens",
    "data.finish_reason": "response.finish_reason",
    **{f"data.{name}": "response.usage" for name in ("input_tokens", "output_tokens", "cache_read_input_tokens")},
}


def _id(response: Mapping[str, Any]) -> str | None:
    """The same for the same answer sent again. Some servers number theirs with three digits: the id alone is none."""
    id_ = _text(_first(response, _ID))
    return None if id_ is None else str(derived_id("call", id_, hashlib.sha256(written(response)).hexdigest()))


def _common(event: dict[str, Any], row: Mapping[str, Any]) -> None:
    for name, to in COMMON.items():
        if row.get(name) is not None and isinstance(to, str):
            put(event, tuple(to.split(".")), row[name])
    for name, to in _ROW.items():
        if row.get(name) is not None:
            event["data"][to] = row[name]


def _call(
    data: dict[str, Any], row: Mapping[str, Any], request: Mapping[str, Any], response: Mapping[str, Any]
) -> None:
    """What was asked and answered."""
    for name, paths in _REQUEST.items():
        if (value := _first(request, paths)) is not None:
            data[name] = value
    if (system := _first(request, _SYSTEM)) is not None:
        data["input_messages"] = [{"role": "system", "content": system}, *_list(data.get("input_messages"))]
    for name, paths in _RESPONSE.items():
        if isinstance(value := _first(response, paths), str):
            data[name] = value
    if (said := _said(response)) is not None:
        data["output_messages"] = said
    if "operation" not in data and not _embeds_shape(response):
        data["operation"] = "text_completion" if "prompt" in request else "chat"
    if isinstance(row.get("stream"), bool):
        data["stream"] = row["stream"]


def _said(response: Mapping[str, Any]) -> Any:
    choices = response.get("choices")
    if isinstance(choices, list):
        return [one.get("message", one.get("text")) for one in choices if isinstance(one, dict)]
    for path in (("content",), ("candidates",), ("output",)):
        if (found := get(response, path)) is not None:
            return found
    return None


def _embeds(row: Mapping[str, Any], response: Mapping[str, Any], usage: Usage) -> bool:
    return usage.embeddings or row.get("operation") == "embeddings" or _embeds_shape(response)


def _embeds_shape(response: Mapping[str, Any]) -> bool:
    data = response.get("data")
    first = data[0] if isinstance(data, list) and data else None
    return "embedding" in response or "embeddings" in response or (isinstance(first, dict) and "embedding" in first)


def _error(row: Mapping[str, Any], response: Mapping[str, Any]) -> str | None:
    """Kind of the error of a call that failed."""
    for holder in (row, response):
        error = holder.get("error")
        if isinstance(error, str) and error:
            return error[:256]
        if isinstance(error, dict) and error:
            named = [error.get(name) for name in ("type", "code", "status", "message")]
            return next((str(one)[:256] for one in named if isinstance(one, str | int)), "error")
    status = row.get("http_status")
    return f"http_{status}" if isinstance(status, int) and status >= 400 else None


def _object(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = row.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RowInvalid(name, "must be an object: the body that was sent to the provider")
    return value


def _first(value: Mapping[str, Any], paths: _Paths) -> Any:
    for path in paths:
        found: Any = value
        for name in path:
            if isinstance(found, list):
                found = found[int(name)] if name.isdigit() and int(name) < len(found) else None
            else:
                found = found.get(name) if isinstance(found, dict) else None
        if found is not None:
            return found
    return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [{"role": "user", "content": value}]


ADAPTER: Final = Adapter("openai", {"1": _Calls()}, timed=False)
