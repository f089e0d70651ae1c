"""Start and stop of a whole hub in this process."""

import asyncio
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from benchmarks.common import ROOT
from benchmarks.common import Hub as HubProcess
from core.clock import ManualClock
from core.errors import HubError, SettingsError, SlowDown
from hub import wiring
from hub.compose import Hub
from hub.disk import DiskWatch
from tests.hub.running import PATIENCE, an_event, client_of, opened, settings_of


class Usage(NamedTuple):
    """What ``shutil.disk_usage`` gives."""

    total: int
    used: int
    free: int


async def test_what_was_sent_is_there_after_a_restart(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    async with opened(settings) as first:
        assert (await first.send(an_event(), an_event()))["accepted"] == 2
        key = first.key
        ready = await first.client.get("/health/ready")
        assert ready.status_code == 200, ready.text
        assert set(ready.json()["checks"]) == {"process", "log", "warehouse", "disk", "streams"}
    async with opened(settings) as again:
        assert again.key == key
        assert await again.count(2) == 2
        await again.send(an_event())
        assert await again.count(3) == 3


async def test_what_still_waits_for_its_block_survives_a_stop(tmp_path: Path) -> None:
    async with opened(settings_of(tmp_path, block_linger_ms=10_000)) as hub:
        await hub.send(an_event())
    async with opened(settings_of(tmp_path)) as hub:
        assert await hub.count(1) == 1


async def test_stop_comes_as_often_as_it_likes(tmp_path: Path) -> None:
    never = Hub(settings_of(tmp_path))
    await never.stop()
    with pytest.raises(AssertionError, match="has not been started"):
        _ = never.access
    hub, told = Hub(settings_of(tmp_path)), []

    async def tell() -> None:
        told.append("stop")

    await hub.start()
    hub.on_stop(tell)
    await hub.stop()
    await hub.stop()
    assert told == ["stop"]


async def test_a_start_that_fails_half_way_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise HubError("the streams are broken")

    with monkeypatch.context() as patched:
        patched.setattr(Hub, "_streams", broken)
        with pytest.raises(HubError, match="broken"):
            await Hub(settings_of(tmp_path)).start()
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert names == {asyncio.current_task().get_name()}  # type: ignore[union-attr]
    async with opened(settings_of(tmp_path)) as hub:  # the folder is free again
        assert await hub.count() == 0


@pytest.mark.parametrize("role", ["ingest", "api", "streams"])
async def test_a_role_starts_its_parts_only(tmp_path: Path, role: Any) -> None:
    hub = Hub(settings_of(tmp_path), role)
    app = await hub.start()
    try:
        assert ("streams" in app.state.checks) == (role == "streams")
        assert ("warehouse" in app.state.checks) == (role == "api")
        async with client_of(app, None) as client:
            found = {path: (await client.get(path)).status_code != 404 for path in ("/", "/v1/prices", "/health/ready")}
            found["/v1/events"] = (await client.post("/v1/events")).status_code != 404
        pages, doors = role == "api", role != "streams"
        assert found == {"/": pages, "/v1/prices": pages, "/health/ready": True, "/v1/events": doors}
    finally:
        await hub.stop()


@pytest.mark.parametrize("role", ["all", "ingest", "api", "streams"])
async def test_otlp_over_grpc_is_for_the_roles_that_take_events_in(tmp_path: Path, role: Any) -> None:
    hub = Hub(settings_of(tmp_path, otlp_grpc="auto", otlp_grpc_port=0), role)
    app = await hub.start()
    try:
        assert ("otlp_grpc" in app.state.checks) == (role in ("all", "ingest"))
        if check := app.state.checks.get("otlp_grpc"):
            assert check().state == "running"
            assert check().detail.startswith("127.0.0.1:")
    finally:
        await hub.stop()


async def test_without_grpcio_its_door_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "find_spec", lambda _: None)
    assert not wiring.wants_grpc(settings_of(tmp_path, otlp_grpc="auto"))
    with pytest.raises(SettingsError, match=r"llm-analytics-hub\[grpc\]"):
        await Hub(settings_of(tmp_path, otlp_grpc="on")).start()


async def test_a_tenant_s_settings_reach_the_parts(tmp_path: Path) -> None:
    async with opened(settings_of(tmp_path)) as hub:
        changed = {"currency": {"code": "EUR", "per_usd": "0.9"}, "retention_days": {"events": 30}}
        answer = await hub.client.patch("/v1/tenants/default", json={"settings": changed})
        assert answer.status_code == 200, answer.text
        price = {"model": "own-model", "input_price_usd_per_mtok": 1e6, "output_price_usd_per_mtok": 0}
        answer = await hub.client.post("/v1/prices", json=price)
        assert answer.status_code == 201, answer.text
        data = {"model": "own-model", "input_tokens": 3, "output_tokens": 1}
        await hub.send(an_event(data=data))
        await hub.count(1)
        question = {"measures": ["cost_usd"], "time": {"from": "now-1h", "to": "now+1h"}}
        assert (await hub.client.post("/v1/query", json=question)).json()["rows"] == [[3.0]]
        old = await hub.send(an_event(time="2026-10-01T00:00:00Z"))
        assert old["rejected"] == 1


