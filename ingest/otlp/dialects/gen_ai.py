"""OpenTelemetry's own conventions for generative AI, every generation from 1.28 on.

``input_tokens`` includes cached ones in each of them, as it does here.
"""

from typing import Final

from ingest.otlp.dialects.dialect import Dialect, Field, first, lower, milliseconds

DIALECT: Final = Dialect(
    fields={
        "gen_ai.request.model": "model",
        "gen_ai.provider.name": Field("provider", lower),
        "gen_ai.system": Field("provider", lower),  # to 1.36
        "gen_ai.operation.name": "operation",
        "gen_ai.response.model": "response_model",
        "gen_ai.usage.input_tokens": "input_tokens",
        "gen_ai.usage.prompt_tokens": "input_tokens",  # to 1.26
        "gen_ai.usage.output_tokens": "output_tokens",
        "gen_ai.usage.completion_tokens": "output_tokens",  # to 1.26
        "gen_ai.usage.cache_read.input_tokens": "cache_read_input_tokens",
        "gen_ai.usage.cache_write.input_tokens": "cache_write_input_tokens",
        "gen_ai.usage.cache_creation.input_tokens": "cache_write_input_tokens",  # to 1.41
        "gen_ai.usage.reasoning.output_tokens": "reasoning_output_tokens",
        "gen_ai.response.time_to_first_chunk": Field("time_to_first_token_ms", milliseconds),
        "gen_ai.response.finish_reasons": Field("finish_reason", first),
        "gen_ai.request.stream": "stream",
        "gen_ai.request.temperature": "temperature",
        "gen_ai.request.max_tokens": "max_tokens",
        "gen_ai.openai.response.service_tier": "service_tier",
        "openai.response.service_tier": "service_tier",
        "gen_ai.usage.cost": "cost_usd",  # OpenLIT's
        "gen_ai.conversation.id": "session_id",
        "gen_ai.agent.name": "agent_name",
        "gen_ai.agent.id": "agent_id",
        "gen_ai.tool.name": "tool_name",
        "gen_ai.tool.call.id": "tool_call_id",
        "gen_ai.tool.call.arguments": "arguments",
        "gen_ai.tool.call.result": "result",
        "gen_ai.data_source.id": "index",
        "gen_ai.retrieval.query.text": "query",
        "gen_ai.retrieval.documents": "documents",
        "gen_ai.request.top_k": Field("", of_type={"retrieval.query": "top_k"}),
        "gen_ai.embeddings.dimension.count": "dimensions",
        "gen_ai.prompt.name": "prompt_id",
        "gen_ai.input.messages": "input_messages",
        "gen_ai.system_instructions": "system_instructions",
        "gen_ai.output.messages": "output_messages",
        "gen_ai.tool.definitions": "tools",
        "gen_ai.prompt": "input_messages",  # to 1.27
        "gen_ai.completion": "output_messages",  # to 1.27
    },
    types={
        "gen_ai.operation.name": {
            "chat": "llm.request",
            "completion": "llm.request",
            "text_completion": "llm.request",
            "generate_content": "llm.request",
            "embeddings": "llm.embedding",
            "embedding": "llm.embedding",
            "retrieval": "retrieval.query",
            "execute_tool": "tool.call",
            "invoke_agent": "agent.run",
            "create_agent": "span/create_agent",
            "invoke_workflow": "span/workflow",
            "rerank": "span/reranker",
        }
    },
    signs={
        "gen_ai.request.model": "llm.request",
        "gen_ai.usage.input_tokens": "llm.request",
        "gen_ai.usage.prompt_tokens": "llm.request",
    },
    events={
        "gen_ai.system.message": ("input_messages", "system"),
        "gen_ai.user.message": ("input_messages", "user"),
        "gen_ai.assistant.message": ("input_messages", "assistant"),
        "gen_ai.tool.message": ("input_messages", "tool"),
        "gen_ai.choice": ("output_messages", "assistant"),
        "gen_ai.content.prompt": ("input_messages", None),
        "gen_ai.content.completion": ("output_messages", None),
        "gen_ai.client.inference.operation.details": ("", None),  # its attributes are those of a span
    },
)
