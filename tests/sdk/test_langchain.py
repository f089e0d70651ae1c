"""The real ``langchain-core`` with models and tools of its own."""

import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import openai
import pytest
from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel, FakeListLLM
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, LLMResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool

import llm_hub
from llm_hub.testing import MemoryClient
from tests.providers import Providers, providers

ASKED: Any = [{"role": "user", "content": "hi"}]
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


class OfClient(BaseChatModel):
    """Asks a real client, as the models of LangChain's integrations do."""

    url: str
    model: str = "gpt-4o"
    asks: int = 1
    counts: bool = True

    @property
    def _llm_type(self) -> str:
        return "client"

    def _result(self, answer: Any) -> ChatResult:
        usage: Any = USAGE if self.counts else None
        return ChatResult(generations=[ChatGeneration(message=AIMessage("hello", usage_metadata=usage))])

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        with openai.OpenAI(base_url=f"{self.url}/v1", api_key="sk", max_retries=0) as client:
            for _ in range(self.asks):
                answer = client.chat.completions.create(model=self.model, messages=ASKED)
        return self._result(answer)

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        async with openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key="sk", max_retries=0) as client:
            return self._result(await client.chat.completions.create(model=self.model, messages=ASKED))

    def _stream(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        with openai.OpenAI(base_url=f"{self.url}/v1", api_key="sk", max_retries=0) as client:
            for piece in client.chat.completions.create(model=self.model, messages=ASKED, **self._streamed()):
                yield self._piece(piece)

    async def _astream(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        async with openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key="sk", max_retries=0) as client:
            async for piece in await client.chat.completions.create(
                model=self.model, messages=ASKED, **self._streamed()
            ):
                yield self._piece(piece)

    def _streamed(self) -> Any:
        return {"stream": True} | ({"stream_options": {"include_usage": True}} if self.counts else {})

    def _piece(self, piece: Any) -> ChatGenerationChunk:
        usage: Any = USAGE if not piece.choices or not self.counts else None
        text = piece.choices[0].delta.content or "" if piece.choices else ""
        return ChatGenerationChunk(message=AIMessageChunk(text, usage_metadata=usage))


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


# The handler, and the client below it instrumented as well: a call counts once


@pytest.fixture(scope="module")
def server() -> Iterator[Providers]:
    with providers() as made:
        yield made


@pytest.fixture
def both(llm_hub_client: MemoryClient) -> Iterator[MemoryClient]:
    llm_hub.instrument_openai(provider="openai")
    yield llm_hub_client
    llm_hub.uninstrument_openai()


#: What the client tells, and LangChain does not.
NEARER = {"provider": "openai", "response_model": "gpt-4o-2024-08-06", "input_tokens": 812, "output_tokens": 96}


def once(hub: MemoryClient, calls: int = 1) -> None:
    """One ``llm.request`` a call, each below LangChain's span of it, which says so."""
    requests = hub.of("llm.request")
    around = {event["span_id"]: event for event in hub.of("span") if event["data"]["kind"] == "llm"}
    assert len(requests) == len(around) == calls
    for request in requests:
        run = around[request["parent_span_id"]]
        assert run["attributes"] == {"llm_hub.reconciled": request["span_id"]}
        assert run["data"]["name"] == "gpt-4o"
        assert not {"input_tokens", "output_tokens"} & set(run["data"])
        assert request["trace_id"] == run["trace_id"]
        assert subset(request["data"], NEARER)


def test_a_call_counts_once(both: MemoryClient, server: Providers) -> None:
    chain = ChatPromptTemplate.from_template("{q}") | OfClient(url=server.url)
    chain.invoke({"q": "hi"}, config(user_id="u-1"))
    once(both)
    assert both.of("llm.request")[0]["user_id"] == "u-1"
    chain.batch([{"q": "one"}, {"q": "two"}], config())
    once(both, 3)


async def test_an_asynchronous_call_counts_once(both: MemoryClient, server: Providers) -> None:
    chain = ChatPromptTemplate.from_template("{q}") | OfClient(url=server.url)
    await chain.ainvoke({"q": "hi"}, config())
    once(both)
    await chain.abatch([{"q": "one"}, {"q": "two"}], config())
    once(both, 3)


@pytest.mark.parametrize("counts", [True, False], ids=["provider counts", "langchain counts"])
async def test_a_streamed_call_counts_once(both: MemoryClient, server: Providers, counts: bool) -> None:
    model = OfClient(url=server.url, counts=counts)
    assert "hello" in "".join(str(piece.content) for piece in model.stream("hi", config()))
    assert len(both.of("llm.request")) == 1
    assert "hello" in "".join([str(piece.content) async for piece in model.astream("hi", config())])
    if counts:
        once(both, 2)
    for request in both.of("llm.request"):
        # Without the provider's usage, the tokens are what LangChain makes of it (of each piece: its own affair).
        assert request["data"]["input_tokens"] >= 812
        assert 0 < request["data"]["time_to_first_token_ms"] <= request["data"]["duration_ms"]
    assert len(both.of("llm.request")) == len(both.of("span")) == 2


def test_several_prompts_at_once(both: MemoryClient, server: Providers) -> None:
    messages: list[list[BaseMessage]] = [[HumanMessage("one")], [HumanMessage("two")]]
    OfClient(url=server.url).generate(messages, callbacks=[llm_hub.langchain_handler()])
    once(both, 2)


def test_several_calls_in_a_run_all_count(both: MemoryClient, server: Providers) -> None:
    OfClient(url=server.url, asks=3).invoke("hi", config())
    (run,) = both.of("span")
    assert [event["parent_span_id"] for event in both.of("llm.request")] == [run["span_id"]] * 3


def test_a_call_that_fails_counts_once(both: MemoryClient, server: Providers) -> None:
    with pytest.raises(openai.RateLimitError):
        OfClient(url=server.url, model="status-429").invoke("hi", config())
    (request,), (run,) = both.of("llm.request"), both.of("span")
    assert subset(request["data"], {"status": "error", "error_type": "rate_limit", "http_status_code": 429})
    assert (run["data"]["status"], run["data"]["kind"]) == ("error", "llm")


def test_a_model_that_asks_another_one(both: MemoryClient, server: Providers) -> None:
    handler = llm_hub.langchain_handler()
    handler.on_chat_model_start({"name": "router"}, [], run_id=(outer := uuid4()))
    handler.on_chat_model_start({"name": "model"}, [], run_id=(inner := uuid4()), parent_run_id=outer)
    for run_id in (inner, outer):
        handler.on_llm_end(None, run_id=run_id)
    (request,), (run,) = both.of("llm.request"), both.of("span")
    assert (request["data"]["model"], run["data"]["name"]) == ("model", "router")
    assert request["parent_span_id"] == run["span_id"]


def test_what_langchain_counts_counts_once_however_many_calls_it_made(both: MemoryClient, server: Providers) -> None:
    handler = llm_hub.langchain_handler()
    handler.on_chat_model_start({"name": "model"}, [], run_id=(run_id := uuid4()))
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="sk", max_retries=0) as client:
        for _ in range(2):
            list(client.chat.completions.create(model="gpt-4o", messages=ASKED, stream=True))
    message = AIMessage("hello", usage_metadata=USAGE)
    handler.on_llm_end(LLMResult(generations=[[ChatGeneration(message=message)]]), run_id=run_id)
    first, last = (event["data"] for event in both.of("llm.request"))
    assert "input_tokens" not in first
    assert subset(last, TOKENS)


