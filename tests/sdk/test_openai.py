"""The real ``openai`` package against a server of its form."""

import gc
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import openai
import pydantic
import pytest
from openai.resources.chat.completions import AsyncCompletions, Completions
from openai.resources.embeddings import Embeddings
from openai.resources.responses import AsyncResponses, Responses

import llm_hub
from llm_hub.instrument.openai import provider_of
from llm_hub.testing import MemoryClient
from tests.providers import Providers, providers

MESSAGES: Any = [{"role": "user", "content": "hi"}]
TOOLS: Any = [{"type": "function", "function": {"name": "search", "parameters": {"type": "object", "properties": {}}}}]
TOKENS = {"input_tokens": 812, "output_tokens": 96, "cache_read_input_tokens": 512, "reasoning_output_tokens": 32}


@pytest.fixture(scope="module")
def server() -> Iterator[Providers]:
    with providers() as made:
        yield made


@pytest.fixture
def hub(llm_hub_client: MemoryClient) -> Iterator[MemoryClient]:
    gc.collect()  # an observation that an earlier test let go of ends now, not in this one
    llm_hub.instrument_openai()
    yield llm_hub_client
    llm_hub.uninstrument_openai()


@pytest.fixture
def client(server: Providers) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="sk", max_retries=0) as made:
        yield made


@pytest.fixture
async def async_client(server: Providers) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="sk", max_retries=0) as made:
        yield made


def only(hub: MemoryClient) -> dict[str, Any]:
    (event,) = hub.events
    return dict(event["data"])


def subset(data: dict[str, Any], expected: dict[str, Any]) -> bool:
    return {name: data.get(name) for name in expected} == expected


def test_a_chat(hub: MemoryClient, client: openai.OpenAI) -> None:
    with hub.span("answer", user_id="u-1") as outer:
        answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, temperature=0.5, max_tokens=99)
    assert answer.choices[0].message.content == '{"word": "hello"}'
    event = hub.of("llm.request")[0]
    assert (event["parent_span_id"], event["user_id"]) == (outer.span_id, "u-1")
    data = event["data"]
    assert data.pop("duration_ms") > 0
    assert data == TOKENS | {
        "model": "gpt-4o",
        "provider": "127.0.0.1",
        "operation": "chat",
        "temperature": 0.5,
        "max_tokens": 99,
        "status": "ok",
        "response_model": "gpt-4o-2024-08-06",
        "finish_reason": "stop",
    }


async def test_an_asynchronous_chat(hub: MemoryClient, async_client: openai.AsyncOpenAI) -> None:
    await async_client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert subset(only(hub), TOKENS | {"status": "ok"})


def test_tools_and_contents_when_asked_for(hub: MemoryClient, client: openai.OpenAI) -> None:
    hub.capture_content = True
    client.chat.completions.create(model="gpt-4o", messages=MESSAGES, tools=TOOLS)
    data = only(hub)
    assert (data["finish_reason"], data["input_messages"], data["tools"]) == ("tool_calls", MESSAGES, TOOLS)
    assert data["output_messages"][0]["tool_calls"][0]["function"]["name"] == "search"


def test_a_stream_is_the_same_for_the_host(hub: MemoryClient, client: openai.OpenAI) -> None:
    hub.capture_content = True
    with client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True, tools=TOOLS) as stream:
        assert isinstance(stream, openai.Stream)
        chunks = list(stream)
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["", None, "hel", "lo", None]
    data = only(hub)
    assert subset(
        data, {"stream": True, "finish_reason": "stop", "status": "ok", "response_model": "gpt-4o-2024-08-06"}
    )
    assert 0 < data["time_to_first_token_ms"] <= data["duration_ms"]
    assert "input_tokens" not in data
    (message,) = data["output_messages"]
    assert message["content"] == "hello"
    assert message["tool_calls"] == {"0": {"name": "search", "arguments": '{"q": "x"}'}}


