"""``llm-hub simulate``: realistic traffic, to a hub or into a file."""

import argparse
import asyncio
import math
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hub.cli.options import target_options

#: Files begin at the same moment whenever they are made: the same seed gives the same bytes.
_FILE_START = datetime(2026, 11, 2, tzinfo=UTC)

HELP = "send realistic traffic with named faults to a hub, or write it to a file"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rate", type=float, default=100.0, metavar="N", help="events a second (default 100)")
    parser.add_argument("--duration", type=float, default=600.0, metavar="S", help="simulated seconds (default 600)")
    parser.add_argument("--seed", type=int, default=0, metavar="K", help="the same seed gives the same events")
    parser.add_argument("--scenario", default="calm", metavar="NAME", help="calm, mixed or the name of a fault")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="write the truth about the faults here, as JSON")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write NDJSON here (.gz and .zst are compressed)")
    parser.add_argument(
        "--via", default="events", metavar="DOOR", help="the door: events, otlp, cloudevents, adapters or sdk"
    )
    parser.add_argument("--history", action="store_true", help="end now and send at full speed instead of live")
    target_options(parser)


def run(args: argparse.Namespace) -> int:
    from core.errors import SettingsError
    from hub.progress import progress_bar
    from hub.simulate import SimulationConfig, simulate
    from hub.target import running

    if not (math.isfinite(args.rate) and args.rate > 0 and math.isfinite(args.duration) and args.duration > 0):
        raise SettingsError("--rate and --duration must be above 0")
    duration = timedelta(seconds=args.duration)
    live = not (args.out or args.history)
    now = datetime.now(UTC)
    config = SimulationConfig(
        seed=args.seed,
        rate=args.rate,
        start=_FILE_START if args.out else now if live else now - duration,
        duration=duration,
        scenario=args.scenario,
    )
    target = None if args.out else running(args)
    with progress_bar("simulating") as progress:
        outcome = asyncio.run(
            simulate(
                config,
                out=args.out,
                url=target.url if target else None,
                key=target.key if target else None,
                live=live,
                labels=args.labels,
                via=args.via,
                progress=progress,
            )
        )
    rejected = sum(totals.rejected for totals in outcome.totals.values())
    sys.stdout.write(f"{outcome.events:,} events" + (f", {rejected:,} rejected" if rejected else "") + "\n")
    return 1 if rejected else 0
