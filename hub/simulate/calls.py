"""Calls of models: retries, fallback, tokens and times."""

from typing import Any, NamedTuple

from hub.simulate.platform import MODEL_INDEX, MODELS, Model
from hub.simulate.spans import Trace
from hub.simulate.texts import TOOL_DEFINITIONS, input_messages, output_messages


class Failure(NamedTuple):
    """A way to fail: its share of the failures up to here, type, HTTP status, and whether a retry is worth it."""

    up_to: float
    name: str
    code: int
    again: bool


FAILURES = (
    Failure(0.45, "server_error", 503, True),
    Failure(0.65, "rate_limit", 429, True),
    Failure(0.85, "timeout", 504, True),
    Failure(0.95, "context_length_exceeded", 400, False),
    Failure(1.0, "content_filter", 400, False),
)
_RETRIES = 2
#: An agent's later calls carry what came before.
_AGENT_GROWTH = 0.6


def call_model(trace: Trace, call: int) -> None:
    """One answer wanted: up to two attempts at the chosen model, then one at its fallback."""
    request = trace.request
    model = MODELS[request.model]
    for attempt in range(1, _RETRIES + 1):
        error = _error(_chance(trace, call, attempt), request.error_rate)
        _attempt(trace, model, attempt, call, error)
        if error is None or not error.again:
            trace.failed = error.name if error else ""
            return
        trace.now += 150_000 * attempt
    fallback = MODELS[MODEL_INDEX[model.fallback]]
    _fall_back(trace, model, fallback)
    error = _error(_chance(trace, call, _RETRIES + 1), request.fallback_error_rate)
    _attempt(trace, fallback, _RETRIES + 1, call, error)
    trace.failed = error.name if error else ""


def _chance(trace: Trace, call: int, attempt: int) -> float:
    """The uniform of an attempt; later calls of an agent turn it by the golden ratio, which keeps it uniform."""
    return (trace.request.chance[attempt - 1] + call * 0.6180339887) % 1.0


def _error(chance: float, rate: float) -> Failure | None:
    if chance >= rate:
        return None
    part = chance / rate
    return next(failure for failure in FAILURES if part < failure.up_to)


def _fall_back(trace: Trace, model: Model, fallback: Model) -> None:
    trace.now += 500
    data = {
        "model": fallback.name,
        "provider": fallback.provider,
        "policy": "fallback",
        "reason": "retries used up",
        "attempt": _RETRIES + 1,
        "fallback_from": model.name,
    }
    trace.child("gateway.route", "gateway", data)


def _attempt(trace: Trace, model: Model, attempt: int, call: int, error: Failure | None) -> None:
    request = trace.request
    tokens = request.input_tokens + int(call * _AGENT_GROWTH * (request.output_tokens + request.input_tokens))
    data: dict[str, Any] = {
        "provider": model.provider,
        "model": model.name,
        "operation": "chat",
        "attempt": attempt,
        "stream": request.streamed,
        "temperature": 0.2,
        **trace.labels,
        "intent": trace.project.intents[request.intent % len(trace.project.intents)],
        "technique": trace.project.technique,
    }
    if error is None:
        _succeed(trace, model, data, tokens)
    else:
        _fail(trace, data, tokens, error)
    if request.with_content and not call:
        data["input_messages"] = input_messages(trace.project.name, request.dice)
        if trace.project.tools:
            data["tools"] = TOOL_DEFINITIONS
    id_ = trace.child("llm.request", "gateway", data)
    if error is None:
        trace.answer_id = id_


def _succeed(trace: Trace, model: Model, data: dict[str, Any], tokens: int) -> None:
    request = trace.request
    first = request.first_token_us
    duration = first + int(request.decode_us * request.output_tokens)
    data["input_tokens"] = tokens
    data["output_tokens"] = request.output_tokens
    if request.cached:
        data["cache_read_input_tokens"] = request.cached
        if model.writes_cache:
            data["cache_write_input_tokens"] = min(tokens - request.cached, 256)
    if model.reasoning:
        data["reasoning_output_tokens"] = int(request.output_tokens * model.reasoning)
    data["duration_ms"] = duration / 1000
    if request.streamed:
        data["time_to_first_token_ms"] = first / 1000
    data["status"] = "ok"
    data["http_status_code"] = 200
    data["finish_reason"] = _finish_reason(trace)
    if request.with_content:
        data["output_messages"] = output_messages(request.dice)
    trace.now += duration
    trace.calls += 1
    trace.input_tokens += tokens
    trace.output_tokens += request.output_tokens


def _finish_reason(trace: Trace) -> str:
    if trace.project.agent and trace.calls + 1 < trace.request.calls:
        return "tool_calls"
    return "length" if (trace.request.dice >> 25) % 40 == 0 else "stop"


def _fail(trace: Trace, data: dict[str, Any], tokens: int, error: Failure) -> None:
    # A timeout takes its time; other refusals come about as fast as a first token would.
    duration = 15_000_000 if error.name == "timeout" else max(1000, trace.request.first_token_us // 2)
    data["duration_ms"] = duration / 1000
    data["status"] = "error"
    data["error_type"] = error.name
    data["http_status_code"] = error.code
    if error.name == "content_filter":
        data["input_tokens"] = tokens
        data["finish_reason"] = "content_filter"
    trace.now += duration
