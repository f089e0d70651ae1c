"""Spans, what is inherited, and traces that go on in other services."""

import asyncio
import threading
from contextvars import copy_context

import pytest

import llm_hub
from llm_hub.context import CURRENT, EMPTY
from llm_hub.testing import MemoryClient

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_nested_spans_are_one_tree(llm_hub_client: MemoryClient) -> None:
    hub = llm_hub_client
    with hub.span("answer", kind="chain", session_id="s-1", user_id="u-1", project="bot") as outer:
        with hub.span("search", event_type="retrieval.query", data={"index": "docs"}) as inner:
            inner.set(returned=3)
        hub.capture("llm.request", {"model": "gpt-4o"})
    assert CURRENT.get() is EMPTY
    search, request, answer = hub.events
    assert {event["trace_id"] for event in hub.events} == {outer.trace_id}
    assert "parent_span_id" not in answer
    assert (search["parent_span_id"], search["span_id"]) == (outer.span_id, inner.span_id)
    assert request["parent_span_id"] == outer.span_id
    assert len({event["span_id"] for event in hub.events}) == 3
    assert {(event["session_id"], event["user_id"], event["project"]) for event in hub.events} == {
        ("s-1", "u-1", "bot")
    }
    assert search["type"] == "retrieval.query"
    assert search["data"] | {"duration_ms": 0} == {"index": "docs", "returned": 3, "duration_ms": 0, "status": "ok"}
    assert answer["data"] | {"duration_ms": 0} == {"name": "answer", "kind": "chain", "duration_ms": 0, "status": "ok"}
    assert answer["data"]["duration_ms"] >= search["data"]["duration_ms"] > 0


def test_without_a_span_there_is_no_trace(llm_hub_client: MemoryClient) -> None:
    llm_hub_client.capture("product.event", {"name": "x"})
    assert "trace_id" not in llm_hub_client.events[0]
    llm_hub_client.capture("product.event", {"name": "x"}, trace_id=TRACE)
    assert len(llm_hub_client.events[1]["span_id"]) == 16


def test_an_error_is_told_and_goes_on(llm_hub_client: MemoryClient) -> None:
    with pytest.raises(KeyError), llm_hub_client.span("work"):
        raise KeyError("missing")
    with pytest.raises(TimeoutError), llm_hub_client.span("search", event_type="tool.call"):
        raise TimeoutError("late")
    work, tool = (event["data"] for event in llm_hub_client.events)
    assert (work["status"], work["error_type"], work["status_message"]) == ("error", "KeyError", "KeyError: 'missing'")
    assert (tool["tool_name"], tool["status"], tool["error_type"]) == ("search", "error", "TimeoutError")


def test_what_a_span_can_say(llm_hub_client: MemoryClient) -> None:
    span = llm_hub_client.span("job", attributes={"region": "eu"}, data={"feature": "f"}).start()
    span.event("fetched", rows=3).fail("no good").end()
    span.end()
    (event,) = llm_hub_client.events
    assert event["attributes"] == {"region": "eu"}
    assert event["data"]["events"][0] | {"offset_ms": 0} == {"name": "fetched", "offset_ms": 0, "rows": 3}
    assert (event["data"]["status"], event["data"]["status_message"]) == ("error", "no good")
    llm_hub_client.span("never begun").end()
    assert len(llm_hub_client.events) == 1


def test_contexts_nest_and_the_callers_word_wins(llm_hub_client: MemoryClient) -> None:
    hub = llm_hub_client
    with llm_hub.context(user_id="u-1", data={"experiment_id": "e", "variant": "a"}, attributes={"x": "1"}):
        with llm_hub.context(session_id="s-1", data={"variant": "b"}):
            hub.capture("product.event", {"name": "n", "experiment_id": "mine"}, user_id="u-2", attributes={"y": "2"})
        with hub.span("work"):
            pass
    first, second = hub.events
    assert first["data"] == {"experiment_id": "mine", "variant": "b", "name": "n"}
    assert (first["user_id"], first["session_id"], first["attributes"]) == ("u-2", "s-1", {"x": "1", "y": "2"})
    assert second["data"]["variant"] == "a"
    assert second["user_id"] == "u-1"


