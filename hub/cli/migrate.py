"""``llm-hub migrate``: the schemas of warehouse and metadata, forward and backward."""

import argparse
import asyncio
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from hub.cli.options import target_options

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hub.settings import Settings
    from storage.metadata.database import Metadata
    from storage.warehouse.client import Warehouse
    from storage.warehouse.migrations import State

HELP = "bring the schemas of warehouse and metadata to the newest version"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when something is pending")
    parser.add_argument("--warehouse-to", type=int, metavar="N", help="a version of the warehouse, also an older one")
    parser.add_argument("--metadata-to", metavar="REVISION", help="a revision of the metadata, also an older one")
    target_options(parser)


def run(args: argparse.Namespace) -> int:
    from core.errors import HubError
    from hub.target import Running, find

    target = find(args)
    if isinstance(target, Running):
        raise HubError(f"the hub at {target.url} runs on its newest schema: stop it before you migrate its data")
    return asyncio.run(_check(target.settings) if args.check else _migrate(target.settings, args))


async def _check(settings: "Settings") -> int:
    async with _open(settings) as (metadata, warehouse):
        current, head = await metadata.current(), metadata.head
        state = await asyncio.to_thread(_state, warehouse)
    sys.stdout.write(f"metadata: {current or 'empty'}, newest {head}\n")
    sys.stdout.write(f"warehouse: {len(state.applied)} applied, pending {list(state.pending) or 'none'}\n")
    return 0 if current == head and not state.pending else 1


def _state(warehouse: "Warehouse") -> "State":
    from storage.warehouse.migrations import check

    return check(warehouse)


async def _migrate(settings: "Settings", args: argparse.Namespace) -> int:
    from core.errors import SettingsError
    from storage.warehouse.migrations import MIGRATIONS, migrate

    newest = MIGRATIONS[-1].number
    if args.warehouse_to is not None and not 0 <= args.warehouse_to <= newest:
        raise SettingsError(f"--warehouse-to {args.warehouse_to}: the warehouse has the versions 0 to {newest}")
    async with _open(settings) as (metadata, warehouse):
        await metadata.migrate(args.metadata_to or "head")
        async with metadata.alone():
            done = await asyncio.to_thread(migrate, warehouse, args.warehouse_to)
        current = await metadata.current()
    sys.stdout.write(f"metadata is at {current}; warehouse migrations run: {done or 'none'}\n")
    return 0


@asynccontextmanager
async def _open(settings: "Settings") -> "AsyncIterator[tuple[Metadata, Warehouse]]":
    from hub.wiring import warehouse_config
    from storage.metadata.database import Metadata
    from storage.warehouse.client import Warehouse

    settings.data_dir.mkdir(parents=True, exist_ok=True)
    metadata, warehouse = Metadata(settings.database_url), Warehouse(settings.warehouse_url, warehouse_config(settings))
    await metadata.start()
    try:
        await asyncio.to_thread(warehouse.open)
        yield metadata, warehouse
    finally:
        await asyncio.to_thread(warehouse.close)
        await metadata.stop()
