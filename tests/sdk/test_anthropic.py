"""The real ``anthropic`` package against a server of its form."""

import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import pytest
from anthropic.resources.beta.messages import Messages as BetaMessages
from anthropic.resources.messages import AsyncMessages, Messages

import llm_hub
from llm_hub.instrument.anthropic import provider_of
from llm_hub.testing import MemoryClient
from tests.providers import Providers, providers

ASKED: Any = {"model": "claude-test", "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]}
TOOLS: Any = [{"name": "search", "input_schema": {"type": "object", "properties": {}}}]
#: 200 plain, 512 from the cache, 100 into it.
TOKENS = {"input_tokens": 812, "output_tokens": 96, "cache_read_input_tokens": 512, "cache_write_input_tokens": 100}


@pytest.fixture(scope="module")
def server() -> Iterator[Providers]:
    with providers() as made:
        yield made


@pytest.fixture
def hub(llm_hub_client: MemoryClient) -> Iterator[MemoryClient]:
    gc.collect()  # an observation that an earlier test let go of ends now, not in this one
    llm_hub.instrument_anthropic()
    yield llm_hub_client
    llm_hub.uninstrument_anthropic()


@pytest.fixture
def client(server: Providers) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=server.url, api_key="sk", max_retries=0) as made:
        yield made


@pytest.fixture
async def async_client(server: Providers) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=server.url, api_key="sk", max_retries=0) as made:
        yield made


def only(hub: MemoryClient) -> dict[str, Any]:
    (event,) = hub.events
    return dict(event["data"])


def subset(data: dict[str, Any], expected: dict[str, Any]) -> bool:
    return {name: data.get(name) for name in expected} == expected


def test_a_message(hub: MemoryClient, client: anthropic.Anthropic) -> None:
    client.messages.create(**ASKED)
    data = only(hub)
    assert data.pop("duration_ms") > 0
    assert data == TOKENS | {
        "model": "claude-test",
        "provider": "anthropic",
        "operation": "chat",
        "max_tokens": 64,
        "status": "ok",
        "response_model": "claude-test",
        "finish_reason": "end_turn",
    }


async def test_asynchronous_beta_and_tools(
    hub: MemoryClient, client: anthropic.Anthropic, async_client: anthropic.AsyncAnthropic
) -> None:
    hub.capture_content = True
    await async_client.messages.create(**ASKED, tools=TOOLS, system="be brief")
    client.beta.messages.create(**ASKED)
    first, second = (event["data"] for event in hub.events)
    assert subset(first, TOKENS | {"finish_reason": "tool_use", "tools": TOOLS})
    assert first["input_messages"][0] == {"role": "system", "content": "be brief"}
    assert first["output_messages"][0]["content"][1]["name"] == "search"
    assert subset(second, TOKENS)


def test_a_stream(hub: MemoryClient, client: anthropic.Anthropic) -> None:
    hub.capture_content = True
    with client.messages.create(**ASKED, stream=True) as stream:
        kinds = [event.type for event in stream]
    assert kinds[0] == "message_start"
    data = only(hub)
    assert subset(data, TOKENS | {"stream": True, "finish_reason": "end_turn", "status": "ok"})
    assert 0 < data["time_to_first_token_ms"] <= data["duration_ms"]
    assert data["output_messages"][0]["content"][0]["text"] == "hello"


async def test_an_asynchronous_stream(hub: MemoryClient, async_client: anthropic.AsyncAnthropic) -> None:
    stream = await async_client.messages.create(**ASKED, stream=True)
    assert len([event async for event in stream]) >= 6
    assert subset(only(hub), TOKENS | {"stream": True})


def test_the_stream_helper(hub: MemoryClient, client: anthropic.Anthropic) -> None:
    with client.messages.stream(**ASKED) as stream:
        assert "".join(stream.text_stream) == "hello"
        assert stream.get_final_message().usage.output_tokens == 96
    assert subset(only(hub), TOKENS | {"stream": True, "finish_reason": "end_turn"})


