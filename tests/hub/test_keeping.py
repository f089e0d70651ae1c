"""Rows that are to leave, do: by the retention of their tenant, and with a tenant that is deleted."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from access.audit import SYSTEM
from access.service import Access, AccessConfig
from access.tenant_settings import RetentionDays, TenantSettings
from broker.topics import EVENTS
from core.clock import ManualClock
from core.errors import Conflict, Retryable
from core.metrics import Metrics
from hub import wiring
from hub.keeping import Keeping
from storage.metadata.database import Metadata
from storage.warehouse.client import Warehouse
from storage.warehouse.migrations import migrate
from storage.warehouse.retention import TENANT_TABLES, Retention
from storage.warehouse.rollups import ROLLUPS
from tests.storage.warehouse.rows import NOW, events, insert_and_roll, payloads

#: Rollups that hold fewer than the ten days that are old here.
SHORT = {one.name for one in ROLLUPS if one.retention and one.retention < timedelta(days=10)}
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00Z")
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with Warehouse(f"chdb:///{tmp_path_factory.mktemp('warehouse')}") as warehouse:
        migrate(warehouse)
        yield warehouse


@dataclass
class Offsets:
    """A log of two partitions: where each begins, ends, and has been stored up to."""

    ends: list[int] = field(default_factory=lambda: [0, 0])
    stored: list[int | None] = field(default_factory=lambda: [None, None])

    def partitions(self, topic: str) -> int:
        assert topic == EVENTS
        return 2

    async def range(self, _: str, partition: int) -> tuple[int, int]:
        return 0, self.ends[partition]

    async def committed(self, group: str, _: str, partition: int) -> int | None:
        assert group == wiring.GROUP
        return self.stored[partition]


class Breaking(Retention):
    """Fails as often as it is told to."""

    errors: list[Exception]

    def erase(self, tenants: Sequence[str]) -> dict[str, int]:
        self._fail()
        return super().erase(tenants)

    def enforce(self, table: str, keep: Any) -> int:
        self._fail()
        return super().enforce(table, keep)

    def _fail(self) -> None:
        if self.errors:
            raise self.errors.pop()


@dataclass
class Desk:
    """Keeping, and all that it deals with."""

    keeping: Keeping
    access: Access
    warehouse: Warehouse
    retention: Breaking
    log: Offsets
    clock: ManualClock
    metrics: Metrics
    changed: list[datetime]
    forgotten: list[str]

    async def keep(self, tenant: str, **days: int) -> None:
        """Change what a tenant keeps."""
        await self.access.tenants.update(tenant, SYSTEM, settings=TenantSettings(retention_days=RetentionDays(**days)))

    async def later(self, seconds: float) -> None:
        """Look after some time."""
        self.clock.advance(seconds)
        await self.keeping.look()

    def count(self, table: str, tenant: str) -> int:
        text = f"SELECT count() FROM {table} WHERE tenant = {{tenant:String}}"
        return int(self.warehouse.query(text, {"tenant": tenant}).scalar())

    def rows(self, tenant: str) -> dict[str, int]:
        return {table: self.count(table, tenant) for table in TENANT_TABLES}

    def mutations(self) -> int:
        return int(self.warehouse.query("SELECT count() FROM system.mutations").scalar())

    def counted(self, name: str, what: str) -> float:
        return self.metrics.registry.get_sample_value(f"llm_hub_{name}_total", {"what": what}) or 0.0


@pytest.fixture
async def desk(migrated: Warehouse, tmp_path: Path) -> AsyncIterator[Desk]:
    clock, metrics, log = ManualClock(NOW), Metrics(), Offsets()
    migrated.clock = clock
    metadata = Metadata(f"sqlite:///{tmp_path}/hub.db")
    await metadata.start()
    await metadata.migrate()
    access = Access(metadata, clock, AccessConfig(tmp_path))
    await access.start()
    for tenant in ("acme", "other"):
        await access.tenants.create(tenant, tenant, SYSTEM)
    retention, changed, forgotten = Breaking(migrated), list[datetime](), list[str]()
    retention.errors = []
    unused: Any = log
    keeping = Keeping(access, retention, unused, clock, metrics, changed.append, forgotten.append)
    yield Desk(keeping, access, migrated, retention, log, clock, metrics, changed, forgotten)
    await keeping.stop()
    await access.stop()
    await metadata.stop()
    for table in TENANT_TABLES:
        migrated.command(f"TRUNCATE TABLE {table}")


def fill(warehouse: Warehouse, *tenants: str, age: timedelta = timedelta(0)) -> None:
    """Rows in every table, stamped as the streams do by default."""
    for number, tenant in enumerate(tenants):
        time = NOW - age
        rows = events(number * 30, 30, tenant=tenant, time=time, expires_at=time + timedelta(days=90))
        insert_and_roll(warehouse, rows)
        bodies = events(number * 30, 30, tenant=tenant, time=time, expires_at=time + timedelta(days=30))
        warehouse.insert("payloads", payloads(bodies))


async def test_a_change_of_the_retention_reaches_stored_rows(desk: Desk) -> None:
    fill(desk.warehouse, "acme", "other", age=timedelta(days=10))
    before, marks, mutations = desk.rows("other"), desk.rows(""), desk.mutations()
    await desk.keeping.look()
    assert desk.rows("acme") == before
    assert desk.mutations() == mutations
    assert desk.changed == []
    await desk.keep("acme", events=60, payloads=9)
    await desk.later(MINUTE)
    assert desk.count("payloads", "acme") == 30  # not before an hour has passed
    await desk.later(HOUR)
    assert desk.rows("acme") == {**before, "payloads": 0}
    kept = "SELECT DISTINCT expires_at - toDateTime(time) FROM events WHERE tenant = 'acme'"
    assert desk.warehouse.query(kept).rows == [(60 * DAY,)]
    await desk.keep("acme", events=9, payloads=30, rollups=9)
    await desk.later(HOUR)
    assert set(desk.rows("acme").values()) == {0}
    assert (desk.rows("other"), desk.rows("")) == (before, marks)
    assert set(desk.changed) == {EPOCH}
    assert desk.counted("keeping_changes", "retention") == len(desk.changed)
    mutations = desk.mutations()
    await desk.later(HOUR)
    assert desk.mutations() == mutations


async def test_rollups_stay_longer_than_their_events_and_never_shorter(desk: Desk) -> None:
    fill(desk.warehouse, "acme", "other", age=timedelta(days=10))
    await desk.keep("acme", events=5, rollups=20)
    await desk.keep("other", events=15, rollups=1)
    await desk.keeping.look()
    gone = {tenant: {name for name, rows in desk.rows(tenant).items() if not rows} for tenant in ("acme", "other")}
    assert gone["other"] == SHORT  # they took nothing so old
    by_user = {one.name for one in ROLLUPS if one.retention is None}
    assert gone["acme"] == {"events", "payloads", *by_user, *SHORT}


async def test_a_deleted_tenant_is_erased_until_nothing_more_comes(desk: Desk) -> None:
    fill(desk.warehouse, "acme", "other")
    other, marks = desk.rows("other"), desk.rows("")
    deleted_at = desk.clock.now()
    await desk.access.tenants.delete("acme", SYSTEM)
    await desk.keeping.look()
    assert set(desk.rows("acme").values()) == {0}
    assert (desk.rows("other"), desk.rows("")) == (other, marks)
    assert desk.changed == [EPOCH]
    with pytest.raises(Conflict, match=f"deleted at {deleted_at:%Y-%m-%d %H:%M} UTC .* still being erased"):
        await desk.access.tenants.create("acme", "Acme", SYSTEM)
    await desk.later(6 * MINUTE)  # clean from now on
    await desk.later(40 * MINUTE)
    fill(desk.warehouse, "acme")  # was on its way through the log
    await desk.later(MINUTE)
    assert set(desk.rows("acme").values()) == {0}
    await desk.later(50 * MINUTE)  # clean again
    await desk.later(50 * MINUTE)
    assert [note.tenant for note in await desk.access.erasures.open()] == ["acme"]
    assert desk.forgotten == []
    await desk.later(11 * MINUTE)
    assert await desk.access.erasures.open() == []
    assert desk.forgotten == ["acme"]
    assert desk.counted("keeping_changes", "erasure") == 2
    (entry, *_) = await desk.access.audit.list("acme")
    assert (entry.action, entry.detail) == ("tenant.erase", {"deleted_at": deleted_at.isoformat()})
    await desk.access.erasures.close("acme")  # as another process might
    assert len([one for one in await desk.access.audit.list("acme") if one.action == "tenant.erase"]) == 1
    await desk.access.tenants.create("acme", "Acme", SYSTEM)
    await desk.later(MINUTE)
    assert desk.metrics.registry.get_sample_value("llm_hub_keeping_erasures") == 0


async def test_it_is_not_over_while_events_may_be_behind_in_the_log(desk: Desk) -> None:
    desk.log.ends, desk.log.stored = [7, 5], [7, 3]
    await desk.access.tenants.delete("acme", SYSTEM)
    await desk.later(6 * MINUTE)
    for _ in range(5):
        await desk.later(HOUR)
        assert len(await desk.access.erasures.open()) == 1
    desk.log.ends = [9, 9]  # of others: what came later does not matter
    desk.log.stored = [7, 5]
    await desk.later(MINUTE)
    assert await desk.access.erasures.open() == []


async def test_a_restart_goes_on_where_it_was(desk: Desk) -> None:
    await desk.access.tenants.delete("acme", SYSTEM)
    await desk.later(6 * MINUTE)
    unused: Any = desk.log
    again = Keeping(
        desk.access, desk.retention, unused, desk.clock, desk.metrics, desk.changed.append, desk.forgotten.append
    )
    desk.clock.advance(HOUR)
    await again.look()
    assert desk.forgotten == ["acme"]


async def test_what_fails_is_told_and_tried_again(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    fill(desk.warehouse, "acme", "other", age=timedelta(days=10))
    await desk.keep("other", events=5)
    await desk.access.tenants.delete("acme", SYSTEM)
    desk.retention.errors = [ValueError("odd"), Retryable("the warehouse is away")]
    await desk.keeping.look()
    assert "the warehouse is away" in caplog.text
    assert "odd" in caplog.text
    assert [desk.counted("keeping_failures", what) for what in ("erasure", "retention")] == [1, 1]
    assert desk.count("events", "acme") == desk.count("events", "other") == 30
    assert desk.changed == [EPOCH, EPOCH]  # half of it may have been done
    await desk.later(MINUTE)
    assert desk.count("events", "acme") == desk.count("events", "other") == 0


async def test_it_looks_a_minute_after_the_start(desk: Desk) -> None:
    fill(desk.warehouse, "acme")
    await desk.access.tenants.delete("acme", SYSTEM)
    await desk.keeping.stop()  # not started yet
    await desk.keeping.start()
    await asyncio.sleep(0)
    desk.clock.advance(59)
    await asyncio.sleep(0)
    assert desk.count("events", "acme") == 30
    desk.clock.advance(1)
    async with asyncio.timeout(60):
        while desk.count("events", "acme"):  # noqa: ASYNC110 - it is in a thread's hands
            await asyncio.sleep(0.01)
    await desk.keeping.stop()


async def test_a_stop_waits_for_the_change_under_way_and_begins_no_other(desk: Desk) -> None:
    fill(desk.warehouse, "acme", "other", age=timedelta(days=10))
    await desk.access.tenants.delete("acme", SYSTEM)
    await desk.keep("other", events=5)
    begun = asyncio.Event()
    loop, erase = asyncio.get_running_loop(), desk.retention.erase

    def tell(tenants: Sequence[str]) -> dict[str, int]:
        loop.call_soon_threadsafe(begun.set)
        return erase(tenants)

    desk.retention.erase = tell  # type: ignore[method-assign]
    await desk.keeping.start()
    await asyncio.sleep(0)
    desk.clock.advance(MINUTE)
    await asyncio.wait_for(begun.wait(), 60)
    await desk.keeping.stop()
    assert (desk.count("events", "acme"), desk.count("events", "other")) == (0, 30)
