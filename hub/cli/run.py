"""``llm-hub run ROLE``: one role of the scaled-out hub."""

import argparse

from hub.cli.options import overrides, server_options

HELP = "run one role of the scaled-out hub"

#: Roles that this release has; the other two arrive with detectors and alerts.
ROLES = ("ingest", "streams", "api")
_LATER = ("detectors", "alerts")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("role", choices=(*ROLES, *_LATER), help="which part of the hub this process is")
    server_options(parser)


def run(args: argparse.Namespace) -> int:
    from core.errors import HubError
    from hub.process import run_hub
    from hub.settings import load

    if args.role in _LATER:
        raise HubError(f"this release has no {args.role} yet; it runs {', '.join(ROLES)}")
    settings = load(overrides(args, "host", "port"))
    alone = "or run all in one process with `llm-hub up`"
    if settings.broker_url.startswith("sqlite:"):
        raise HubError(f"a role needs a log that processes can share: set LLM_HUB_BROKER_URL to kafka://…, {alone}")
    if args.role != "ingest" and settings.warehouse_url.startswith("chdb:"):
        raise HubError(
            f"the role {args.role} needs a warehouse that processes can share: set LLM_HUB_WAREHOUSE_URL to "
            f"clickhouse://…, {alone}"
        )
    return run_hub(settings, args.role)