async def test_the_doors_close_while_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, free = ManualClock(datetime.now(UTC)), [10 << 30]
    monkeypatch.setattr("hub.disk.shutil.disk_usage", lambda _: Usage(100 << 30, 0, free[0]))
    watch = DiskWatch(tmp_path, 500 << 20, clock)
    await watch.start()
    async with opened(settings_of(tmp_path)) as hub:
        hub.app.state.admit = watch.admit
        hub.app.state.checks = {"disk": watch.check}
        await hub.send(an_event())
        free[0] = 1 << 20
        await _looked(clock)
        refused = await hub.client.post("/v1/events", json=an_event())
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
        assert refused.headers["content-type"] == "application/problem+json"
        ready = await hub.client.get("/health/ready")
        assert ready.status_code == 503
        assert ready.json()["checks"]["disk"]["state"] == "full"
        assert "make room" in ready.json()["checks"]["disk"]["detail"]
        assert await hub.count(1) == 1  # questions are still answered
        free[0] = 10 << 30
        await _looked(clock)
        await hub.send(an_event())
        assert (await hub.client.get("/health/ready")).json()["checks"]["disk"]["state"] == "running"
    await watch.stop()


async def test_a_hub_that_ends_says_so_and_answers_meanwhile(tmp_path: Path) -> None:
    clock = ManualClock(datetime.now(UTC))
    async with opened(settings_of(tmp_path)) as hub:
        hub.hub.clock, hub.hub.settings = clock, hub.hub.settings.model_copy(update={"drain_s": 20.0})
        draining = asyncio.create_task(hub.hub.drain())
        await asyncio.sleep(0)
        ready = await hub.client.get("/health/ready")
        assert (ready.status_code, ready.json()["checks"]["process"]["state"]) == (503, "ending")
        assert (await hub.client.get("/health/live")).status_code == 200
        await hub.send(an_event())
        assert not draining.done()
        clock.advance(20)
        await draining


async def test_a_bridge_without_its_broker_closes_no_other_door(tmp_path: Path) -> None:
    settings = settings_of(tmp_path).model_copy(update={"bridge_url": "kafka://127.0.0.1:1", "bridge_topics": "a"})
    async with opened(settings) as hub:
        await hub.send(an_event())
        assert await hub.count(1) == 1
        async with asyncio.timeout(30):
            while True:
                ready = await hub.client.get("/health/ready")
                bridge = ready.json()["checks"]["kafka_bridge"]
                if bridge["state"] == "disconnected":
                    break
                await asyncio.sleep(0.05)
        assert ready.status_code == 200
        assert "Unable to bootstrap" in bridge["detail"]


async def _looked(clock: ManualClock) -> None:
    clock.advance(3)
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_folder_that_is_away_for_a_moment_is_looked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock(datetime.now(UTC))
    watch = DiskWatch(tmp_path, 1, clock)
    await watch.stop()
    await watch.start()
    await asyncio.sleep(0)
    with monkeypatch.context() as patched:
        patched.setattr("hub.disk.shutil.disk_usage", _away)
        await _looked(clock)
    assert "cannot be told" in caplog.text
    monkeypatch.setattr("hub.disk.shutil.disk_usage", lambda _: Usage(1, 1, 0))
    await _looked(clock)
    with pytest.raises(SlowDown):
        watch.admit()
    await watch.stop()
    assert DiskWatch(tmp_path / "not-yet", 5, clock).check().ok


def _away(_: Path) -> None:
    raise OSError("stale file handle")


def test_a_second_process_on_the_same_folder_is_told_so(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    hub = HubProcess(folder)
    hub.start(PATIENCE)
    try:
        assert (folder / "hub.json").exists()
        second = _llm_hub("up", "--data-dir", str(folder), "--port", "0")
        assert second.returncode == 1
        assert "in use by another process" in second.stderr
        assert "Traceback" not in second.stderr
        assert (folder / "hub.json").exists()
        taken = hub.url.rpartition(":")[2]
        third = _llm_hub("up", "--data-dir", str(tmp_path / "other"), "--port", taken)
        assert third.returncode == 1
        assert "choose another --port" in third.stderr
        assert hub.stop(PATIENCE) == 0
        assert not (folder / "hub.json").exists()
        assert hub.log.read_text().splitlines()[-1] == "stopped"
    finally:
        hub.kill()
    shutil.rmtree(folder)


def _llm_hub(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hub", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
