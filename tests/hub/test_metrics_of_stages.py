"""An event goes its way through a whole hub, and the series of every stage move."""

import asyncio
import contextlib
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.metrics import Metrics, exposed
from tests.hub.running import EVERYTHING, PATIENCE, Opened, an_event, opened, settings_of

#: Series that must be above zero once events, a wrong row, a repetition and a question have gone through.
MOVED = (
    'llm_hub_http_seconds_count{method="POST",route="/v1/events",status="202"}',
    'llm_hub_http_seconds_count{method="POST",route="/v1/query",status="200"}',
    'llm_hub_http_seconds_count{method="POST",route="/v1/query",status="422"}',
    'llm_hub_ingest_requests_total{door="events",status="202"}',
    'llm_hub_ingest_accepted_total{door="events"}',
    'llm_hub_ingest_rejected_total{door="events",reason="field"}',
    'llm_hub_ingest_dead_letters_total{door="events"}',
    'llm_hub_ingest_duplicates_total{door="events"}',
    'llm_hub_ingest_bytes_total{door="events"}',
    'llm_hub_ingest_batch_rows_sum{door="events"}',
    'llm_hub_ingest_seconds_count{door="events"}',
    'llm_hub_ingest_refused_total{reason="disk"}',
    "llm_hub_ingest_in_flight_limit_bytes",
    "llm_hub_ingest_records_total",
    "llm_hub_log_append_seconds_count",
    "llm_hub_log_append_bytes_sum",
    "llm_hub_log_queue_limit_bytes",
    'llm_hub_streams_state{state="running"}',
    "llm_hub_streams_partitions",
    "llm_hub_streams_rebalances_total",
    "llm_hub_streams_rows_total",
    'llm_hub_streams_blocks_total{outcome="stored"}',
    "llm_hub_streams_block_rows_sum",
    "llm_hub_streams_block_records_sum",
    "llm_hub_streams_buffer_limit_bytes",
    'llm_hub_streams_step_seconds_count{step="price"}',
    "llm_hub_streams_store_seconds_count",
    'llm_hub_streams_unpriced_total{model="nobody-knows",reason="no_price"}',
    "llm_hub_rollup_folds_total",
    "llm_hub_rollup_seconds_count",
    'llm_hub_warehouse_seconds_count{work="insert"}',
    'llm_hub_warehouse_seconds_count{work="query"}',
    'llm_hub_warehouse_seconds_count{work="command"}',
    "llm_hub_warehouse_connections_limit",
    "llm_hub_query_asked_total",
    "llm_hub_query_seconds_count",
    "llm_hub_query_rows_read_sum",
    'llm_hub_query_failures_total{error="Unprocessable"}',
    "llm_hub_query_open_limit",
    'llm_hub_part_ok{part="streams"}',
    'llm_hub_part_ok{part="disk"}',
    "llm_hub_disk_free_bytes",
    'llm_gateway_token_usage_total{kind="input",model="gpt-4o"}',
    'llm_gateway_cost_usd_total{model="gpt-4o"}',
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_max_fds",
)


async def test_the_series_of_every_stage_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(settings_of(tmp_path)) as hub:
        wrong = {**an_event(), "data": {"provider": "openai"}}
        unpriced = an_event(data={"provider": "acme", "model": "nobody-knows", "input_tokens": 1, "output_tokens": 1})
        sent = [an_event(), wrong, unpriced]
        for _ in range(2):
            await hub.send(*sent, **{"Idempotency-Key": "k-1"})
        assert await hub.count(2) == 2
        unclosed = [{"field": "model", "op": "regex", "values": ["("]}]
        asked = await hub.client.post("/v1/query", json={**EVERYTHING, "filters": unclosed})
        assert asked.status_code == 422
        hub.hub.roller.config = hub.hub.roller.config.__class__(seconds=0.0)  # a fold is due at once
        monkeypatch.setattr(hub.app.state.checks["disk"].__self__, "_free", 0)
        assert (await hub.client.post("/v1/events", json=an_event())).status_code == 503
        assert await resting(hub) == []
        page = await series(hub)
        assert page['llm_hub_streams_lag_records{partition="0"}'] == 0
        assert page['llm_hub_streams_state{state="given_up"}'] == 0
        assert page["llm_hub_log_queued_bytes"] == page["llm_hub_ingest_in_flight_bytes"] == 0
        assert page["llm_hub_query_open"] == page["llm_hub_live_watchers"] == 0
        assert next(name for name in page if name.startswith("llm_hub_info")).endswith('role="all",version="0.1.0"}')


async def test_no_series_tells_of_a_tenant_or_a_sender(tmp_path: Path) -> None:
    async with opened(settings_of(tmp_path)) as hub:
        before = len(await series(hub))
        for number in range(50):
            await hub.send(an_event(user_id=f"u-{number}", session_id=f"s-{number}", project=f"p-{number}"))
            await hub.client.get(f"/v1/events/{number}")
            await hub.client.get(f"/{number}")
        await hub.count(50)
        after = await series(hub)
        assert len(after) - before < 400, len(after)  # series of stages that had not moved yet
        again = len(after)
        for number in range(50, 100):
            await hub.send(an_event(user_id=f"u-{number}", session_id=f"s-{number}", project=f"p-{number}"))
            await hub.client.get(f"/{number}")
        await hub.count(100)
        assert len(await series(hub)) - again < 60


async def resting(hub: Opened) -> list[str]:
    """What has not moved, once all has or the time is up."""
    missing = list(MOVED)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE / 2):
            while missing:
                page = await series(hub)
                missing = [name for name in MOVED if not page.get(name) and not moved_by(page, name)]
                await asyncio.sleep(0.05)
    return missing


def moved_by(page: dict[str, float], name: str) -> bool:
    """Whether a series named without its labels moved with any of them."""
    return any(value for key, value in page.items() if key.partition("{")[0] == name)


async def series(hub: Opened) -> dict[str, float]:
    """Every series of the page, ``name{label="value"}`` with labels in order → value."""
    answer = await hub.client.get("/metrics")
    assert answer.status_code == 200
    return {
        sample.name + told(sample.labels): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def told(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}" if labels else ""


def test_every_stage_has_metrics() -> None:
    stages = {one.name.split("_")[2] for one in exposed(Metrics()) if one.name.startswith("llm_hub_")}
    assert stages >= {"http", "ingest", "log", "streams", "rollup", "keeping", "warehouse", "query", "live", "disk"}