async def test_the_asynchronous_stream_helper(hub: MemoryClient, async_client: anthropic.AsyncAnthropic) -> None:
    async with async_client.messages.stream(**ASKED) as stream:
        assert "".join([text async for text in stream.text_stream]) == "hello"
    assert subset(only(hub), TOKENS | {"stream": True, "finish_reason": "end_turn"})


def test_the_stream_helper_of_the_beta_left_in_the_middle(hub: MemoryClient, client: anthropic.Anthropic) -> None:
    with client.beta.messages.stream(**ASKED) as stream:
        next(iter(stream))
    del stream
    gc.collect()
    assert subset(only(hub), {"status": "ok", "stream": True})


@pytest.mark.parametrize(("status", "kind"), [(429, "rate_limit"), (500, "server_error"), (400, "bad_request")])
async def test_errors(
    hub: MemoryClient, client: anthropic.Anthropic, async_client: anthropic.AsyncAnthropic, status: int, kind: str
) -> None:
    asked = ASKED | {"model": f"status-{status}"}
    with pytest.raises(anthropic.APIStatusError):
        client.messages.create(**asked)
    with pytest.raises(anthropic.APIStatusError), client.messages.stream(**asked):
        pass
    with pytest.raises(anthropic.APIStatusError):
        async with async_client.messages.stream(**asked):
            pass
    assert len(hub.events) == 3
    for event in hub.events:
        assert subset(event["data"], {"status": "error", "error_type": kind, "http_status_code": status})


def test_an_error_within_a_stream(hub: MemoryClient, client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.APIStatusError):
        list(client.messages.create(**ASKED | {"model": "broken"}, stream=True))
    data = only(hub)
    assert data["status"] == "error"
    assert data["input_tokens"] == 812


def test_it_is_taken_off_exactly(llm_hub_client: MemoryClient, client: anthropic.Anthropic) -> None:
    owners = (Messages, AsyncMessages, BetaMessages)
    before = [dict(vars(owner)) for owner in owners]
    llm_hub.instrument_anthropic()
    llm_hub.instrument_anthropic()
    assert vars(Messages)["create"] is not before[0]["create"]
    llm_hub.uninstrument_anthropic()
    assert [dict(vars(owner)) for owner in owners] == before
    client.messages.create(**ASKED)
    assert llm_hub_client.events == []


def test_who_answers(client: anthropic.Anthropic) -> None:
    class AnthropicBedrock:
        messages: Any = None

    class Resource:
        _client = AnthropicBedrock()

    assert provider_of(client.messages) == "anthropic"
    assert provider_of(Resource()) == "aws"


def test_answers_that_the_host_reads_itself(hub: MemoryClient, client: anthropic.Anthropic) -> None:
    hub.capture_content = True
    create = client.messages.with_streaming_response.create
    with create(**ASKED) as answer:
        assert "hello" in answer.parse().to_json()
    with create(**ASKED, stream=True) as answer:
        assert "message_stop" in "".join(answer.iter_lines())
    with create(**ASKED, stream=True) as answer:
        assert len(list(answer.parse())) == 7
    assert len(hub.events) == 3
    for event in hub.events:
        assert subset(event["data"], TOKENS | {"finish_reason": "end_turn", "response_model": "claude-test"})
        assert event["data"]["output_messages"][0]["content"][0]["text"] == "hello"
    assert "time_to_first_token_ms" in hub.events[1]["data"]


async def test_asynchronous_answers_that_the_host_reads_itself(
    hub: MemoryClient, async_client: anthropic.AsyncAnthropic
) -> None:
    create = async_client.messages.with_streaming_response.create
    async with create(**ASKED) as answer:
        assert "hello" in await answer.text()
    async with create(**ASKED, stream=True) as answer:
        assert b"message_stop" in b"".join([piece async for piece in answer.iter_bytes()])
    assert len(hub.events) == 2
    assert all(subset(event["data"], TOKENS) for event in hub.events)
