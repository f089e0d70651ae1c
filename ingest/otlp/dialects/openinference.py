"""OpenInference, which Phoenix and many instrumentations of frameworks speak."""

from typing import Final

from ingest.otlp.dialects.dialect import MORE, Dialect, Field, lower

DIALECT: Final = Dialect(
    fields={
        "llm.model_name": "model",
        "embedding.model_name": "model",
        "reranker.model_name": "model",
        "llm.provider": Field("provider", lower),
        "llm.system": Field("provider", lower),
        "llm.token_count.prompt": "input_tokens",
        "llm.token_count.completion": "output_tokens",
        "llm.token_count.prompt_details.cache_read": "cache_read_input_tokens",
        "llm.token_count.prompt_details.cache_write": "cache_write_input_tokens",
        "llm.token_count.completion_details.reasoning": "reasoning_output_tokens",
        "llm.cost.total": "cost_usd",
        "llm.finish_reason": "finish_reason",
        "llm.prompt_template.version": "prompt_version",
        "prompt.id": "prompt_id",
        "session.id": "session_id",
        "user.id": "user_id",
        "openinference.project.name": "project",
        "agent.name": "agent_name",
        "graph.node.id": Field("", of_type={"agent.run": "agent_id"}),
        "tool.name": "tool_name",
        "tool.id": "tool_call_id",
        "tool_call.id": "tool_call_id",
        "tool.parameters": Field("", of_type={"tool.call": "arguments"}),
        "retrieval.top_k": "top_k",
        "input.value": Field(
            "arguments",
            of_type={
                "llm.request": "input_messages",
                "llm.embedding": "input_messages",
                "agent.run": "input_messages",
                "retrieval.query": "query",
            },
        ),
        "output.value": Field(
            "result",
            of_type={
                "llm.request": "output_messages",
                "agent.run": "output_messages",
                "llm.embedding": MORE,
            },
        ),
        "llm.prompt_template.template": MORE,
        "llm.prompt_template.variables": MORE,
        "llm.prompts": "input_messages",
    },
    types={
        "openinference.span.kind": {
            "llm": "llm.request",
            "embedding": "llm.embedding",
            "retriever": "retrieval.query",
            "tool": "tool.call",
            "agent": "agent.run",
            "chain": "span/chain",
            "reranker": "span/reranker",
            "guardrail": "span/guardrail",
            "evaluator": "span/evaluator",
            "prompt": "span/prompt",
            "unknown": "span",
        }
    },
    objects={
        "llm.invocation_parameters": {
            "temperature": "temperature",
            "max_tokens": "max_tokens",
            "max_completion_tokens": "max_tokens",
            "stream": "stream",
            "service_tier": "service_tier",
        }
    },
    messages={
        "llm.input_messages.": "input_messages",
        "llm.output_messages.": "output_messages",
        "llm.prompts.": "input_messages",
        "llm.choices.": "output_messages",
        "llm.tools.": "tools",
        "retrieval.documents.": "documents",
        "embedding.embeddings.": "embeddings",
        "reranker.input_documents.": "arguments",
        "reranker.output_documents.": "result",
    },
    wrappers=frozenset(
        {"message", "message_content", "tool_call", "document", "embedding", "tool", "prompt", "completion"}
    ),
    first_token=frozenset({"First Token Stream Event"}),
)
