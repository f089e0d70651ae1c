"""What each dialect's attributes become: one table, every row through JSON and through protobuf."""

from typing import Any

import pytest

from tests.ingest.otlp.written import one, pairs, span, traces

USER = [{"role": "user", "content": "Where is my order?"}]
PARTS = '[{"role":"user","parts":[{"type":"text","content":"Hi"}]}]'

#: Name, attributes, event type, fields of ``data``, contents.
CASES: list[tuple[str, dict[str, Any], str, dict[str, Any], dict[str, Any]]] = [
    (
        "the hub's own names, where no convention has one",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-4o",
            "llm_hub.feature": "search",
            "llm_hub.experiment_id": "tone",
            "llm_hub.variant": "b",
            "llm_hub.attempt": 2,
            "llm_hub.cache_hit": False,
            "llm_hub.model": "what a convention says counts first",
        },
        "llm.request",
        {"model": "gpt-4o", "feature": "search", "experiment_id": "tone", "variant": "b", "attempt": 2},
        {},
    ),
    (
        "gen_ai of 1.26",
        {
            "gen_ai.system": "OpenAI",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.response.model": "gpt-4o-2024-08-06",
            "gen_ai.usage.prompt_tokens": 100,
            "gen_ai.usage.completion_tokens": 20,
            "gen_ai.response.finish_reasons": ["stop"],
        },
        "llm.request",
        {
            "provider": "openai",
            "model": "gpt-4o",
            "response_model": "gpt-4o-2024-08-06",
            "input_tokens": 100,
            "output_tokens": 20,
            "finish_reason": "stop",
        },
        {},
    ),
    (
        "gen_ai of 1.28",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "anthropic",
            "gen_ai.request.model": "claude-sonnet-4-0",
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 20,
            "gen_ai.request.temperature": 0.5,
            "gen_ai.request.max_tokens": 256,
        },
        "llm.request",
        {"provider": "anthropic", "operation": "chat", "input_tokens": 100, "temperature": 0.5, "max_tokens": 256},
        {},
    ),
    (
        "gen_ai of 1.41 and later",
        {
            "gen_ai.operation.name": "generate_content",
            "gen_ai.provider.name": "gcp.gemini",
            "gen_ai.request.model": "gemini-2.5-pro",
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.cache_read.input_tokens": 300,
            "gen_ai.usage.cache_write.input_tokens": 40,
            "gen_ai.usage.output_tokens": 50,
            "gen_ai.usage.reasoning.output_tokens": 30,
            "gen_ai.response.time_to_first_chunk": 0.25,
            "gen_ai.request.stream": True,
            "gen_ai.conversation.id": "c-1",
            "gen_ai.prompt.name": "greeting",
            "gen_ai.input.messages": PARTS,
            "gen_ai.system_instructions": '[{"type":"text","content":"Be kind"}]',
            "gen_ai.output.messages": [{"role": "assistant", "finish_reason": "stop"}],
        },
        "llm.request",
        {
            "provider": "gcp.gemini",
            "input_tokens": 1000,
            "cache_read_input_tokens": 300,
            "cache_write_input_tokens": 40,
            "reasoning_output_tokens": 30,
            "time_to_first_token_ms": 250.0,
            "stream": True,
            "prompt_id": "greeting",
        },
        {
            "input_messages": [
                {"role": "system", "parts": [{"type": "text", "content": "Be kind"}]},
                {"role": "user", "parts": [{"type": "text", "content": "Hi"}]},
            ],
            "output_messages": [{"role": "assistant", "finish_reason": "stop"}],
        },
    ),
    (
        "gen_ai embeddings",
        {
            "gen_ai.operation.name": "embeddings",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "text-embedding-3-small",
            "gen_ai.usage.input_tokens": 12,
            "gen_ai.embeddings.dimension.count": 1536,
        },
        "llm.embedding",
        {"model": "text-embedding-3-small", "input_tokens": 12, "dimensions": 1536},
        {},
    ),
    (
        "gen_ai tool",
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "get_weather",
            "gen_ai.tool.call.id": "call_1",
            "gen_ai.tool.call.arguments": '{"city":"Berlin"}',
            "gen_ai.tool.call.result": "sunny",
        },
        "tool.call",
        {"tool_name": "get_weather", "tool_call_id": "call_1"},
        {"arguments": {"city": "Berlin"}, "result": "sunny"},
    ),
    (
        "gen_ai agent",
        {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": "refunds",
            "gen_ai.agent.id": "a-1",
            "gen_ai.usage.input_tokens": 500,
        },
        "agent.run",
        {"agent_name": "refunds", "agent_id": "a-1", "input_tokens": 500},
        {},
    ),
    (
        "gen_ai retrieval",
        {
            "gen_ai.operation.name": "retrieval",
            "gen_ai.data_source.id": "handbook",
            "gen_ai.retrieval.query.text": "refunds",
            "gen_ai.request.top_k": 3,
            "gen_ai.retrieval.documents": '[{"id":"d-1","score":0.9},{"id":"d-2","score":0.7}]',
        },
        "retrieval.query",
        {
            "index": "handbook",
            "top_k": 3,
            "returned": 2,
            "document_ids": ["d-1", "d-2"],
            "scores": [0.9, 0.7],
            "max_score": 0.9,
        },
        {"query": "refunds"},
    ),
    ("gen_ai workflow", {"gen_ai.operation.name": "invoke_workflow"}, "span", {"kind": "workflow"}, {}),
    (
        "OpenInference call",
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "gpt-4o",
            "llm.provider": "openai",
            "llm.token_count.prompt": 100,
            "llm.token_count.completion": 20,
            "llm.token_count.prompt_details.cache_read": 60,
            "llm.token_count.prompt_details.cache_write": 5,
            "llm.token_count.completion_details.reasoning": 8,
            "llm.cost.total": 0.01,
            "llm.invocation_parameters": '{"temperature": 0.1, "max_tokens": 64, "stream": true}',
            "llm.input_messages.0.message.role": "system",
            "llm.input_messages.0.message.content": "Be kind",
            "llm.input_messages.1.message.role": "user",
            "llm.input_messages.1.message.contents.0.message_content.type": "text",
            "llm.input_messages.1.message.contents.0.message_content.text": "Hi",
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.tool_calls.0.tool_call.id": "call_1",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "get_weather",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"city":"Berlin"}',
            "llm.tools.0.tool.json_schema": '{"name":"get_weather"}',
            "input.value": '{"messages":["as above"]}',
            "output.value": '{"choices":["as above"]}',
        },
        "llm.request",
        {
            "model": "gpt-4o",
            "provider": "openai",
            "input_tokens": 100,
            "output_tokens": 20,
            "cache_read_input_tokens": 60,
            "cache_write_input_tokens": 5,
            "reasoning_output_tokens": 8,
            "cost_usd": 0.01,
            "temperature": 0.1,
            "max_tokens": 64,
            "stream": True,
        },
        {
            "input_messages": [
                {"role": "system", "content": "Be kind"},
                {"role": "user", "contents": [{"type": "text", "text": "Hi"}]},
            ],
            "output_messages": [
                {
                    "role": "assistant",
                    "tool_calls": [
                        {"id": "call_1", "function": {"name": "get_weather", "arguments": '{"city":"Berlin"}'}}
                    ],
                }
            ],
            "tools": [{"name": "get_weather"}],
        },
    ),
    (
        "OpenInference call without messages",
        {"openinference.span.kind": "LLM", "llm.model_name": "m", "input.value": "Hi", "output.value": "Hello"},
        "llm.request",
        {"model": "m"},
        {"input_messages": "Hi", "output_messages": "Hello"},
    ),
    (
        "OpenInference retriever",
        {
            "openinference.span.kind": "RETRIEVER",
            "input.value": "refunds",
            "retrieval.documents.0.document.id": "d-1",
            "retrieval.documents.0.document.score": 0.5,
            "retrieval.documents.0.document.content": "Text",
            "retrieval.documents.1.document.id": 7,
        },
        "retrieval.query",
        {"returned": 2, "document_ids": ["d-1", "7"], "scores": [0.5], "max_score": 0.5},
        {"query": "refunds", "result": [{"id": "d-1", "score": 0.5, "content": "Text"}, {"id": 7}]},
    ),
    (
        "OpenInference embedding",
        {
            "openinference.span.kind": "EMBEDDING",
            "embedding.model_name": "e",
            "embedding.embeddings.0.embedding.text": "one",
            "embedding.embeddings.0.embedding.vector": [0.1, 0.2],
            "embedding.embeddings.1.embedding.text": "two",
        },
        "llm.embedding",
        {"model": "e"},
        {"input_messages": ["one", "two"]},
    ),
    (
        "OpenInference tool",
        {
            "openinference.span.kind": "TOOL",
            "tool.name": "search",
            "tool.parameters": '{"q":{"type":"string"}}',
            "input.value": '{"q":"x"}',
            "output.value": "found",
        },
        "tool.call",
        {"tool_name": "search"},
        {"arguments": {"q": {"type": "string"}}, "result": "found", "more_attributes": {"input.value": '{"q":"x"}'}},
    ),
    (
        "OpenInference agent without a name",
        {"openinference.span.kind": "AGENT", "input.value": "Hi"},
        "agent.run",
        {"agent_name": "span 1"},
        {"input_messages": "Hi"},
    ),
    (
        "OpenInference chain",
        {"openinference.span.kind": "CHAIN", "input.value": "Hi", "output.value": "Bye", "llm.cost.total": 0.5},
        "span",
        {"kind": "chain", "name": "span 1"},
        {"arguments": "Hi", "result": "Bye"},
    ),
    (
        "OpenLLMetry call",
        {
            "gen_ai.system": "Anthropic",
            "llm.request.type": "chat",
            "gen_ai.request.model": "claude-sonnet-4-0",
            "gen_ai.usage.input_tokens": 160,
            "gen_ai.usage.output_tokens": 20,
            "gen_ai.usage.cache_read_input_tokens": 60,
            "gen_ai.usage.cache_creation_input_tokens": 30,
            "llm.usage.total_tokens": 180,
            "llm.is_streaming": True,
            "gen_ai.prompt.0.role": "user",
            "gen_ai.prompt.0.content": "Where is my order?",
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.content": "Here",
            "gen_ai.completion.0.finish_reason": "stop",
            "llm.request.functions.0.name": "get_order",
            "traceloop.association.properties.session_id": "s-1",
            "traceloop.association.properties.user_id": "u-1",
        },
        "llm.request",
        {
            "provider": "anthropic",
            "operation": "chat",
            "input_tokens": 160,
            "cache_read_input_tokens": 60,
            "cache_write_input_tokens": 30,
            "stream": True,
        },
        {
            "input_messages": USER,
            "output_messages": [{"role": "assistant", "content": "Here", "finish_reason": "stop"}],
            "tools": [{"name": "get_order"}],
        },
    ),
    (
        "OpenLLMetry embedding",
        {"llm.request.type": "embedding", "gen_ai.request.model": "e", "gen_ai.usage.prompt_tokens": 3},
        "llm.embedding",
        {"model": "e", "input_tokens": 3},
        {},
    ),
    (
        "OpenLLMetry tool",
        {"traceloop.span.kind": "tool", "traceloop.entity.name": "search", "traceloop.entity.input": '{"q":"x"}'},
        "tool.call",
        {"tool_name": "search"},
        {"arguments": {"q": "x"}},
    ),
    (
        "OpenLLMetry agent",
        {"traceloop.span.kind": "agent", "traceloop.entity.name": "refunds", "traceloop.entity.output": "done"},
        "agent.run",
        {"agent_name": "refunds"},
        {"output_messages": "done"},
    ),
    ("OpenLLMetry task", {"traceloop.span.kind": "task"}, "span", {"kind": "task"}, {}),
    (
        "OpenLLMetry vector database",
        {"db.system": "chroma", "db.vector.query.top_k": 4, "db.collection.name": "handbook"},
        "retrieval.query",
        {"top_k": 4, "index": "handbook"},
        {},
    ),
    (
        "Langfuse generation",
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": "gpt-4o",
            "langfuse.observation.usage_details": '{"input": 90, "output": 20, "input_cached_tokens": 10}',
            "langfuse.observation.cost_details": '{"total": 0.02}',
            "langfuse.observation.completion_start_time": "2026-11-20T12:28:59.400Z",
            "langfuse.observation.input": '[{"role":"user","content":"Where is my order?"}]',
            "langfuse.observation.prompt.name": "greeting",
            "langfuse.session.id": "s-1",
            "langfuse.user.id": "u-1",
        },
        "llm.request",
        {
            "model": "gpt-4o",
            "input_tokens": 100,
            "output_tokens": 20,
            "cache_read_input_tokens": 10,
            "cost_usd": 0.02,
            "time_to_first_token_ms": 400.0,
            "prompt_id": "greeting",
        },
        {"input_messages": USER},
    ),
    (
        "Langfuse around OpenAI's client",
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": "gpt-4o-2024-08-06",
            "langfuse.observation.usage_details": '{"completion_tokens": 30, "prompt_tokens": 120, '
            '"total_tokens": 150, "completion_tokens_details": {"reasoning_tokens": 10}, '
            '"prompt_tokens_details": {"cached_tokens": 64}}',
        },
        "llm.request",
        {
            "input_tokens": 120,
            "output_tokens": 30,
            "cache_read_input_tokens": 64,
            "reasoning_output_tokens": 10,
        },
        {},
    ),
    (
        "Langfuse's errors",
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.level": "ERROR",
            "langfuse.observation.status_message": "429: slow down",
        },
        "llm.request",
        {"status": "error", "error_type": "429: slow down"},
        {},
    ),
    (
        "Langfuse's other levels",
        {"langfuse.observation.type": "generation", "langfuse.observation.level": "WARNING"},
        "llm.request",
        {"status": "ok"},
        {},
    ),
    (
        "LiteLLM",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.input_tokens": 120,
            "gen_ai.usage.output_tokens": 30,
            "gen_ai.cost.total_cost": 0.00052,
            "llm.is_streaming": "True",
            "llm.user": "u-1",
            "metadata.usage_object": "{'completion_tokens': 30, 'prompt_tokens': 120, 'total_tokens': 150, "
            "'completion_tokens_details': {'audio_tokens': None, 'reasoning_tokens': 10}, "
            "'prompt_tokens_details': {'audio_tokens': None, 'cached_tokens': 64}}",
        },
        "llm.request",
        {
            "input_tokens": 120,
            "output_tokens": 30,
            "cache_read_input_tokens": 64,
            "reasoning_output_tokens": 10,
            "cost_usd": 0.00052,
            "stream": True,
        },
        {},
    ),
    *(
        (
            f"LiteLLM, {usage[:12]}",
            {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "metadata.usage_object": usage},
            "llm.request",
            {"model": "m", "cache_read_input_tokens": None},
            {},
        )
        for usage in (
            "{}",
            "{'a'",
            "{1, 2}",
            "{'prompt_tokens_details': 3}",
            "{" + "[" * 3000,
            "17",
            "{'x': f('y')}",
        )
    ),
    (
        "a plain span",
        {"http.request.method": "GET", "http.response.status_code": 200},
        "span",
        {"http_status_code": 200},
        {},
    ),
]