def test_a_stream_can_be_asked_for_its_usage(
    server: Providers, llm_hub_client: MemoryClient, client: openai.OpenAI
) -> None:
    llm_hub.instrument_openai(stream_usage=True, provider="mine")
    try:
        chunks = list(client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True))
        assert all(chunk.choices for chunk in chunks)
        assert server.asked[-1]["stream_options"] == {"include_usage": True}
        assert subset(only(llm_hub_client), TOKENS | {"provider": "mine"})
        asked: Any = {"include_usage": True}
        chunks = list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True, stream_options=asked))
        assert chunks[-1].usage is not None
        assert subset(llm_hub_client.events[-1]["data"], TOKENS)
    finally:
        llm_hub.uninstrument_openai()


async def test_an_asynchronous_stream(hub: MemoryClient, async_client: openai.AsyncOpenAI) -> None:
    stream = await async_client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "hello"
    data = only(hub)
    assert subset(data, {"finish_reason": "stop", "status": "ok"})
    assert data["time_to_first_token_ms"] > 0


def test_a_stream_that_is_left_in_the_middle(hub: MemoryClient, client: openai.OpenAI) -> None:
    with client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True) as stream:
        next(stream)
    del stream
    gc.collect()
    assert subset(only(hub), {"status": "ok", "stream": True})


def test_the_stream_helpers(hub: MemoryClient, client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model="gpt-4o", messages=MESSAGES) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.content == "hello"
    assert subset(only(hub), {"finish_reason": "stop"})


async def test_the_asynchronous_stream_helpers(hub: MemoryClient, async_client: openai.AsyncOpenAI) -> None:
    async with async_client.chat.completions.stream(model="gpt-4o", messages=MESSAGES) as stream:
        async for _ in stream:
            pass
    assert subset(only(hub), {"finish_reason": "stop"})


class Word(pydantic.BaseModel):
    word: str


def test_parsing_is_one_call(hub: MemoryClient, client: openai.OpenAI) -> None:
    answer = client.chat.completions.parse(model="gpt-4o", messages=MESSAGES, response_format=Word)
    assert answer.choices[0].message.parsed == Word(word="hello")
    assert subset(only(hub), TOKENS)


def test_responses(hub: MemoryClient, client: openai.OpenAI) -> None:
    hub.capture_content = True
    assert client.responses.create(model="gpt-4o", input="hi", max_output_tokens=5).output_text == "hello"
    data = only(hub)
    assert subset(data, TOKENS | {"finish_reason": "completed", "operation": "chat", "max_tokens": 5})
    assert data["input_messages"] == "hi"
    assert data["output_messages"][0]["content"][0]["text"] == "hello"


async def test_streamed_responses(hub: MemoryClient, client: openai.OpenAI, async_client: openai.AsyncOpenAI) -> None:
    assert len(list(client.responses.create(model="gpt-4o", input="hi", stream=True))) == 3
    stream = await async_client.responses.create(model="gpt-4o", input="hi", stream=True)
    assert len([event async for event in stream]) == 3
    for event in hub.events:
        assert subset(event["data"], TOKENS | {"finish_reason": "completed", "stream": True})
        assert event["data"]["time_to_first_token_ms"] > 0


def test_text_completions(hub: MemoryClient, client: openai.OpenAI) -> None:
    client.completions.create(model="gpt-3.5-turbo-instruct", prompt="hi")
    assert subset(only(hub), {"operation": "text_completion", "finish_reason": "length", "input_tokens": 812})


async def test_embeddings(hub: MemoryClient, client: openai.OpenAI, async_client: openai.AsyncOpenAI) -> None:
    client.embeddings.create(model="text-embedding-3-small", input="hi", encoding_format="float")
    await async_client.embeddings.create(model="text-embedding-3-small", input=["hi"], encoding_format="float")
    for event in hub.events:
        assert event["type"] == "llm.embedding"
        assert subset(event["data"], {"input_tokens": 7, "dimensions": 3, "status": "ok"})


