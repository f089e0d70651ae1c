"""The simulation as a whole: the same again, in order, complete, as its contract says."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from genai_prices import Usage, calc_price

from core.errors import SettingsError
from hub.simulate import FAULT_KINDS, Event, PlannedFault, Simulation, SimulationConfig, to_ndjson
from hub.simulate.config import to_us
from hub.simulate.platform import EMBEDDING_MODEL, EMBEDDING_PROVIDER, MODELS
from schemas.catalogue import EVENT_TYPES
from schemas.envelope import Envelope

SHORT = SimulationConfig(seed=3, rate=80, duration=timedelta(minutes=2), scenario="mixed", tenants=("acme", "globex"))


def body(config: SimulationConfig, batch_size: int = 1000) -> bytes:
    return b"".join(to_ndjson(batch.events) for batch in Simulation(config).batches(batch_size))


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert body(SHORT) == body(SHORT)


def test_another_seed_gives_other_events() -> None:
    assert body(SHORT) != body(SimulationConfig(seed=4, rate=80, duration=timedelta(minutes=2)))


def test_batches_of_any_size_hold_the_same_events() -> None:
    def ids(batch_size: int) -> set[str]:
        return {event["id"] for batch in Simulation(SHORT).batches(batch_size) for event in batch.events}

    assert ids(7) == ids(5000)


def test_batches_are_of_one_tenant_each_and_in_the_order_of_time() -> None:
    latest: dict[str, str] = {}
    for batch in Simulation(SHORT).batches(300):
        times = [event["time"] for event in batch.events]
        assert 0 < len(times) <= 300
        assert times == sorted(times)
        assert latest.get(batch.tenant, "") <= times[0]
        assert to_us(datetime.fromisoformat(times[0])) == batch.first_us
        assert to_us(datetime.fromisoformat(times[-1])) == batch.last_us
        latest[batch.tenant] = times[-1]
    assert set(latest) == {"acme", "globex"}


def test_a_batch_may_be_bounded_in_time() -> None:
    for batch in Simulation(SHORT).batches(5000, max_span_us=250_000):
        assert batch.first_us // 250_000 == batch.last_us // 250_000


def test_all_events_lie_within_the_duration(calm: tuple[Event, ...]) -> None:
    assert calm[0]["time"] >= "2026-11-02T09:00:00"
    assert calm[-1]["time"] < "2026-11-02T09:10:00"


def test_every_type_of_the_catalogue_occurs(calm: tuple[Event, ...]) -> None:
    assert {event["type"] for event in calm} == set(EVENT_TYPES)


def test_every_event_conforms_to_its_schema(calm: tuple[Event, ...]) -> None:
    for event in calm[::3]:
        Envelope.model_validate(event)
        model = EVENT_TYPES[event["type"]].model_validate(event["data"])
        assert not model.model_extra, f"{event['type']} has fields that its schema does not name"


def test_no_event_has_an_empty_field(calm: tuple[Event, ...]) -> None:
    for event in calm:
        assert None not in event.values()
        assert None not in event["data"].values()


def test_ids_are_unique(calm: tuple[Event, ...]) -> None:
    assert len({event["id"] for event in calm}) == len(calm)


def test_the_rate_is_the_average_of_the_duration() -> None:
    for rate in (2.0, 30.0):
        config = SimulationConfig(seed=1, rate=rate, duration=timedelta(seconds=40_000 / rate), tenants=("a", "b", "c"))
        count = sum(len(batch.events) for batch in Simulation(config).batches(5000))
        assert count == pytest.approx(40_000, rel=0.1)


def test_a_fault_leaves_the_traffic_outside_its_window_alone() -> None:
    quiet = SimulationConfig(seed=5, rate=50, duration=timedelta(minutes=4))
    fault = PlannedFault("cost_spike_user", after_s=120, for_s=60)
    loud = SimulationConfig(seed=5, rate=50, duration=timedelta(minutes=4), faults=(fault,))

    def before(config: SimulationConfig) -> list[tuple[str, str]]:
        events = [event for batch in Simulation(config).batches(5000) for event in batch.events]
        return [(event["time"], event["type"]) for event in events if event["time"] < "2026-11-02T00:02:00"]

    assert before(quiet) == before(loud)


def test_every_model_is_in_the_price_table() -> None:
    usage = Usage(input_tokens=1000, output_tokens=100)
    for model in MODELS:
        assert calc_price(usage, model.name, provider_id=model.provider).total_price > 0
    assert calc_price(usage, EMBEDDING_MODEL, provider_id=EMBEDDING_PROVIDER).total_price > 0


def test_the_same_seed_at_another_time_makes_other_events() -> None:
    later = SimulationConfig(seed=3, rate=80, start=SHORT.start + timedelta(hours=1), duration=timedelta(minutes=1))
    earlier = SimulationConfig(seed=3, rate=80, duration=timedelta(minutes=1))

    def ids(config: SimulationConfig) -> set[str]:
        return {event["id"] for batch in Simulation(config).batches(5000) for event in batch.events}

    assert ids(earlier).isdisjoint(ids(later))


def test_a_high_rate_is_made_in_short_blocks() -> None:
    config = SimulationConfig(seed=1, rate=20_000, duration=timedelta(seconds=3), rhythm=False)
    simulation = Simulation(config)
    lengths = [end - start for start, end in simulation._blocks()]
    assert max(lengths) < 2_000_000
    assert sum(len(batch.events) for batch in simulation.batches(5000)) > 20_000


def test_some_requests_carry_contents_with_something_to_redact() -> None:
    config = SimulationConfig(seed=2, rate=100, duration=timedelta(minutes=1), content_share=1.0)
    text = body(config)
    assert b"@customer.example" in text
    assert b"sk-proj-" in text
    none = SimulationConfig(seed=2, rate=100, duration=timedelta(minutes=1), content_share=0.0)
    assert b"input_messages" not in body(none)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"scenario": "flood"}, "flood"),
        ({"faults": (PlannedFault("flood", 0, 1),)}, "flood"),
        ({"faults": (PlannedFault("token_leak", 0, 1, "acme"),)}, "acme"),
        ({"start": datetime(2026, 11, 2)}, "time zone"),  # noqa: DTZ001 - what is being refused
        ({"rate": 0.0}, "rate"),
        ({"rate": float("nan")}, "rate"),
        ({"duration": timedelta(0)}, "duration"),
        ({"tenants": ()}, "tenants"),
        ({"tenants": ("a", "a")}, "tenants"),
        ({"content_share": 1.5}, "content_share"),
    ],
)
def test_wrong_configuration_is_named(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        SimulationConfig(**wrong)  # type: ignore[arg-type]


def test_a_mixed_scenario_has_every_kind_and_tenant_over_two_days() -> None:
    config = SimulationConfig(
        seed=9, rate=2, start=datetime(2026, 11, 2, tzinfo=UTC), duration=timedelta(days=2), scenario="mixed",
        tenants=("acme", "globex"),
    )  # fmt: skip
    labels = Simulation(config).labels()
    assert {label.kind for label in labels} == set(FAULT_KINDS)
    assert {label.tenant for label in labels} == {"acme", "globex"}
    assert all(earlier.end <= later.start for earlier, later in pairwise(labels))


def test_calm_has_no_faults() -> None:
    assert Simulation(SimulationConfig()).labels() == []


def test_types_come_in_sensible_shares(calm: tuple[Event, ...]) -> None:
    counts = Counter(event["type"] for event in calm)
    assert counts["gateway.route"] >= counts["span"] + counts["agent.run"]
    assert 0.1 < counts["llm.request"] / len(calm) < 0.3
