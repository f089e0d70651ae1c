"""``llm-hub restore``: a backup into an empty hub, whichever way that one is to run."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hub.cli.options import target_options

if TYPE_CHECKING:
    from hub.backup.restoring import Restored
    from hub.settings import Settings

HELP = "put a backup into an empty hub"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="what `llm-hub backup` made")
    target_options(parser)


def run(args: argparse.Namespace) -> int:
    from core.errors import HubError
    from hub.target import Running, find

    target = find(args)
    if isinstance(target, Running):
        raise HubError(f"the hub at {target.url} is running: restore into the folder (or URLs) of a hub that is not")
    done = asyncio.run(_restore(target.settings, args.file))
    sys.stdout.write(
        f"restored {done.events:,} events of {done.tenants} tenants as of {done.made_at}"
        f"{f'; {done.waiting} records wait in the log' if done.waiting else ''}\n"
    )
    return 0


async def _restore(settings: "Settings", path: Path) -> "Restored":
    from hub.backup.opening import opened
    from hub.backup.restoring import Restorer
    from hub.progress import progress_bar

    async with opened(settings) as stores:
        with progress_bar("checking", "members") as checking, progress_bar("restoring") as progress:
            return await Restorer(stores, path, checking, progress).run()
