"""Attributes that Langfuse's SDKs and its users' collectors set beside the conventions."""

from typing import Final

from ingest.langfuse.usage import tokens_of
from ingest.otlp.dialects.dialect import MORE, Dialect, Field, object_of
from schemas.fields import NAME_LENGTH

DIALECT: Final = Dialect(
    fields={
        "langfuse.observation.model.name": "model",
        "langfuse.observation.completion_start_time": "first_token_at",
        "langfuse.observation.level": Field("status", lambda value: "error" if value == "ERROR" else None),
        "langfuse.observation.status_message": Field("error_type", lambda value: str(value)[:NAME_LENGTH]),
        "langfuse.observation.prompt.name": "prompt_id",
        "langfuse.observation.prompt.version": "prompt_version",
        "langfuse.session.id": "session_id",
        "langfuse.user.id": "user_id",
        "langfuse.environment": "environment",
        "langfuse.observation.input": Field(
            "arguments",
            of_type={
                "llm.request": "input_messages",
                "llm.embedding": "input_messages",
                "agent.run": "input_messages",
                "retrieval.query": "query",
            },
        ),
        "langfuse.observation.output": Field(
            "result", of_type={"llm.request": "output_messages", "agent.run": "output_messages"}
        ),
        "langfuse.trace.input": MORE,
        "langfuse.trace.output": MORE,
    },
    objects={
        "langfuse.observation.cost_details": {"total": "cost_usd"},
        "langfuse.observation.model.parameters": {"temperature": "temperature", "max_tokens": "max_tokens"},
    },
    readers={"langfuse.observation.usage_details": lambda value: tokens_of(object_of(value))},
    types={
        "langfuse.observation.type": {
            "generation": "llm.request",
            "embedding": "llm.embedding",
            "tool": "tool.call",
            "agent": "agent.run",
            "retriever": "retrieval.query",
            "chain": "span/chain",
            "guardrail": "span/guardrail",
            "evaluator": "span/evaluator",
        }
    },
)