def test_a_run_that_never_ends_keeps_no_call(both: MemoryClient, server: Providers) -> None:
    handler = llm_hub.langchain_handler()
    handler.on_chat_model_start({"name": "model"}, [], run_id=uuid4())
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="sk", max_retries=0) as client:
        list(client.chat.completions.create(model="gpt-4o", messages=ASKED, stream=True))
        assert both.events == []  # without tokens: the run may know them
        del handler
        gc.collect()
        assert len(both.of("llm.request")) == 1
        client.chat.completions.create(model="gpt-4o", messages=ASKED)
    inside, after = both.of("llm.request")
    assert inside.get("parent_span_id")
    assert not after.get("parent_span_id")


def test_calls_after_a_run_and_of_other_clients_are_their_own(both: MemoryClient, server: Providers) -> None:
    model = OfClient(url=server.url)
    model.invoke("hi", config())
    model.invoke("hi")
    with MemoryClient(source="another hub") as other:
        model.invoke("hi", {"callbacks": [llm_hub.langchain_handler(other)]})
        assert [event["type"] for event in other.events] == ["llm.request"]
    parents = [event.get("parent_span_id") for event in both.of("llm.request")]
    assert [parent is None for parent in parents] == [False, True, True]
    assert len(both.of("span")) == 1
