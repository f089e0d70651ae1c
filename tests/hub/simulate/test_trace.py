"""Traces: one root, everything inside it, in the order of the platform."""

from collections import Counter
from datetime import datetime

from hub.simulate import Event
from hub.simulate.config import to_us
from tests.hub.simulate.conftest import is_root

Traces = dict[str, list[Event]]


def ended(event: Event) -> int:
    return to_us(datetime.fromisoformat(event["time"]))


def began(event: Event) -> int:
    return ended(event) - round(event["data"].get("duration_ms", 0) * 1000)


def test_every_trace_has_one_root_and_its_spans_lie_within(traces: Traces) -> None:
    assert len(traces) > 1000
    for events in traces.values():
        (root,) = [event for event in events if is_root(event)]
        for child in events:
            if "parent_span_id" in child:
                assert child["parent_span_id"] == root["span_id"]
                assert began(root) <= began(child) <= ended(child) <= ended(root)


def test_span_ids_are_unique_and_of_the_right_form(traces: Traces) -> None:
    spans = [event["span_id"] for events in traces.values() for event in events if "span_id" in event]
    assert len(set(spans)) == len(spans)
    assert all(len(span) == 16 and int(span, 16) >= 0 for span in spans)
    assert all(len(trace) == 32 for trace in traces)


def test_a_trace_goes_through_the_platform_in_order(traces: Traces) -> None:
    order = ["gateway.route", "retrieval.query", "guardrail.check", "llm.request"]
    for events in traces.values():
        first = {}
        for event in events:
            first.setdefault(event["type"], ended(event))
        times = [first[kind] for kind in order if kind in first]
        assert times == sorted(times)
        assert "gateway.route" in first


def test_events_of_a_trace_share_who_and_where(traces: Traces) -> None:
    for events in traces.values():
        for name in ("project", "environment", "user_id", "session_id"):
            assert len({event[name] for event in events}) == 1


def test_a_blocked_input_is_not_answered(traces: Traces) -> None:
    blocked = 0
    for events in traces.values():
        verdicts = [event["data"]["verdict"] for event in events if event["type"] == "guardrail.check"]
        if "block" in verdicts:
            blocked += 1
            assert not any(event["type"] == "llm.request" for event in events)
    assert blocked


def test_failed_calls_are_tried_again_and_then_elsewhere(traces: Traces) -> None:
    attempts: Counter[int] = Counter()
    for events in traces.values():
        calls = [event for event in events if event["type"] == "llm.request"]
        attempts.update(call["data"]["attempt"] for call in calls)
        third = [call for call in calls if call["data"]["attempt"] == 3]
        fallbacks = [event for event in events if event["data"].get("policy") == "fallback"]
        assert len(third) == len(fallbacks)
        for call, route in zip(third, fallbacks, strict=True):
            assert call["data"]["model"] == route["data"]["model"] != route["data"]["fallback_from"]
    assert attempts[1] > attempts[2] > 0


def test_agents_call_several_times_and_add_up(traces: Traces) -> None:
    runs = 0
    for events in traces.values():
        run = next((event["data"] for event in events if event["type"] == "agent.run"), None)
        if run is None:
            continue
        runs += 1
        good = [e["data"] for e in events if e["type"] == "llm.request" and e["data"]["status"] == "ok"]
        assert run["llm_calls"] == len(good)
        assert run["tool_calls"] == sum(event["type"] == "tool.call" for event in events)
        assert run["input_tokens"] == sum(data["input_tokens"] for data in good)
        assert run["output_tokens"] == sum(data["output_tokens"] for data in good)
    assert runs > 10


def test_judgements_and_ratings_point_at_an_answer(traces: Traces) -> None:
    judged = 0
    for events in traces.values():
        answers = {
            event["id"] for event in events if event["type"] == "llm.request" and event["data"]["status"] == "ok"
        }
        for event in events:
            if event["type"] in ("evaluation.score", "feedback.rating"):
                judged += 1
                assert event["data"]["target_event_id"] in answers
    assert judged > 50


def test_tokens_and_times_of_a_call_agree(calm: tuple[Event, ...]) -> None:
    for event in calm:
        data = event["data"]
        if event["type"] != "llm.request" or data["status"] != "ok":
            continue
        assert data.get("cache_read_input_tokens", 0) <= data["input_tokens"]
        assert data.get("reasoning_output_tokens", 0) <= data["output_tokens"]
        assert data.get("time_to_first_token_ms", 0) <= data["duration_ms"]
        assert ("time_to_first_token_ms" in data) == data["stream"]