async def test_tasks_do_not_mix(llm_hub_client: MemoryClient) -> None:
    async def one(number: int) -> None:
        async with llm_hub_client.span("outer", user_id=f"u-{number}") as outer:
            await asyncio.sleep(0)
            async with llm_hub_client.span("inner"):
                await asyncio.sleep(0)
            assert outer.trace_id == CURRENT.get().trace_id

    await asyncio.gather(*(one(number) for number in range(20)))
    outers = {event["span_id"]: event for event in llm_hub_client.events if event["data"]["name"] == "outer"}
    inners = [event for event in llm_hub_client.events if event["data"]["name"] == "inner"]
    assert len(outers) == len(inners) == 20
    for inner in inners:
        outer = outers[inner["parent_span_id"]]
        assert (inner["trace_id"], inner["user_id"]) == (outer["trace_id"], outer["user_id"])


def test_a_thread_has_the_context_it_is_given(llm_hub_client: MemoryClient) -> None:
    with llm_hub_client.span("outer") as outer:
        context = copy_context()
        alone = threading.Thread(target=llm_hub_client.capture, args=("product.event", {"name": "alone"}))
        given = threading.Thread(target=context.run, args=(llm_hub_client.capture, "product.event", {"name": "given"}))
        for thread in (alone, given):
            thread.start()
            thread.join()
    alone_event, given_event = llm_hub_client.of("product.event")
    assert "trace_id" not in alone_event
    assert given_event["parent_span_id"] == outer.span_id


def test_a_span_left_in_another_context_breaks_nothing(llm_hub_client: MemoryClient) -> None:
    span = llm_hub_client.span("moved")
    copy_context().run(span.__enter__)
    span.__exit__(None, None, None)
    assert len(llm_hub_client.events) == 1


def test_traceparent_goes_out_and_comes_in(llm_hub_client: MemoryClient) -> None:
    with llm_hub_client.span("client", kind="client") as outer:
        headers = llm_hub.inject({"accept": "*/*"})
    assert headers == {"accept": "*/*", "traceparent": f"00-{outer.trace_id}-{outer.span_id}-01"}
    with llm_hub.extract(headers), llm_hub_client.span("server", kind="server"):
        pass
    server = llm_hub_client.events[-1]
    assert (server["trace_id"], server["parent_span_id"]) == (outer.trace_id, outer.span_id)
    assert llm_hub.inject({}) == {}


@pytest.mark.parametrize(
    "headers",
    [
        {"TraceParent": f"00-{TRACE}-{SPAN}-01"},
        {b"traceparent": f" 00-{TRACE}-{SPAN}-00 ".encode()},
        {"traceparent": f"01-{TRACE}-{SPAN}-01-more"},
    ],
)
def test_valid_headers(headers: dict[str, str]) -> None:
    with llm_hub.extract(headers):
        assert (CURRENT.get().trace_id, CURRENT.get().span_id) == (TRACE, SPAN)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "nonsense",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01-x",
    ],
)
def test_invalid_headers_change_nothing(value: str) -> None:
    with llm_hub.extract({"traceparent": value}):
        assert CURRENT.get().trace_id is None


def test_the_default_client(monkeypatch: pytest.MonkeyPatch) -> None:
    before = llm_hub.set_client(None)
    try:
        first, second = MemoryClient(), MemoryClient()
        assert llm_hub.get_client() is first
        assert llm_hub.set_client(second) is first
        assert llm_hub.get_client() is second
        second.close()
        monkeypatch.setenv("LLM_HUB_URL", "http://127.0.0.1:1")
        monkeypatch.setenv("LLM_HUB_KEY", "lh_x")
        made = llm_hub.get_client()
        assert made.url == "http://127.0.0.1:1"
        assert llm_hub.get_client() is made
        made.close()
        first.close()
    finally:
        llm_hub.set_client(before)
