"""``llm-hub replay``: recorded events, with their own timing or as fast as the hub takes them."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hub.cli.options import target_options

if TYPE_CHECKING:
    from hub.replay import Replayed
    from hub.target import Running

HELP = "send recorded NDJSON, OTLP JSON or Arrow files to a hub"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="NDJSON, OTLP JSON or Arrow; .gz and .zst too"
    )
    parser.add_argument("--speed", type=float, metavar="X", help="1 keeps the recorded timing, 10 is ten times as fast")
    parser.add_argument("--shift-to-now", action="store_true", help="move all times so that the last event is now")
    target_options(parser)


def run(args: argparse.Namespace) -> int:
    from hub.target import running

    result = asyncio.run(_replay(args, running(args)))
    sys.stdout.write("\n".join(result.summary()) + "\n")
    return 1 if result.totals.rejected else 0


async def _replay(args: argparse.Namespace, target: "Running") -> "Replayed":
    from hub.progress import progress_bar
    from hub.replay import replay
    from hub.sender import HubSender

    with progress_bar("replaying") as progress:
        async with HubSender(target.url, target.key) as sender:
            return await replay(
                args.files, sender=sender, speed=args.speed, shift_to_now=args.shift_to_now, progress=progress
            )
