"""Checks of the three stores: metadata, log and warehouse, wherever they are."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from broker.factory import open_log, scheme_of
from broker.log import Log, NewRecord
from broker.topics import DEAD_LETTERS, EVENTS, PULSE
from core.clock import SystemClock
from core.errors import HubError, NotFound
from hub.settings import Settings
from hub.wiring import GROUP, warehouse_config
from storage.metadata.database import Metadata
from storage.warehouse.client import Warehouse
from storage.warehouse.migrations import check

#: Clocks of two machines may differ by so much.
SKEW: Final = timedelta(seconds=5)
#: Events of a log that workers share wait no longer than this.
WAIT: Final = timedelta(minutes=2)
#: More rows or records than this in an hour are no accident.
LETTERS: Final = 100


async def metadata(settings: Settings) -> str:
    """Whether it answers, and at which migration it is."""
    held = Metadata(settings.database_url)
    await held.start()
    try:
        current, head = await held.current(), held.head
    finally:
        await held.stop()
    if current is None:
        return "empty; the first start makes it"
    if current != head:
        raise HubError(f"is at {current}, this release has {head}: run `llm-hub migrate`")
    return f"at {current}"


async def log(settings: Settings) -> str:
    """Whether it can be read and written, with marks, and nothing in it is of the future."""
    async with _log(settings) as held:
        try:
            partitions = held.partitions(EVENTS)
        except NotFound:
            return "empty; the first start makes its topics"
        ranges = [await held.range(EVENTS, partition) for partition in range(partitions)]
        await held.lookup_mark(b"llm-hub doctor")
        await _not_ahead(held, partitions)
        with suppress(NotFound):  # a release before this one has made the log
            await held.append([NewRecord(PULSE, 0, None, b"{}")])  # points of nobody: they are kept for an hour
    return (
        f"{sum(end - start for start, end in ranges)} records of events in {partitions} partitions; it can be written"
    )


async def _not_ahead(held: Log, partitions: int) -> None:
    """A record stamped in the future means that the clock was set back."""
    for partition in range(partitions):
        async for _ in held.tail(EVENTS, partition, datetime.now(UTC) + timedelta(minutes=1)):
            raise HubError("the log has records of the future: the clock was set back; set it right before you start")


async def lag(settings: Settings) -> str:
    """Whether what was accepted is being stored."""
    shared = scheme_of(settings.broker_url) != "sqlite"
    async with _log(settings) as held:
        try:
            partitions = held.partitions(EVENTS)
        except NotFound:
            return "none; the log is empty"
        waiting = [await _waiting(held, partition) for partition in range(partitions)]
    count, oldest = sum(one for one, _ in waiting), min((at for _, at in waiting if at is not None), default=None)
    if oldest is None:
        return "none; all is stored"
    age = datetime.now(UTC) - oldest
    text = f"{count} records wait to be stored, the oldest for {age.total_seconds():.0f} s"
    if shared and age > WAIT:
        raise HubError(f"{text}: start workers (`llm-hub run streams`), or see in their log why they do not store")
    return text if shared else f"{text}; the next start stores them"


async def _waiting(held: Log, partition: int) -> tuple[int, datetime | None]:
    """How many records of a partition wait, and since when the oldest does."""
    earliest, following = await held.range(EVENTS, partition)
    committed = await held.committed(GROUP, EVENTS, partition)
    if committed is not None and committed < earliest:
        raise HubError(
            f"partition {partition}: {earliest - committed} records left the log before they were stored: keep them "
            "longer (LLM_HUB_LOG_RETENTION_HOURS, LLM_HUB_LOG_RETENTION_BYTES) and add workers"
        )
    place = max(earliest, committed or 0)
    records = await held.read(EVENTS, partition, place, max_records=1) if place < following else []
    oldest = datetime.fromtimestamp(records[0].timestamp_ms / 1000, UTC) if records else None
    return max(0, following - place), oldest


async def dead_letters(settings: Settings) -> str:
    """Whether they pile up."""
    async with _log(settings) as held:
        try:
            start, end = await held.range(DEAD_LETTERS, 0)
        except NotFound:
            return "none"
        recent = 0
        async for _ in held.tail(DEAD_LETTERS, 0, datetime.now(UTC) - timedelta(hours=1)):
            recent += 1
            if recent > LETTERS:
                raise HubError(
                    f"more than {LETTERS} in the last hour, {end - start} in all: the metrics "
                    "llm_hub_ingest_rejected_total and llm_hub_streams_poison_total say at which door or stage; "
                    "mend their cause first"
                )
    return f"{end - start} kept, {recent} of the last hour" if end > start else "none"


async def warehouse(settings: Settings) -> str:
    """Whether it answers, at which migration it is, and whether its clock is ours."""
    held = Warehouse(settings.warehouse_url, warehouse_config(settings))
    await asyncio.to_thread(held.open)
    try:
        state = await asyncio.to_thread(check, held)
        told = await asyncio.to_thread(_clock_of, held)
    finally:
        await asyncio.to_thread(held.close)
    skew = abs(told - datetime.now(UTC))
    if skew > SKEW:
        raise HubError(f"its clock is {skew.total_seconds():.0f} s off ours: have both follow a time server")
    if state.pending and state.applied:
        raise HubError(f"migrations {list(state.pending)} are pending: run `llm-hub migrate`")
    return f"{len(state.applied)} migrations applied" if state.applied else "empty; the first start makes it"


def _clock_of(held: Warehouse) -> datetime:
    micros = held.query("SELECT toUnixTimestamp64Micro(now64(6))").scalar()
    return datetime.fromtimestamp(int(micros) / 1e6, UTC)


@asynccontextmanager
async def _log(settings: Settings) -> AsyncIterator[Log]:
    held = open_log(settings.broker_url, clock=SystemClock())
    await held.start()
    try:
        yield held
    finally:
        await held.stop()
