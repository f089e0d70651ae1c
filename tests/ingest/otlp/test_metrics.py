"""Points of metrics, and the state of vLLM's workers."""

import math
from datetime import timedelta
from typing import Any

import pytest

from tests.ingest.otlp.written import ENDED, NOW, decode, events, metrics, one, pairs


def point(attributes: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"timeUnixNano": str(ENDED), "attributes": pairs(attributes or {}), **more}


def gauge(name: str, *points: dict[str, Any], unit: str = "") -> dict[str, Any]:
    return {"name": name, "unit": unit, "gauge": {"dataPoints": [*points]}}


def test_a_gauge() -> None:
    event = one(
        metrics(
            gauge("queue.length", point({"queue": "a"}, asInt="17"), unit="{request}"), resource={"service.name": "g"}
        )
    )
    assert event["type"] == "metric.sample"
    assert event["time"] == NOW - timedelta(minutes=1)
    assert event["source"] == "g"
    assert event["data"] == {
        "name": "queue.length",
        "value": 17.0,
        "unit": "{request}",
        "kind": "gauge",
        "service": "g",
    }
    assert event["attributes"] == {"queue": "a"}


@pytest.mark.parametrize(
    ("monotonic", "temporality", "kind", "expected"),
    [
        (True, 1, "counter", "delta"),
        (True, "AGGREGATION_TEMPORALITY_CUMULATIVE", "counter", "cumulative"),
        (False, 0, "gauge", None),
    ],
)
def test_a_sum(monotonic: bool, temporality: Any, kind: str, expected: str | None) -> None:
    held = {"isMonotonic": monotonic, "aggregationTemporality": temporality, "dataPoints": [point(asDouble=2.5)]}
    data = one(metrics({"name": "n", "sum": held}))["data"]
    assert (data["value"], data["kind"], data.get("temporality")) == (2.5, kind, expected)


def test_a_histogram() -> None:
    given = point(count="4", sum=10.0, explicitBounds=[1.0, 2.0], bucketCounts=["1", "1", "2"], min=0.5, max=6.0)
    data = one(metrics({"name": "h", "histogram": {"aggregationTemporality": 2, "dataPoints": [given]}}))["data"]
    assert data == {
        "name": "h",
        "value": 2.5,
        "kind": "histogram",
        "temporality": "cumulative",
        "count": 4,
        "sum": 10.0,
        "bounds": [1.0, 2.0],
        "bucket_counts": [1, 1, 2],
        "min": 0.5,
        "max": 6.0,
    }
    assert one(metrics({"name": "h", "histogram": {"dataPoints": [point(count="0")]}}))["data"]["value"] == 0


def test_an_exponential_histogram_has_the_bounds_of_a_plain_one() -> None:
    given = point(
        count="6",
        sum=12.0,
        scale=0,
        zeroCount="1",
        positive={"offset": 1, "bucketCounts": ["0", "2"]},
        negative={"offset": 0, "bucketCounts": ["3"]},
    )
    data = one(metrics({"name": "e", "exponentialHistogram": {"aggregationTemporality": 1, "dataPoints": [given]}}))[
        "data"
    ]
    assert data["bounds"] == [-2.0, -1.0, 2.0, 4.0, 8.0]
    assert data["bucket_counts"] == [0, 3, 1, 0, 2, 0]
    assert (data["value"], data["count"], data["temporality"]) == (2.0, 6, "delta")


def test_a_summary() -> None:
    given = point(
        count="4", sum=10.0, quantileValues=[{"quantile": 0.5, "value": 2.0}, {"quantile": 0.99, "value": 6.0}]
    )
    data = one(metrics({"name": "s", "summary": {"dataPoints": [given]}}))["data"]
    assert (data["value"], data["count"], data["sum"]) == (2.5, 4, 10.0)
    assert data["quantiles"] == {"0.5": 2.0, "0.99": 6.0}


