"""The stores of a hub, opened by a command that is not a hub; and whether a hub may start on them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from broker.factory import open_log
from broker.topics import EVENTS
from core.clock import Clock, SystemClock
from core.errors import HubError, NotFound, SettingsError
from hub import wiring
from hub.backup.making import Stores
from hub.settings import Settings
from storage.metadata.database import Metadata
from storage.metadata.jobs import Jobs
from storage.warehouse.client import Warehouse

#: The job that a half restored hub has.
RESTORE = "restore"


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Stores]:
    """Open a hub's stores, as they are."""
    clock = SystemClock()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        warehouse = Warehouse(settings.warehouse_url, wiring.warehouse_config(settings), clock)
        stack.push_async_callback(asyncio.to_thread, warehouse.close)
        await asyncio.to_thread(warehouse.open)
        metadata = Metadata(settings.database_url)
        stack.push_async_callback(metadata.stop)
        await metadata.start()
        log = open_log(settings.broker_url, clock=clock, kafka=wiring.kafka_config(settings))
        stack.push_async_callback(log.stop)
        await log.start()
        yield Stores(settings, metadata, warehouse, log, clock)


async def there(stores: Stores) -> None:
    """Raise :class:`HubError` unless there is a whole hub of this release's schema."""
    try:
        stores.log.partitions(EVENTS)
    except NotFound:
        raise HubError("There is no hub: start one (`llm-hub up`), or name another --data-dir or other URLs.") from None
    if await stores.metadata.current() != stores.metadata.head:
        raise HubError("The hub was written by another release: back it up with that one, or run `llm-hub migrate`.")
    await whole(stores.metadata, stores.clock)


async def whole(metadata: Metadata, clock: Clock) -> None:
    """Raise :class:`SettingsError` where a restore was begun and not ended."""
    begun = await Jobs(metadata, clock).get(RESTORE)
    if begun is not None:
        raise SettingsError(
            f"A backup made at {begun['made_at']} is half restored here: run `llm-hub restore` with it again."
        )
