"""LiteLLM's ``StandardLoggingPayload``: what its proxy and its callbacks write of every call, good or failed."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from core.ids import derived_id
from ingest.adapters.form import Adapter, get
from ingest.decode.explain import RowInvalid
from ingest.decode.translated import Translated

_HEX32: Final = re.compile(r"[0-9a-fA-F]{32}")

#: Field of the event's data → where the payload has it, the best first.
_USAGE: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "cache_read_input_tokens": (("cache_read_input_tokens",), ("prompt_tokens_details", "cached_tokens")),
    "cache_write_input_tokens": (
        ("cache_creation_input_tokens",),
        ("prompt_tokens_details", "cache_creation_tokens"),
    ),
    "reasoning_output_tokens": (("completion_tokens_details", "reasoning_tokens"),),
}
_FIELDS: Final[Mapping[str, str]] = {
    "model": "model",
    "custom_llm_provider": "provider",
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "response_cost": "cost_usd",
    "stream": "stream",
    "cache_hit": "cache_hit",
    "messages": "input_messages",
    "model_parameters.temperature": "temperature",
    "model_parameters.max_tokens": "max_tokens",
    "model_parameters.tools": "tools",
}
_ATTRIBUTES: Final[Mapping[str, str]] = {
    "model_group": "model_group",
    "api_base": "api_base",
    "trace_id": "litellm_trace_id",
    "metadata.user_api_key_alias": "key_alias",
    "metadata.user_api_key_team_id": "team_id",
    "metadata.user_api_key_team_alias": "team_alias",
}
_USER: Final = (
    "end_user",
    "metadata.user_api_key_end_user_id",
    "model_parameters.user",
    "metadata.user_api_key_user_id",
)
_NAMES: Final = {
    "id": "id",
    "time": "endTime",
    "data.duration_ms": "startTime",
    "data.time_to_first_token_ms": "completionStartTime",
    "data.http_status_code": "error_information.error_code",
    **{f"data.{to}": path for path, to in _FIELDS.items()},
}


class _Payloads:
    """See :class:`ingest.adapters.form.Reader`."""

    def read(self, row: dict[str, Any]) -> Iterator[Translated]:
        """The one event of a call."""
        kind = row.get("call_type") if isinstance(row.get("call_type"), str) else ""
        embeds = "embedding" in str(kind)
        event: dict[str, Any] = {
            "type": "llm.embedding" if embeds else "llm.request",
            "source": "gateway",
            # ``id`` is the provider's, which an answer from LiteLLM's cache has again.
            "id": row.get("litellm_call_id") or row.get("id"),
            "session_id": row.get("session_id") or None,
            "attributes": {to: value for path, to in _ATTRIBUTES.items() if (value := _at(row, path)) is not None},
            "user_id": next((value for path in _USER if (value := _at(row, path))), None),
            "data": {to: value for path, to in _FIELDS.items() if (value := _at(row, path)) is not None},
        }
        data = event["data"]
        _times(event, row)
        _usage(data, row)
        _response(data, row)
        if not embeds:
            data["operation"] = "text_completion" if "text_completion" in str(kind) else "chat"
        if row.get("status") == "failure":
            data |= _failure(row)
        if tags := row.get("request_tags"):
            event["attributes"]["request_tags"] = tags
        if isinstance(trace := row.get("trace_id"), str) and trace:
            plain = trace.replace("-", "")
            event["trace_id"] = plain if _HEX32.fullmatch(plain) else derived_id("litellm", trace).hex
        yield Translated(event, _NAMES)


def _at(row: Mapping[str, Any], path: str) -> Any:
    return get(row, tuple(path.split(".")))


def _times(event: dict[str, Any], row: Mapping[str, Any]) -> None:
    """LiteLLM writes seconds since 1970."""
    start, first, end = (_seconds(row, name) for name in ("startTime", "completionStartTime", "endTime"))
    data = event["data"]
    if end is not None:
        event["time"] = round(end * 1000, 3)
    if start is not None and end is not None:
        data["duration_ms"] = (end - start) * 1000
    if start is not None and first is not None and row.get("stream") is True:
        data["time_to_first_token_ms"] = (first - start) * 1000


def _seconds(row: Mapping[str, Any], name: str) -> float | None:
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise RowInvalid(name, "must be seconds since 1970", "time")
    return float(value)


def _usage(data: dict[str, Any], row: Mapping[str, Any]) -> None:
    for holder in (_at(row, "metadata.usage_object"), _at(row, "response.usage")):
        for name, paths in _USAGE.items():
            found = next((value for path in paths if (value := get(holder, path)) is not None), None)
            if found is not None:
                data.setdefault(name, found)


def _response(data: dict[str, Any], row: Mapping[str, Any]) -> None:
    response = row.get("response")
    if not isinstance(response, dict):
        if response is not None:
            data["output_messages"] = response
        return
    if isinstance(model := response.get("model"), str):
        data["response_model"] = model
    choices = response.get("choices")
    choices = [one for one in choices if isinstance(one, dict)] if isinstance(choices, list) else []
    if choices:
        data["output_messages"] = [one.get("message", one.get("text")) for one in choices]
        if isinstance(reason := choices[0].get("finish_reason"), str):
            data["finish_reason"] = reason


def _failure(row: Mapping[str, Any]) -> dict[str, Any]:
    told = row.get("error_information")
    told = told if isinstance(told, dict) else {}
    failure: dict[str, Any] = {"status": "error", "error_type": told.get("error_class") or "error"}
    code = told.get("error_code")
    if isinstance(code, int) or (isinstance(code, str) and code.isascii() and code.isdigit()):
        failure["http_status_code"] = int(code)
    return failure


ADAPTER: Final = Adapter("litellm", {"1": _Payloads()})
