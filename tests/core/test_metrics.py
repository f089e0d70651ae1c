"""Metrics: named alike, in a registry of their own, bounded where senders choose."""

from prometheus_client import CollectorRegistry, generate_latest

from core.metrics import LABELS, Metrics, exposed


def test_two_hubs_do_not_mix() -> None:
    one, other = Metrics(), Metrics(CollectorRegistry())
    one.ingest_accepted.labels("events").inc(3)
    assert b'llm_hub_ingest_accepted_total{door="events"} 3.0' in generate_latest(one.registry)
    assert b'door="events"' not in generate_latest(other.registry)


def test_every_name_has_the_prefix() -> None:
    names = {metric.name for metric in Metrics().registry.collect()}
    assert all(name.startswith(("llm_hub_", "llm_gateway_", "process_")) for name in names)
    assert {"llm_gateway_token_usage", "llm_gateway_cost_usd", "process_resident_memory_bytes"} <= names


def test_every_metric_says_what_it_is_and_every_label_what_bounds_it() -> None:
    found = exposed(Metrics())
    assert all(one.text.endswith(".") for one in found)
    assert {label for one in found for label in one.labels} == set(LABELS)
    assert not {"tenant", "user", "user_id", "trace_id", "key"} & set(LABELS)
    kinds = {one.name: (one.kind, one.labels) for one in found}
    assert kinds["llm_hub_http_seconds"] == ("histogram", ("route", "method", "status"))
    assert kinds["llm_hub_streams_rows_total"] == ("counter", ())


def test_values_that_senders_choose_are_bounded() -> None:
    metrics = Metrics()
    kept = {metrics.bounded("model", f"m{i}") for i in range(1000)}
    assert len(kept) == 201
    assert metrics.bounded("model", "m0") == "m0"
    assert metrics.bounded("model", "m999") == "other"
    assert metrics.bounded("tenant", "m999") == "m999"
