"""Every named fault shows in its window, in the series its label names, and the label says when, who and why."""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from statistics import fmean

import numpy as np
import pytest

from hub.simulate import FAULT_KINDS, Event, Label, PlannedFault, Simulation, SimulationConfig
from tests.hub.simulate.conftest import START, simulated

MINUTES, RATE = 20, 60


def label_of(kind: str) -> Label:
    config = SimulationConfig(seed=7, rate=RATE, start=START, duration=timedelta(minutes=MINUTES), scenario=kind)
    (label,) = Simulation(config).labels()
    return label


def events_of(kind: str) -> tuple[Event, ...]:
    return simulated(kind, seed=7, rate=RATE, minutes=MINUTES)


def split(kind: str, type_: str, **where: str) -> tuple[list[Event], list[Event]]:
    """Events of a type within the window and outside of it."""
    label = label_of(kind)
    chosen = [
        event
        for event in events_of(kind)
        if event["type"] == type_ and all(event.get(name, event["data"].get(name)) == to for name, to in where.items())
    ]
    within = [event for event in chosen if label.start <= event["time"] < label.end]
    return within, [event for event in chosen if event["time"] < label.start]


def values(events: Iterable[Event], name: str) -> Iterator[float]:
    return (event["data"][name] for event in events if name in event["data"])


def share(events: list[Event], test: Callable[[Event], bool]) -> float:
    return sum(map(test, events)) / len(events)


def is_error(event: Event) -> bool:
    return bool(event["data"]["status"] == "error")


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_the_label_tells_the_truth(kind: str) -> None:
    label = label_of(kind)
    assert label.kind == kind
    assert label.tenant == "default"
    assert "2026-11-02T09:08:00" <= label.start < label.end <= "2026-11-02T09:13:00.000001Z"
    assert set(label.cause) == {"kind", "name"}
    assert label.severity in ("critical", "high", "medium")
    assert set(label.as_dict()) == {
        "kind", "start", "end", "tenant", "series", "measures", "cause", "severity",
    }  # fmt: skip
    assert any(
        event.get(name, event["data"].get(name)) == value
        for event in events_of(kind)
        for name, value in label.series.items()
        if label.start <= event["time"] < label.end
    )


def test_provider_outage() -> None:
    within, before = split("provider_outage", "llm.request", **label_of("provider_outage").series)
    assert share(before, is_error) < 0.05
    assert share(within, is_error) > 0.5
    routes, _ = split("provider_outage", "gateway.route", policy="fallback")
    assert len(routes) > 20


def test_latency_creep() -> None:
    within, before = split("latency_creep", "llm.request", **label_of("latency_creep").series)
    late = within[len(within) // 2 :]
    assert np.quantile([*values(late, "duration_ms")], 0.95) > 2 * np.quantile([*values(before, "duration_ms")], 0.95)
    queued, ordinary = split("latency_creep", "serving.sample")
    assert fmean(values(queued, "queue_depth")) > fmean(values(ordinary, "queue_depth")) + 3


def test_cost_spike_user() -> None:
    label = label_of("cost_spike_user")
    within, before = split("cost_spike_user", "llm.request", **label.series)
    assert len(within) > 10 * max(1, len(before))
    whole, _ = split("cost_spike_user", "llm.request")
    assert sum(values(within, "input_tokens")) > 0.4 * sum(values(whole, "input_tokens"))


def test_prompt_regression() -> None:
    label = label_of("prompt_regression")
    within, before = split("prompt_regression", "evaluation.score", project=label.series["project"])
    new = [event for event in within if event["data"]["prompt_version"] == label.series["prompt_version"]]
    assert fmean(values(before, "score")) - fmean(values(new, "score")) > 0.2
    deployed, rolled_back = (
        event
        for event in events_of("prompt_regression")
        if event["type"] == "registry.deployment" and event["time"] >= label.start and "v" in event["data"]["version"]
    )
    assert (deployed["time"], deployed["data"]["action"]) == (label.start, "deployed")
    assert (rolled_back["time"], rolled_back["data"]["action"]) == (label.end, "rolled_back")
    assert label.cause["name"] == f"{deployed['data']['name']}@{deployed['data']['version']}"


def test_guardrail_storm() -> None:
    within, before = split("guardrail_storm", "guardrail.check", **label_of("guardrail_storm").series)
    assert share(before, lambda event: event["data"]["verdict"] == "block") < 0.04
    assert share(within, lambda event: event["data"]["verdict"] == "block") > 0.3


def test_cache_collapse() -> None:
    within, before = split("cache_collapse", "llm.request", **label_of("cache_collapse").series)

    def cached(events: list[Event]) -> float:
        return sum(values(events, "cache_read_input_tokens")) / sum(values(events, "input_tokens"))

    assert cached(before) > 0.2
    assert cached(within) < 0.02
    assert label_of("cache_collapse").cause["kind"] == "deployment"


def test_token_leak() -> None:
    within, before = split("token_leak", "llm.request", **label_of("token_leak").series)
    late = within[len(within) // 2 :]
    assert fmean(values(late, "input_tokens")) > 3 * fmean(values(before, "input_tokens"))


def test_retrieval_degradation() -> None:
    project = label_of("retrieval_degradation").series["project"]
    within, before = split("retrieval_degradation", "retrieval.query", project=project)
    assert fmean(values(within, "max_score")) < 0.6 * fmean(values(before, "max_score"))
    assert fmean(values(within, "duration_ms")) > 3 * fmean(values(before, "duration_ms"))


def test_calm_traffic_shows_nothing_of_the_kind() -> None:
    calls = [event for event in events_of("calm") if event["type"] == "llm.request"]
    assert share(calls, is_error) < 0.05


def test_asked_for_faults_happen_when_asked() -> None:
    fault = PlannedFault("token_leak", 60, 30, tenant="acme")
    config = SimulationConfig(faults=(fault,), tenants=("default", "acme"))
    (label,) = Simulation(config).labels()
    assert (label.start, label.end) == ("2026-11-02T00:01:00.000000Z", "2026-11-02T00:01:30.000000Z")
    assert label.tenant == "acme"


def test_a_fault_after_the_end_has_no_label() -> None:
    assert not Simulation(SimulationConfig(faults=(PlannedFault("token_leak", 86_400, 30),))).labels()