def test_points_without_a_value_are_passed_over() -> None:
    for plain in (True, False):
        decoded = decode(metrics(gauge("g", point(flags=1), point(asDouble=1.0))), plain=plain)
        assert [event["data"]["value"] for event in events(decoded)] == [1.0]
        assert not decoded.rejected


@pytest.mark.parametrize("plain", [True, False])
def test_points_that_say_nothing_are_rejected(plain: bool) -> None:
    decoded = decode(metrics(gauge("g", point(asDouble="NaN"), point(asDouble=1.0))), plain=plain)
    assert decoded.rejected[0].field == "value"
    assert decode(metrics(gauge("g", point())), plain=plain).rejected[0].reason.startswith("is required")


@pytest.mark.parametrize(
    ("kind", "given", "field"),
    [
        ("exponentialHistogram", {"scale": 99, "count": "1"}, "scale"),
        ("histogram", {"bucketCounts": ["1"] * 10_001}, "bucketCounts"),
        ("histogram", {"explicitBounds": ["Infinity"], "count": "1"}, "bounds"),
    ],
)
def test_histograms_that_are_none_are_rejected(kind: str, given: dict[str, Any], field: str) -> None:
    for plain in (True, False):
        decoded = decode(metrics({"name": "h", kind: {"dataPoints": [point(**given)]}}), plain=plain)
        assert [row.field for row in decoded.rejected] == [field]


def test_sums_that_are_not_finite_are_left_out() -> None:
    data = one(
        metrics({"name": "h", "histogram": {"dataPoints": [point(count="0", min="Infinity", max="-Infinity")]}})
    )["data"]
    assert not {"min", "max"} & data.keys()
    assert math.isfinite(data["value"])


def test_ids_tell_points_apart_by_their_series() -> None:
    request = metrics(
        gauge("g", point({"q": "a"}, asInt="1"), point({"q": "b"}, asInt="1")), gauge("h", point(asInt="1"))
    )
    for plain in (True, False):
        ids = [event["id"] for event in events(decode(request, plain=plain))]
        assert len(set(ids)) == 3
        assert ids == [event["id"] for event in events(decode(request, plain=plain))]


VLLM = {
    "vllm:num_requests_running": 18.0,
    "vllm:num_requests_waiting": 3.0,
    "vllm:kv_cache_usage_perc": 0.71,
    "vllm:num_preemptions_total": 2.0,
    "vllm:avg_generation_throughput_toks_per_s": 1480.0,
}


@pytest.mark.parametrize("colon", [":", "_"])
@pytest.mark.parametrize("plain", [True, False])
def test_vllms_gauges_of_a_worker_become_one_sample(plain: bool, colon: str) -> None:
    who = {"model_name": "llama-3.3-70b", "engine": "0"}
    given = [gauge(name.replace(":", colon), point(who, asDouble=value)) for name, value in VLLM.items()]
    given.append(gauge("vllm:num_requests_running", point({**who, "engine": "1"}, asDouble=1.0)))
    given.append(gauge("vllm:prompt_tokens_total", point(who, asDouble=99.0)))
    decoded = decode(metrics(*given, resource={"service.instance.id": "vllm-0"}), plain=plain, project="serving")
    first, second, other = events(decoded)
    assert first["type"] == second["type"] == "serving.sample"
    assert first["data"] == {
        "worker": "vllm-0/0",
        "model": "llama-3.3-70b",
        "running": 18.0,
        "waiting": 3.0,
        "queue_depth": 3.0,
        "kv_cache_usage": 0.71,
        "preemptions": 2,
        "generation_tokens_per_s": 1480.0,
    }
    assert second["data"]["worker"] == "vllm-0/1"
    assert (other["type"], other["data"]["name"]) == ("metric.sample", "vllm:prompt_tokens_total")
    assert first["project"] == "serving"
    assert not decoded.rejected


def test_a_worker_without_a_name_has_one_and_what_does_not_fit_is_left_out() -> None:
    event = one(metrics(gauge("vllm:kv_cache_usage_perc", point(asDouble=71.0))))
    assert event["data"] == {"worker": "vllm"}