@pytest.mark.parametrize(
    ("status", "kind"), [(429, "rate_limit"), (401, "authentication"), (500, "server_error"), (400, "bad_request")]
)
async def test_errors(
    hub: MemoryClient, client: openai.OpenAI, async_client: openai.AsyncOpenAI, status: int, kind: str
) -> None:
    with pytest.raises(openai.APIStatusError):
        client.chat.completions.create(model=f"status-{status}", messages=MESSAGES)
    with pytest.raises(openai.APIStatusError):
        await async_client.chat.completions.create(model=f"status-{status}", messages=MESSAGES)
    for event in hub.events:
        assert subset(event["data"], {"status": "error", "error_type": kind, "http_status_code": status})


async def test_an_error_within_a_stream(
    hub: MemoryClient, client: openai.OpenAI, async_client: openai.AsyncOpenAI
) -> None:
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(model="broken", messages=MESSAGES, stream=True))
    with pytest.raises(openai.APIError):
        [
            piece
            async for piece in await async_client.chat.completions.create(
                model="broken", messages=MESSAGES, stream=True
            )
        ]
    for event in hub.events:
        assert subset(event["data"], {"status": "error", "error_type": "APIError"})
    assert len(hub.events) == 2


def test_a_server_that_is_not_there(hub: MemoryClient) -> None:
    with (
        openai.OpenAI(base_url="http://127.0.0.1:9/v1", api_key="sk", max_retries=0) as client,
        pytest.raises(openai.APIConnectionError),
    ):
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert subset(only(hub), {"status": "error", "error_type": "connection"})


def test_raw_responses(hub: MemoryClient, client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=MESSAGES)
    assert raw.parse().choices[0].finish_reason == "stop"
    assert subset(only(hub), TOKENS)


#: Ways to read an answer; each gives what shows that all of it came.
READ: dict[str, Callable[[Any], Any]] = {
    "read": lambda answer: answer.read(),
    "text": lambda answer: answer.text(),
    "json": lambda answer: str(answer.json()),
    "parse": lambda answer: answer.parse().to_json(),
    "bytes": lambda answer: b"".join(answer.iter_bytes()),
    "chunks": lambda answer: b"".join(answer.iter_bytes(7)),
    "lines": lambda answer: "".join(answer.iter_lines()),
    "twice": lambda answer: answer.read() + answer.read(),
}


@pytest.mark.parametrize("way", READ)
def test_an_answer_that_the_host_reads_itself(hub: MemoryClient, client: openai.OpenAI, way: str) -> None:
    hub.capture_content = True
    with client.chat.completions.with_streaming_response.create(model="gpt-4o", messages=MESSAGES) as answer:
        response = answer.http_response
        assert hub.events == []
        assert "hello" in str(READ[way](answer))
    assert subset(only(hub), TOKENS | {"finish_reason": "stop", "response_model": "gpt-4o-2024-08-06"})
    assert "hello" in str(only(hub)["output_messages"])
    assert not {"iter_bytes", "close"} & set(vars(response))


@pytest.mark.parametrize("way", ["bytes", "chunks", "lines", "parse"])
def test_a_stream_that_the_host_reads_itself(hub: MemoryClient, client: openai.OpenAI, way: str) -> None:
    options: Any = {"stream": True, "stream_options": {"include_usage": True}}
    with client.chat.completions.with_streaming_response.create(model="gpt-4o", messages=MESSAGES, **options) as answer:
        read = READ[way] if way != "parse" else lambda answer: [piece.to_json() for piece in answer.parse()]
        assert "hel" in str(read(answer))
    data = only(hub)
    assert subset(data, TOKENS | {"stream": True, "finish_reason": "stop"})
    assert 0 < data["time_to_first_token_ms"] <= data["duration_ms"]


