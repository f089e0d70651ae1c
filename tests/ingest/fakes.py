"""The log in memory, and an application with the doors mounted."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import zstandard

from access.principal import Principal, Role, Scope
from access.tenant_settings import TenantSettings
from broker.log import Mark, NewRecord, Position, Record, TopicConfig, as_marks
from broker.topics import DEAD_LETTERS, EVENTS
from core.clock import Clock
from core.errors import Conflict, HubError

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)


class FakeLog:
    """Keeps everything in lists; ``fail_with`` is raised by the next appends, which wait for ``hold``."""

    def __init__(self, clock: Clock, partitions: int = 1) -> None:
        self.clock = clock
        self.records: list[Record] = []
        self.appends: list[list[NewRecord]] = []
        self.marks: dict[bytes, Mark] = {}
        self.appended = asyncio.Event()
        self.fail_with: list[HubError] = []
        self.hold: asyncio.Event | None = None
        self.held = asyncio.Semaphore(0)
        self._partitions = partitions

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def create_topic(self, topic: TopicConfig) -> None: ...

    def partitions(self, topic: str) -> int:
        return self._partitions if topic == EVENTS else 1

    async def append(self, records: Sequence[NewRecord], mark: Mark | Sequence[Mark] | None = None) -> list[Position]:
        if self.hold is not None:
            self.held.release()
            await self.hold.wait()
        if self.fail_with:
            raise self.fail_with.pop(0)
        for one in as_marks(mark):
            if await self.lookup_mark(one.key) is not None:
                raise Conflict("known")
        self.marks.update({one.key: one for one in as_marks(mark)})
        self.appends.append(list(records))
        self.appended.set()
        positions = []
        for record in records:
            offset = sum(r.topic == record.topic and r.partition == record.partition for r in self.records)
            now = int(self.clock.now().timestamp() * 1000)
            stored = Record(record.topic, record.partition, offset, record.key, record.value, record.headers, now)
            self.records.append(stored)
            positions.append(Position(record.topic, record.partition, offset))
        return positions

    async def read(
        self, topic: str, partition: int, offset: int, *, max_records: int = 500, max_bytes: int = 8 << 20
    ) -> list[Record]:
        return [r for r in self.records if (r.topic, r.partition) == (topic, partition) and r.offset >= offset]

    async def range(self, topic: str, partition: int) -> tuple[int, int]:
        return 0, len(await self.read(topic, partition, 0))

    async def tail(self, topic: str, partition: int, since: datetime) -> AsyncIterator[Record]:
        for record in await self.read(topic, partition, 0):
            yield record

    async def lookup_mark(self, key: bytes) -> Mark | None:
        mark = self.marks.get(key)
        return mark if mark is not None and mark.expires_at > self.clock.now() else None

    async def committed(self, group: str, topic: str, partition: int) -> int | None:
        return None

    def events(self) -> list[dict]:
        """Every event that was appended."""
        return [row for table in self.tables() for row in table.to_pylist()]

    def tables(self) -> list[pa.Table]:
        plain = (zstandard.decompress(r.value) for r in self.records if r.topic == EVENTS)
        return [pa.ipc.open_stream(value).read_all() for value in plain]

    def dead_letters(self) -> list[bytes]:
        return [r.value for r in self.records if r.topic == DEAD_LETTERS]


class FakeAccess:
    """Knows every key ``lh_TENANT``; counts what is taken from the rate limit."""

    def __init__(self) -> None:
        self.limits = self
        self.events = 0

    async def authenticate(self, secret: str) -> Principal:
        return Principal(secret.removeprefix("lh_"), "k", Role.DEVELOPER, frozenset({Scope.INGEST}))

    def settings(self, tenant: str) -> TenantSettings:
        return TenantSettings()

    def take_request(self, principal: Principal) -> None: ...

    def take_events(self, principal: Principal, count: int) -> None:
        self.events += count


def reverse(data: bytes) -> bytes:
    """Stands in for encryption: not the plain text, and easy to undo."""
    return data[::-1]


def sample(**changes: object) -> dict:
    """A good event; ``data`` is merged."""
    event = {
        "id": "0192f0c1-0000-7000-8000-000000000001",
        "type": "llm.request",
        "source": "gateway",
        "time": (NOW - timedelta(minutes=1)).isoformat().replace("+00:00", "Z"),
        "data": {"model": "gpt-4o", "input_tokens": 812, "duration_ms": 1840.2},
    }
    data = {**event["data"], **changes.pop("data", {})}  # type: ignore[dict-item]
    return {**event, "data": data, **changes}
