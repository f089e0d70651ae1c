"""The checks of ``llm-hub doctor``: each finds one thing, and a bad finding says what to do."""

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from broker.factory import open_log
from broker.log import Log
from broker.topics import EVENTS
from core.clock import SystemClock
from core.errors import HubError
from hub.client import HubClient
from hub.settings import Settings
from hub.target import Folder, Running
from hub.wiring import warehouse_config
from storage.metadata.database import Metadata
from storage.warehouse.client import Warehouse
from storage.warehouse.migrations import check

#: No hub was built before this day: a clock that says so is wrong.
_BUILT = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    part: str
    good: bool
    text: str


async def examine(target: Running | Folder) -> list[Finding]:
    """Every finding about a hub, running or not."""
    if isinstance(target, Running):
        return await asyncio.to_thread(_running, target)
    checks: tuple[tuple[str, Callable[[Settings], Awaitable[str]]], ...] = (
        ("settings", _settings),
        ("clock", _clock),
        ("disk", _disk),
        ("metadata", _metadata),
        ("log", _log),
        ("warehouse", _warehouse),
    )
    return [await _finding(part, one(target.settings)) for part, one in checks]


async def _finding(part: str, check: Awaitable[str]) -> Finding:
    try:
        return Finding(part, True, await check)
    except HubError as error:
        return Finding(part, False, error.detail)
    except OSError as error:
        return Finding(part, False, f"{error.strerror or error}: {error.filename or ''}".rstrip(": "))


def _running(target: Running) -> list[Finding]:
    """A running hub knows best itself."""
    with HubClient(target) as hub:
        ready = hub.get_whatever("/health/ready")
        hub.post("/v1/query", {"measures": ["events"], "time": {"from": "now-1h", "to": "now"}})
    parts = ready.get("checks", {})
    findings = [Finding("hub", ready.get("status") == "ok", f"{target.url} is {ready.get('status', 'unknown')}")]
    for name, state in parts.items():
        findings.append(Finding(name, state.get("status") == "ok", state.get("detail") or state.get("status", "")))
    return findings


async def _settings(settings: Settings) -> str:
    exposed = settings.host not in ("127.0.0.1", "::1", "localhost")
    return f"data in {settings.data_dir}" + (f"; listens beyond this machine, on {settings.host}" if exposed else "")


async def _clock(_: Settings) -> str:
    now = datetime.now(UTC)
    if now < _BUILT:
        raise HubError(f"the clock says {now:%Y-%m-%d}: set it (events more than a day ahead of it are rejected)")
    return f"{now:%Y-%m-%d %H:%M:%S} UTC"


async def _disk(settings: Settings) -> str:
    folder = settings.data_dir
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise HubError(f"{folder} cannot be written: change its owner or choose another --data-dir")
    free = shutil.disk_usage(folder).free >> 20
    if free < settings.min_free_disk_mb:
        raise HubError(f"{free} MiB free below {folder}: the doors answer 503 under {settings.min_free_disk_mb} MiB")
    return f"{free / 1024:.1f} GiB free"


async def _metadata(settings: Settings) -> str:
    metadata = Metadata(settings.database_url)
    await metadata.start()
    try:
        current, head = await metadata.current(), metadata.head
    finally:
        await metadata.stop()
    if current is None:
        return "empty; the first start makes it"
    if current != head:
        raise HubError(f"is at {current}, this release has {head}: run `llm-hub migrate`")
    return f"at {current}"


async def _log(settings: Settings) -> str:
    clock = SystemClock()
    log = open_log(settings.broker_url, clock=clock)
    await log.start()
    try:
        try:
            partitions = log.partitions(EVENTS)
        except HubError:
            return "empty; the first start makes its topics"
        ranges = [await log.range(EVENTS, partition) for partition in range(partitions)]
        await _not_ahead(log, partitions, clock.now())
    finally:
        await log.stop()
    return f"{sum(end - start for start, end in ranges)} records of events in {partitions} partitions"


async def _not_ahead(log: Log, partitions: int, now: datetime) -> None:
    """A record stamped in the future means that the clock was set back."""
    for partition in range(partitions):
        async for _ in log.tail(EVENTS, partition, now + timedelta(minutes=1)):
            raise HubError("the log has records of the future: the clock was set back; set it right before you start")


async def _warehouse(settings: Settings) -> str:
    warehouse = Warehouse(settings.warehouse_url, warehouse_config(settings))
    await asyncio.to_thread(warehouse.open)
    try:
        state = await asyncio.to_thread(check, warehouse)
    finally:
        await asyncio.to_thread(warehouse.close)
    if state.pending and state.applied:
        raise HubError(f"migrations {list(state.pending)} are pending: run `llm-hub migrate`")
    return f"{len(state.applied)} migrations applied" if state.applied else "empty; the first start makes it"