@pytest.mark.parametrize(
    ("attributes", "event_type", "data", "contents"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_a_span_becomes(
    attributes: dict[str, Any], event_type: str, data: dict[str, Any], contents: dict[str, Any]
) -> None:
    event = one(traces(span(1, attributes)))
    assert event["type"] == event_type
    assert {name: event["data"].get(name) for name in data} == data
    assert event["body"] == contents
    assert event["data"]["status"] == data.get("status", "ok")
    assert event["data"]["duration_ms"] == 1000.0


def test_who_and_where() -> None:
    resource = {
        "service.name": "support",
        "service.namespace": "bots",
        "deployment.environment.name": "production",
        "host.name": "h-1",
    }
    event = one(traces(span(1, {"session.id": "s-1", "user.id": "u-1", "app.plan": "pro"}), resource=resource))
    assert (event["source"], event["project"], event["environment"]) == ("support", "bots", "production")
    assert (event["session_id"], event["user_id"]) == ("s-1", "u-1")
    assert event["data"]["service"] == "support"
    assert event["attributes"] == {
        "app.plan": "pro",
        "host.name": "h-1",
        "otel.scope.name": "tests",
    }


def test_older_names_of_the_same() -> None:
    event = one(
        traces(
            span(1, {"enduser.id": "u-1", "http.status_code": 404}, name="GET"),
            resource={"deployment.environment": "test"},
        )
    )
    assert (event["source"], event["environment"], event["user_id"]) == ("otlp", "test", "u-1")
    assert event["data"]["http_status_code"] == 404


def test_what_does_not_fit_a_field_stays_an_attribute() -> None:
    given = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m" * 300,
        "gen_ai.usage.input_tokens": "many",
        "gen_ai.usage.output_tokens": -5,
        "gen_ai.request.temperature": "warm",
        "gen_ai.request.stream": "yes",
        "session.id": "s" * 300,
        "gen_ai.response.time_to_first_chunk": "soon",
    }
    event = one(traces(span(1, given)))
    assert event["type"] == "llm.request"
    assert event["data"]["model"] == "unknown"
    assert "input_tokens" not in event["data"]
    assert {name: event["attributes"][name] for name in given if name != "gen_ai.operation.name"} == {
        name: str(value) for name, value in given.items() if name != "gen_ai.operation.name"
    }


def test_numbers_in_texts_are_numbers() -> None:
    event = one(
        traces(
            span(1, {"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": "12", "gen_ai.usage.output_tokens": 3.0})
        )
    )
    assert (event["data"]["input_tokens"], event["data"]["output_tokens"]) == (12, 3)


def test_the_first_of_two_names_counts_and_another_value_is_kept() -> None:
    same = {"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 5, "gen_ai.usage.prompt_tokens": 5}
    other = {"gen_ai.request.model": "m", "gen_ai.provider.name": "azure.ai.openai", "gen_ai.system": "openai"}
    assert "gen_ai.usage.prompt_tokens" not in one(traces(span(1, same)))["attributes"]
    event = one(traces(span(1, other)))
    assert event["data"]["provider"] == "azure.ai.openai"
    assert event["attributes"]["gen_ai.system"] == "openai"


def test_cached_tokens_that_were_left_out_of_the_prompts_are_put_in() -> None:
    given = {
        "gen_ai.request.model": "m",
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.cache_read.input_tokens": 300,
        "gen_ai.usage.cache_creation.input_tokens": 50,
    }
    data = one(traces(span(1, given)))["data"]
    assert (data["input_tokens"], data["cache_read_input_tokens"], data["cache_write_input_tokens"]) == (360, 300, 50)


def test_what_is_too_long_or_too_many_for_attributes_goes_to_the_contents() -> None:
    many = {f"k{number:03}": number for number in range(70)}
    event = one(traces(span(1, {**many, "a.long.one": "x" * 5000, "list": [1, "a", True], "map": {"a": {"b": 1.5}}})))
    assert len(event["attributes"]) <= 64
    more = event["body"]["more_attributes"]
    assert more["a.long.one"] == "x" * 5000
    kept = {*event["attributes"], *more}
    assert {*many, "a.long.one", "list", "map"} <= kept


def test_attributes_are_texts() -> None:
    given = {"list": [1, "a", True], "map": {"a": {"b": 1.5}}, "flag": True, "real": 0.5, "whole": 7}
    attributes = one(traces(span(1, given)))["attributes"]
    assert {name: attributes[name] for name in given} == {
        "list": '[1,"a",true]',
        "map": '{"a":{"b":1.5}}',
        "flag": "true",
        "real": "0.5",
        "whole": "7",
    }


def test_messages_in_events_of_spans() -> None:
    def event(name: str, **attributes: Any) -> dict[str, Any]:
        return {"timeUnixNano": "1", "name": name, "attributes": pairs(attributes)}

    found = one(
        traces(
            span(
                1,
                {"gen_ai.request.model": "m"},
                events=[
                    event("gen_ai.system.message", content="Be kind", **{"gen_ai.system": "openai"}),
                    event("gen_ai.user.message", content="Hi"),
                    event("gen_ai.choice", content="Hello", finish_reason="stop"),
                    event("other", content="x"),
                ],
            )
        )
    )
    assert found["body"] == {
        "input_messages": [{"role": "system", "content": "Be kind"}, {"role": "user", "content": "Hi"}],
        "output_messages": [{"role": "assistant", "content": "Hello", "finish_reason": "stop"}],
    }
    assert [one["name"] for one in found["data"]["events"]] == ["other"]
    details = event("gen_ai.client.inference.operation.details", **{"gen_ai.input.messages": PARTS})
    prompt = event("gen_ai.content.prompt", **{"gen_ai.prompt": '[{"role":"user","content":"Where is my order?"}]'})
    assert (
        one(traces(span(1, {"gen_ai.request.model": "m"}, events=[details])))["body"]["input_messages"][0]["role"]
        == "user"
    )
    assert one(traces(span(1, {"gen_ai.request.model": "m"}, events=[prompt])))["body"] == {"input_messages": USER}
