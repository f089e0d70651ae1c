"""Metrics: named alike, in a registry of their own, bounded where senders choose."""

from prometheus_client import CollectorRegistry, generate_latest

from core.metrics import Metrics


def test_two_hubs_do_not_mix() -> None:
    one, other = Metrics(), Metrics(CollectorRegistry())
    one.ingest_accepted.labels("events").inc(3)
    assert b'llm_hub_ingest_accepted_total{door="events"} 3.0' in generate_latest(one.registry)
    assert b'door="events"' not in generate_latest(other.registry)


def test_every_name_has_the_prefix() -> None:
    names = {metric.name for metric in Metrics().registry.collect()}
    assert all(name.startswith(("llm_hub_", "llm_gateway_")) for name in names)
    assert {"llm_gateway_token_usage", "llm_gateway_cost_usd"} <= names


def test_values_that_senders_choose_are_bounded() -> None:
    metrics = Metrics()
    kept = {metrics.bounded("model", f"m{i}") for i in range(1000)}
    assert len(kept) == 201
    assert metrics.bounded("model", "m0") == "m0"
    assert metrics.bounded("model", "m999") == "other"
    assert metrics.bounded("tenant", "m999") == "m999"
