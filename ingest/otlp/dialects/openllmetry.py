"""OpenLLMetry (Traceloop): OpenTelemetry's conventions with prompts spread over attributes, and names of its own."""

from typing import Final

from ingest.otlp.dialects.dialect import MORE, Dialect, Field, flag, lower

_ENTITY: Final = {"tool.call": "tool_name", "agent.run": "agent_name"}

DIALECT: Final = Dialect(
    fields={
        "llm.request.model": "model",
        "llm.response.model": "response_model",
        "llm.vendor": Field("provider", lower),
        "llm.usage.prompt_tokens": "input_tokens",
        "llm.usage.completion_tokens": "output_tokens",
        "gen_ai.usage.cache_read_input_tokens": "cache_read_input_tokens",
        "gen_ai.usage.cache_creation_input_tokens": "cache_write_input_tokens",
        "llm.usage.cache_read_input_tokens": "cache_read_input_tokens",
        "llm.usage.cache_creation_input_tokens": "cache_write_input_tokens",
        "gen_ai.usage.reasoning_tokens": "reasoning_output_tokens",
        "llm.usage.reasoning_tokens": "reasoning_output_tokens",
        "llm.is_streaming": Field("stream", flag),
        "gen_ai.is_streaming": "stream",
        "llm.request.type": "operation",
        "llm.temperature": "temperature",
        "llm.request.temperature": "temperature",
        "llm.request.max_tokens": "max_tokens",
        "llm.response.finish_reason": "finish_reason",
        "llm.response.stop_reason": "finish_reason",
        "gen_ai.response.finish_reason": "finish_reason",
        "gen_ai.response.stop_reason": "finish_reason",
        "gen_ai.request.max_completion_tokens": "max_tokens",
        "gen_ai.user": "user_id",
        "llm.user": "user_id",
        "traceloop.entity.name": Field("", of_type=_ENTITY),
        "traceloop.entity.input": Field("arguments", of_type={"agent.run": "input_messages"}),
        "traceloop.entity.output": Field("result", of_type={"agent.run": "output_messages"}),
        "traceloop.association.properties.session_id": "session_id",
        "traceloop.association.properties.user_id": "user_id",
        "traceloop.prompt.key": "prompt_id",
        "traceloop.prompt.version": "prompt_version",
        "traceloop.prompt.template": MORE,
        "traceloop.prompt.template_variables": MORE,
        "db.vector.query.top_k": "top_k",
        "vector_db.query.top_k": "top_k",
    },
    types={
        "traceloop.span.kind": {
            "tool": "tool.call",
            "agent": "agent.run",
            "workflow": "span/workflow",
            "task": "span/task",
        },
        "llm.request.type": {
            "chat": "llm.request",
            "completion": "llm.request",
            "embedding": "llm.embedding",
            "rerank": "span/reranker",
        },
    },
    signs={
        "llm.request.model": "llm.request",
        "db.vector.query.top_k": "retrieval.query",
        "vector_db.query.top_k": "retrieval.query",
    },
    messages={
        "gen_ai.prompt.": "input_messages",
        "gen_ai.completion.": "output_messages",
        "llm.completions.": "output_messages",
        "llm.request.functions.": "tools",
    },
    first_token=frozenset({"llm.content.completion.chunk", "gen_ai.content.completion.chunk"}),
)
