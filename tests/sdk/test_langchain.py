"""The real ``langchain-core`` with models and tools of its own."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel, FakeListLLM
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool

import llm_hub
from llm_hub.testing import MemoryClient

USAGE: Any = {
    "input_tokens": 812,
    "output_tokens": 96,
    "total_tokens": 908,
    "input_token_details": {"cache_read": 512, "cache_creation": 100},
    "output_token_details": {"reasoning": 32},
}
TOKENS = {
    "input_tokens": 812,
    "output_tokens": 96,
    "cache_read_input_tokens": 512,
    "cache_write_input_tokens": 100,
    "reasoning_output_tokens": 32,
}


class Model(BaseChatModel):
    """Answers ``hello``, or fails."""

    model: str = "gpt-4o"
    temperature: float = 0.5
    fails: bool = False

    @property
    def _llm_type(self) -> str:
        return "fake"

    def _get_ls_params(self, stop: Any = None, **kwargs: Any) -> Any:
        return {"ls_provider": "openai", "ls_model_name": self.model, "ls_model_type": "chat", "ls_temperature": 0.5}

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        if self.fails:
            raise TimeoutError("late")
        meta = {"model_name": "gpt-4o-2024-08-06", "finish_reason": "stop"}
        message = AIMessage("hello", usage_metadata=USAGE, response_metadata=meta)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        manager = kwargs.get("run_manager")
        for text in ("hel", "lo"):
            chunk = ChatGenerationChunk(message=AIMessageChunk(text, usage_metadata=USAGE if text == "lo" else None))
            if manager:
                manager.on_llm_new_token(text, chunk=chunk)
            yield chunk


@tool
def search(query: str) -> str:
    """Searches."""
    if query == "nothing":
        raise KeyError(query)
    return f"found {query}"


class Retriever(BaseRetriever):
    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        return [Document("a", id="d-1"), Document("b", id="d-2")]


def config(**metadata: Any) -> Any:
    return {"callbacks": [llm_hub.langchain_handler()], "metadata": metadata}


def subset(data: dict[str, Any], expected: dict[str, Any]) -> bool:
    return {name: data.get(name) for name in expected} == expected


def test_a_chain_is_a_tree(llm_hub_client: MemoryClient) -> None:
    hub = llm_hub_client
    chain = ChatPromptTemplate.from_template("{q}") | Model()
    with hub.span("request") as outer:
        assert chain.invoke({"q": "hi"}, config(user_id="u-1", thread_id="t-1")).content == "hello"
    (request,) = hub.of("llm.request")
    top = next(event for event in hub.events if event.get("parent_span_id") == outer.span_id)
    assert top["data"]["kind"] == "chain"
    assert request["parent_span_id"] == top["span_id"]
    assert request["trace_id"] == outer.trace_id
    assert (request["user_id"], request["session_id"]) == ("u-1", "t-1")
    expected = {
        "provider": "openai",
        "model": "gpt-4o",
        "operation": "chat",
        "temperature": 0.5,
        "finish_reason": "stop",
    }
    assert subset(request["data"], TOKENS | expected | {"finish_reason": "stop", "status": "ok"})
    assert request["data"]["response_model"] == "gpt-4o-2024-08-06"
    assert "input_messages" not in request["data"]


async def test_asynchronously(llm_hub_client: MemoryClient) -> None:
    chain = ChatPromptTemplate.from_template("{q}") | Model()
    with llm_hub_client.span("request") as outer:
        await chain.ainvoke({"q": "hi"}, config())
    (request,) = llm_hub_client.of("llm.request")
    assert request["trace_id"] == outer.trace_id
    assert subset(request["data"], TOKENS)


async def test_streams(llm_hub_client: MemoryClient) -> None:
    hub = llm_hub_client
    hub.capture_content = True
    assert "".join(str(chunk.content) for chunk in Model().stream("hi", config())) == "hello"
    pieces: AsyncIterator[Any] = Model().astream("hi", config())
    assert "".join([str(chunk.content) async for chunk in pieces]) == "hello"
    for event in hub.events:
        assert subset(event["data"], TOKENS | {"stream": True})
        assert 0 < event["data"]["time_to_first_token_ms"] <= event["data"]["duration_ms"]
        assert event["data"]["input_messages"] == [{"role": "human", "content": "hi"}]
        assert event["data"]["output_messages"][0]["content"] == "hello"
    assert len(hub.events) == 2


def test_a_completion(llm_hub_client: MemoryClient) -> None:
    FakeListLLM(responses=["hello"]).invoke("hi", config())
    (event,) = llm_hub_client.events
    assert subset(event["data"], {"operation": "text_completion", "status": "ok"})


async def test_tools(llm_hub_client: MemoryClient) -> None:
    hub = llm_hub_client
    hub.capture_content = True
    search.invoke({"query": "x"}, config())
    await search.ainvoke({"query": "y"}, config())
    with pytest.raises(KeyError):
        search.invoke({"query": "nothing"}, config())
    first, second, failed = (event["data"] for event in hub.of("tool.call"))
    assert subset(first, {"tool_name": "search", "arguments": {"query": "x"}, "result": "found x", "status": "ok"})
    assert second["result"] == "found y"
    assert subset(failed, {"status": "error", "error_type": "KeyError"})


def test_retrievers(llm_hub_client: MemoryClient) -> None:
    Retriever().invoke("hi", config())
    (event,) = llm_hub_client.of("retrieval.query")
    assert subset(event["data"], {"index": "Retriever", "returned": 2, "document_ids": ["d-1", "d-2"]})
    assert "query" not in event["data"]


def test_errors(llm_hub_client: MemoryClient) -> None:
    chain = RunnableLambda(lambda text: text, name="first") | Model(fails=True)
    with pytest.raises(TimeoutError):
        chain.invoke("hi", config())
    (request,) = llm_hub_client.of("llm.request")
    assert subset(request["data"], {"status": "error", "error_type": "TimeoutError"})
    failed = [event["data"] for event in llm_hub_client.of("span") if event["data"]["status"] == "error"]
    assert subset(failed[0], {"error_type": "TimeoutError", "status_message": "late"})


def test_runs_that_never_end_are_forgotten(llm_hub_client: MemoryClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm_hub.instrument.langchain._MOST", 3)
    handler = llm_hub.langchain_handler(llm_hub_client)
    ids: list[Any] = list(range(10))
    for run_id in ids:
        handler.on_chain_start({"name": "x"}, {}, run_id=run_id)
    for run_id in ids:
        handler.on_chain_end({}, run_id=run_id)
    assert len(llm_hub_client.events) == 3
