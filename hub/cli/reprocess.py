"""``llm-hub reprocess``: history priced anew, after a new price or with a newer table of prices."""

import argparse
import sys
import time
from typing import Any

from hub.cli.options import target_options

HELP = "price stored calls anew, after a price has changed"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="start", required=True, metavar="WHEN", help="calls from here on (RFC 3339)")
    parser.add_argument("--to", dest="end", required=True, metavar="WHEN", help="calls before this")
    parser.add_argument("--tenant", action="append", default=[], help="of this tenant alone; may be repeated")
    parser.add_argument("--model", action="append", default=[], help="of this model alone; may be repeated")
    parser.add_argument("--dry-run", action="store_true", help="only tell what would change")
    target_options(parser)


def run(args: argparse.Namespace) -> int:
    from hub.client import HubClient
    from hub.progress import progress_bar
    from hub.target import running

    wanted = {"from": args.start, "to": args.end, "tenants": args.tenant, "models": args.model}
    with HubClient(running(args), patience=3600) as hub:
        told = hub.post("/v1/admin/reprocess", {**wanted, "dry_run": args.dry_run})
        if args.dry_run:
            sys.stdout.write(_figures(told["figures"]))
            return 0
        begun, figures = told["id"], told["figures"]
        with progress_bar("pricing anew") as progress:
            while told["running"] and told["id"] == begun:
                figures = told["figures"]
                progress(figures["events"], told["step"] / max(1, told["steps"]))
                time.sleep(0.2)
                told = hub.get("/v1/admin/reprocess")
    sys.stdout.write(_figures(figures))
    return 0


def _figures(found: dict[str, Any]) -> str:
    return (
        f"{found['changed']:,} of {found['events']:,} calls change: {found['usd_before']} → {found['usd_after']} USD, "
        f"{found['unpriced_before']:,} → {found['unpriced_after']:,} unpriced\n"
    )