async def test_an_asynchronous_answer_that_the_host_reads_itself(
    hub: MemoryClient, async_client: openai.AsyncOpenAI
) -> None:
    create = async_client.chat.completions.with_streaming_response.create
    async with create(model="gpt-4o", messages=MESSAGES) as answer:
        assert "hello" in await answer.text()
    async with create(model="gpt-4o", messages=MESSAGES) as answer:
        assert (await answer.parse()).choices[0].finish_reason == "stop"
    options: Any = {"stream": True, "stream_options": {"include_usage": True}}
    async with create(model="gpt-4o", messages=MESSAGES, **options) as answer:
        assert "[DONE]" in "".join([line async for line in answer.iter_lines()])
    async with create(model="gpt-4o", messages=MESSAGES, **options) as answer:
        assert len([piece async for piece in await answer.parse()]) == 5
    async with async_client.responses.with_streaming_response.create(model="gpt-4o", input="hi", stream=True) as answer:
        assert b"hello" in await answer.read()
    async with async_client.embeddings.with_streaming_response.create(model="e", input="hi") as vectors:
        assert len((await vectors.parse()).data) == 1
    *calls, embedding = (event["data"] for event in hub.events)
    assert len(calls) == 5
    assert all(subset(data, TOKENS) for data in calls)
    assert subset(embedding, {"input_tokens": 7, "dimensions": 3})


def test_an_answer_that_the_host_lets_go_of(hub: MemoryClient, client: openai.OpenAI) -> None:
    create = client.chat.completions.with_streaming_response.create
    with create(model="gpt-4o", messages=MESSAGES):
        pass
    with create(model="gpt-4o", messages=MESSAGES, stream=True) as answer:
        lines = answer.iter_lines()
        assert next(lines)
    assert len(hub.events) == 2
    assert all(subset(event["data"], {"status": "ok", "model": "gpt-4o"}) for event in hub.events)
    lines.close()  # type: ignore[attr-defined]
    assert len(hub.events) == 2


def test_a_stream_of_bytes_that_breaks(hub: MemoryClient, client: openai.OpenAI) -> None:
    with client.chat.completions.with_streaming_response.create(model="broken", messages=MESSAGES, stream=True) as raw:
        assert "overloaded" in "".join(raw.iter_lines())
    assert subset(only(hub), {"status": "error", "error_type": "overloaded_error"})


def test_no_piece_is_asked_for_that_the_host_would_see(
    hub: MemoryClient, server: Providers, client: openai.OpenAI
) -> None:
    llm_hub.uninstrument_openai()
    llm_hub.instrument_openai(stream_usage=True)
    with client.chat.completions.with_streaming_response.create(model="gpt-4o", messages=MESSAGES, stream=True) as raw:
        raw.read()
    assert "stream_options" not in server.asked[-1]


def test_it_is_taken_off_exactly(llm_hub_client: MemoryClient, client: openai.OpenAI) -> None:
    owners = (Completions, AsyncCompletions, Responses, AsyncResponses, Embeddings)
    before = [dict(vars(owner)) for owner in owners]
    llm_hub.instrument_openai()
    llm_hub.instrument_openai()
    assert vars(Completions)["create"] is not before[0]["create"]
    assert Completions.create.__doc__ == before[0]["create"].__doc__
    llm_hub.uninstrument_openai()
    llm_hub.uninstrument_openai()
    assert [dict(vars(owner)) for owner in owners] == before
    client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert llm_hub_client.events == []


def test_a_reader_that_fails_harms_nobody(
    hub: MemoryClient, client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a new version of the package")

    monkeypatch.setattr("llm_hub.instrument.openai.Chat.answer", fail)
    monkeypatch.setattr("llm_hub.instrument.openai.Chat.chunk", fail)
    client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert len(list(client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True))) == 4
    assert [event["data"]["model"] for event in hub.events] == ["gpt-4o", "gpt-4o"]
    monkeypatch.setattr("llm_hub.instrument.openai.Chat.request", fail)
    client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert len(hub.events) == 2


def test_who_answers() -> None:
    with openai.OpenAI(api_key="sk") as client:
        assert provider_of(client.chat.completions) == "openai"
    with openai.OpenAI(base_url="https://openrouter.ai/api/v1", api_key="sk") as client:
        assert provider_of(client.chat.completions) == "openrouter"
    with openai.AzureOpenAI(
        azure_endpoint="https://x.openai.azure.com", api_key="k", api_version="2024-10-21"
    ) as azure:
        assert provider_of(azure.chat.completions) == "azure"
    assert provider_of(object()) is None
