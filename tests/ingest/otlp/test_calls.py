"""A call that two instrumentations report counts once, and the trace shows it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ingest.otlp.calls import Call
from ingest.otlp.waiting import Waiting
from tests.ingest.otlp.written import NOW, PLAIN, decode, events, span, traces

OUTER = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o"}
INNER = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}


def call(attributes: dict[str, Any], tokens: tuple[int | None, int | None] = (None, None)) -> dict[str, Any]:
    names = ("llm.token_count.prompt", "llm.token_count.completion")
    if "gen_ai.operation.name" in attributes:
        names = ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")
    return attributes | {name: count for name, count in zip(names, tokens, strict=True) if count is not None}


def request(*scopes: list[dict[str, Any]]) -> dict[str, Any]:
    """Each list of spans is of a scope of its own."""
    made = traces()
    made["resourceSpans"][0]["scopeSpans"] = [
        {"scope": {"name": f"scope {number}"}, "spans": spans} for number, spans in enumerate(scopes)
    ]
    return made


def outcome(made: dict[str, Any]) -> dict[str, str]:
    """Span → its type, and which span counts for it."""
    found = {}
    for event in events(decode(made)):
        of = event["attributes"].get("llm_hub.reconciled")
        found[event["span_id"]] = event["type"] + (f" of {int(of, 16)}" if of else "")
    return {int(key, 16): value for key, value in sorted(found.items())}  # type: ignore[misc]


def test_a_wrapper_and_the_call_in_it_count_once() -> None:
    wrapper = span(1, call(OUTER | {"llm.cost.total": 0.5, "user.id": "u-1"}, (100, 20)), start_ms=1000)
    made = request([wrapper], [span(2, call(INNER, (100, 20)), parent=1, start_ms=990, end_ms=5)])
    assert outcome(made) == {1: "span of 2", 2: "llm.request"}
    outer, inner = sorted(events(decode(made)), key=lambda event: event["span_id"])
    assert outer["data"]["kind"] == "llm"
    assert outer["data"]["name"] == "span 1"
    assert (outer["data"]["model"], outer["data"]["input_tokens"]) == ("gpt-4o", 100)
    assert "cost_usd" not in outer["data"]
    assert outer["attributes"]["cost_usd"] == "0.5"
    assert inner["user_id"] == "u-1"


def test_the_one_that_knows_the_tokens_counts() -> None:
    made = request([span(1, call(OUTER, (100, 20)))], [span(2, call(INNER), parent=1, start_ms=900)])
    assert outcome(made) == {1: "llm.request", 2: "span of 1"}
    neither = request([span(1, call(OUTER))], [span(2, call(INNER), parent=1, start_ms=900)])
    assert outcome(neither) == {1: "span of 2", 2: "llm.request"}


def test_spans_between_the_two_do_not_hide_it() -> None:
    chain = span(2, {"openinference.span.kind": "CHAIN"}, parent=1)
    made = request([span(1, call(OUTER, (100, 20))), chain], [span(3, call(INNER, (100, 20)), parent=2)])
    assert outcome(made) == {1: "span of 3", 2: "span", 3: "llm.request"}


def test_every_retry_within_a_wrapper_counts() -> None:
    inner = [span(number, call(INNER, (100, 20)), parent=1, start_ms=1000 - number) for number in (2, 3)]
    assert outcome(request([span(1, call(OUTER, (100, 20)))], inner)) == {
        1: "span of 2",
        2: "llm.request",
        3: "llm.request",
    }


def test_of_three_reports_one_counts() -> None:
    spans = [
        [span(1, call(OUTER, (5, 5)))],
        [span(2, call(OUTER, (5, 5)), parent=1)],
        [span(3, call(INNER, (5, 5)), parent=2)],
    ]
    assert outcome(request(*spans)) == {1: "span of 3", 2: "span of 3", 3: "llm.request"}


@pytest.mark.parametrize(
    ("outer", "inner", "alike"),
    [
        ("gpt-4o", "gpt-4o", True),
        ("openai/gpt-4o", "gpt-4o", True),
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt-4o", "claude-sonnet-4-0", False),
    ],
)
def test_only_the_same_model_is_the_same_call(outer: str, inner: str, alike: bool) -> None:
    spans = (
        [span(1, call(OUTER | {"llm.model_name": outer}, (100, 20)))],
        [span(2, call(INNER | {"gen_ai.request.model": inner}, (100, 20)), parent=1)],
    )
    assert outcome(request(*spans)) == {1: "span of 2" if alike else "llm.request", 2: "llm.request"}


def test_what_lies_outside_its_time_is_another_call() -> None:
    later = span(2, call(INNER, (100, 20)), parent=1, start_ms=500, end_ms=-3000)
    assert outcome(request([span(1, call(OUTER, (100, 20)))], [later])) == {1: "llm.request", 2: "llm.request"}


def test_of_one_instrumentation_the_tokens_must_agree() -> None:
    def nested(outer: tuple[int, int]) -> dict[str, Any]:
        return request([span(1, call(INNER, outer)), span(2, call(INNER, (60, 10)), parent=1)])

    assert outcome(nested((60, 10))) == {1: "span of 2", 2: "llm.request"}
    assert outcome(nested((160, 30))) == {1: "llm.request", 2: "llm.request"}


def test_embeddings_too_and_never_with_calls() -> None:
    outer = {"openinference.span.kind": "EMBEDDING", "embedding.model_name": "e", "llm.token_count.prompt": 5}
    inner = {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "e", "gen_ai.usage.input_tokens": 5}
    assert outcome(request([span(1, outer)], [span(2, inner, parent=1)])) == {1: "span of 2", 2: "llm.embedding"}
    mixed = request([span(1, call(OUTER, (5, 5)))], [span(2, inner, parent=1)])
    assert outcome(mixed) == {1: "llm.request", 2: "llm.embedding"}
    kinds = [
        event["data"].get("kind") for event in events(decode(request([span(1, outer)], [span(2, inner, parent=1)])))
    ]
    assert kinds == ["embedding", None]


def test_siblings_and_calls_of_an_agent_are_calls_of_their_own() -> None:
    agent = span(1, {"openinference.span.kind": "AGENT", "llm.token_count.prompt": 200})
    calls = [span(number, call(INNER, (100, 20)), parent=1) for number in (2, 3)]
    assert outcome(request([agent], calls)) == {1: "agent.run", 2: "llm.request", 3: "llm.request"}


def test_a_wrapper_without_a_model_wraps_any() -> None:
    spans = [span(1, {"openinference.span.kind": "LLM"})], [span(2, call(INNER, (1, 1)), parent=1)]
    assert outcome(request(*spans)) == {1: "span of 2", 2: "llm.request"}


# --- the two in different requests


def test_a_wrapper_that_comes_later_is_recognised() -> None:
    inner = request([span(2, call(INNER, (100, 20)), parent=1, start_ms=900)])
    outer = request([span(1, call(OUTER, (100, 20)), parent=7)])
    assert outcome(inner) == {2: "llm.request"}
    assert outcome(outer) == {1: "span of 2"}
    assert outcome(outer) == {1: "span of 2"}, "a retry says the same"


def test_spans_between_the_two_may_come_on_their_own() -> None:
    chain = {"openinference.span.kind": "CHAIN"}
    assert outcome(request([span(4, call(INNER, (100, 20)), parent=3, start_ms=900)])) == {4: "llm.request"}
    assert outcome(request([span(3, chain, parent=2, start_ms=950)])) == {3: "span"}
    together = request([span(2, chain, parent=1), span(1, call(OUTER, (100, 20)))])
    assert outcome(together) == {1: "span of 4", 2: "span"}


def test_a_wrapper_of_a_wrapper_that_comes_later_still() -> None:
    assert outcome(request([span(3, call(INNER, (5, 5)), parent=2)])) == {3: "llm.request"}
    assert outcome(request([span(2, call(OUTER, (5, 5)), parent=1)])) == {2: "span of 3"}
    assert outcome(request([span(1, call(OUTER, (5, 5)))])) == {1: "span of 3"}


def test_other_tenants_other_models_and_late_ones_are_no_wrappers() -> None:
    inner = request([span(2, call(INNER, (100, 20)), parent=1)])
    outer = request([span(1, call(OUTER, (100, 20)))])
    other = request([span(1, call(OUTER | {"llm.model_name": "claude-sonnet-4-0"}, (100, 20)))])
    outcome(inner)
    assert outcome(other) == {1: "llm.request"}
    (foreign,) = events(decode(outer, arrival=replace(PLAIN, tenant="other")))
    assert foreign["type"] == "llm.request"
    (late,) = events(decode(outer, arrival=replace(PLAIN, received_at=NOW + timedelta(minutes=11))))
    assert late["type"] == "llm.request"
    assert outcome(outer) == {1: "span of 2"}


def test_a_wrapper_that_alone_knows_the_tokens_counts_them() -> None:
    assert outcome(request([span(2, call(INNER), parent=1)])) == {2: "llm.request"}
    assert outcome(request([span(1, call(OUTER, (100, 20)))])) == {1: "llm.request"}


def test_only_so_many_are_waited_for() -> None:
    one = Call(b"1" * 8, "llm.request", frozenset(), (1, 1), "", 0, 1)
    waiting = Waiting(most=2)
    for number in range(3):
        waiting.put(bytes([number]), [one], 0.0)
    assert waiting.below([bytes([number]) for number in range(3)], 0.0) == {1: [one], 2: [one]}
