"""``llm.request``: one call of a language model."""

from typing import Any, ClassVar

from pydantic import Field

from schemas.data import EventData
from schemas.fields import Content, Dimension, Flag, Milliseconds, Money, Real, Small, Status, Tokens, Whole


class LlmRequest(EventData):
    """One call of a language model, written once when it has ended."""

    TYPE: ClassVar[str] = "llm.request"
    SOURCE: ClassVar[str] = "gateway"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "provider": "openai",
        "model": "gpt-4o",
        "operation": "chat",
        "input_tokens": 812,
        "output_tokens": 96,
        "cache_read_input_tokens": 512,
        "duration_ms": 1840.2,
        "time_to_first_token_ms": 310.5,
        "status": "ok",
        "finish_reason": "stop",
    }

    model: Dimension = Field(min_length=1, description="Model that was asked for.")
    provider: Dimension | None = Field(None, description="Who serves the model, for example `openai`.")
    operation: Dimension | None = Field(None, description="`chat`, `text_completion`, `embeddings`, …")
    response_model: Dimension | None = Field(None, description="Model that answered.")
    input_tokens: Tokens | None = Field(None, description="Prompt tokens, cache reads included.")
    output_tokens: Tokens | None = Field(None, description="Completion tokens, reasoning included.")
    cache_read_input_tokens: Tokens | None = Field(None, description="Prompt tokens read from the provider's cache.")
    cache_write_input_tokens: Tokens | None = Field(None, description="Prompt tokens written to the provider's cache.")
    reasoning_output_tokens: Tokens | None = Field(None, description="Completion tokens spent on reasoning.")
    duration_ms: Milliseconds | None = Field(None, description="Whole duration.")
    time_to_first_token_ms: Milliseconds | None = Field(None, description="Time to the first token of a stream.")
    status: Status | None = Field(None, description="`ok` (default) or `error`.")
    error_type: Dimension | None = Field(None, description="What went wrong, for example `rate_limit`.")
    http_status_code: Small | None = Field(None, description="Status of the provider's answer.")
    finish_reason: Dimension | None = Field(None, description="`stop`, `length`, `tool_calls`, …")
    stream: Flag | None = Field(None, description="Whether the answer was streamed.")
    attempt: Small | None = Field(None, description="Number of the attempt, from 1.")
    cache_hit: Flag | None = Field(None, description="Answered from the gateway's own cache.")
    batch: Flag | None = Field(None, description="Sent through the provider's batch interface.")
    cost_usd: Money | None = Field(None, description="The sender's own cost; the hub's price is kept beside it.")
    temperature: Real | None = Field(None, description="Sampling temperature.")
    max_tokens: Whole | None = Field(None, description="Limit on completion tokens.")
    input_messages: Content | None = Field(None, description="Prompt messages.")
    output_messages: Content | None = Field(None, description="Completion messages.")
    tools: Content | None = Field(None, description="Tool definitions offered to the model.")
