"""The decorator on every kind of function."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import llm_hub
from llm_hub.context import CURRENT, EMPTY
from llm_hub.testing import MemoryClient


def names(client: MemoryClient) -> list[str]:
    return [event["data"]["name"] for event in client.events]


def test_functions_with_and_without_arguments(llm_hub_client: MemoryClient) -> None:
    @llm_hub.observe
    def plain(number: int) -> int:
        """Doubles."""
        return number * 2

    @llm_hub.observe()
    def called() -> int:
        return plain(4)

    @llm_hub.observe(name="named", kind="chain", data={"feature": "f"}, capture_input=True, capture_output=True)
    def named(a: int, *, b: int) -> int:
        return a + b + called()

    assert (plain.__name__, plain.__doc__) == ("plain", "Doubles.")
    assert named(1, b=2) == 11
    assert [name.split(".")[-1] for name in names(llm_hub_client)] == ["plain", "called", "named"]
    inner, middle, outer = llm_hub_client.events
    assert inner["parent_span_id"] == middle["span_id"]
    assert middle["parent_span_id"] == outer["span_id"]
    assert outer["data"]["arguments"] == {"a": 1, "b": 2}
    assert (outer["data"]["result"], outer["data"]["kind"], outer["data"]["feature"]) == (11, "chain", "f")
    assert "arguments" not in inner["data"]


def test_methods_and_errors(llm_hub_client: MemoryClient) -> None:
    class Service:
        @llm_hub.observe(event_type="tool.call", capture_input=True)
        def work(self, *rest: int) -> None:
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Service().work(1, 2)
    with pytest.raises(TypeError):
        Service().work(odd=1)  # type: ignore[call-arg]
    event, odd = llm_hub_client.events
    assert event["data"]["arguments"] == {"rest": [1, 2]}
    assert odd["data"]["arguments"] == {"odd": 1}
    assert event["data"]["tool_name"].endswith("Service.work")
    assert event["data"]["error_type"] == "ValueError"


async def test_coroutines(llm_hub_client: MemoryClient) -> None:
    @llm_hub.observe(capture_output=True, name="inner")
    async def inner(number: int) -> int:
        await asyncio.sleep(0)
        return number

    @llm_hub.observe(name="outer")
    async def outer() -> list[int]:
        return list(await asyncio.gather(inner(1), inner(2)))

    assert inspect.iscoroutinefunction(outer)
    assert await outer() == [1, 2]
    first, second, whole = llm_hub_client.events
    assert first["parent_span_id"] == second["parent_span_id"] == whole["span_id"]
    assert {first["data"]["result"], second["data"]["result"]} == {1, 2}


def test_generators_are_current_only_while_they_run(llm_hub_client: MemoryClient) -> None:
    @llm_hub.observe(name="stream", capture_output=True)
    def stream() -> Iterator[int]:
        with llm_hub_client.span("within"):
            llm_hub_client.capture("product.event", {"name": "first"})
            yield 1
            llm_hub_client.capture("product.event", {"name": "second"})
            yield 2

    assert inspect.isgeneratorfunction(stream)
    items = []
    for item in stream():
        items.append(item)
        assert CURRENT.get() is EMPTY
        llm_hub_client.capture("product.event", {"name": "outside"})
    assert items == [1, 2]
    by_name: dict[str, Any] = {event["data"]["name"]: event for event in llm_hub_client.events}
    assert "trace_id" not in by_name["outside"]
    assert by_name["within"]["parent_span_id"] == by_name["stream"]["span_id"]
    assert by_name["first"]["parent_span_id"] == by_name["second"]["parent_span_id"] == by_name["within"]["span_id"]
    assert by_name["stream"]["data"]["result"] == [1, 2]
    assert names(llm_hub_client)[-1] == "stream"


def test_generators_keep_their_protocol(llm_hub_client: MemoryClient) -> None:
    seen: list[Any] = []

    @llm_hub.observe(name="talk")
    def talk() -> Any:
        try:
            seen.append((yield "question"))
        except KeyError as error:
            seen.append(error)
        try:
            yield "again"
        finally:
            seen.append("closed")
        return "over"

    talking = talk()
    assert next(talking) == "question"
    assert talking.send("answer") == "again"
    with pytest.raises(StopIteration) as stop:
        next(talking)
    assert stop.value.value == "over"
    talking = talk()
    next(talking)
    assert talking.throw(KeyError("k")) == "again"
    talking.close()
    assert [type(item) for item in seen] == [str, str, KeyError, str]
    assert [event["data"]["status"] for event in llm_hub_client.events] == ["ok", "ok"]

    failing = talk()
    next(failing)
    with pytest.raises(RuntimeError):
        failing.throw(RuntimeError("r"))
    assert llm_hub_client.events[-1]["data"]["error_type"] == "RuntimeError"


async def test_asynchronous_generators(llm_hub_client: MemoryClient) -> None:
    @llm_hub.observe(name="stream", capture_output=True)
    async def stream(most: int) -> AsyncIterator[int]:
        for number in range(most):
            await asyncio.sleep(0)
            llm_hub_client.capture("product.event", {"name": "step"})
            yield number
        if most > 2:
            raise ValueError("too many")

    assert inspect.isasyncgenfunction(stream)
    assert [item async for item in stream(2)] == [0, 1]
    with pytest.raises(ValueError, match="too many"):
        [item async for item in stream(3)]
    left = stream(9)
    assert await anext(left) == 0
    await left.aclose()  # type: ignore[attr-defined]
    assert CURRENT.get() is EMPTY
    streams = [event for event in llm_hub_client.events if event["data"]["name"] == "stream"]
    assert [event["data"]["result"] for event in streams] == [[0, 1], [0, 1, 2], [0]]
    assert [event["data"]["status"] for event in streams] == ["ok", "error", "ok"]
    spans = {event["span_id"] for event in streams}
    assert {event["parent_span_id"] for event in llm_hub_client.of("product.event")} == spans


async def test_asynchronous_generators_keep_their_protocol(llm_hub_client: MemoryClient) -> None:
    @llm_hub.observe
    async def talk() -> Any:
        try:
            yield (yield "question")
        except KeyError:
            yield "caught"

    talking = talk()
    assert await talking.asend(None) == "question"
    assert await talking.asend("echo") == "echo"
    assert await talking.athrow(KeyError("k")) == "caught"
    await talking.aclose()
    assert len(llm_hub_client.events) == 1
