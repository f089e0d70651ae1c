"""``llm-hub keys``: API keys, over a running hub or in the folder of a stopped one."""

import argparse
import sys
from typing import Any

from hub.cli.options import target_options

HELP = "create, list, rotate and revoke API keys"


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = actions.add_parser("create", help="make a key; its secret is shown once")
    create.add_argument("--tenant", default="default", help="tenant of the key (default: default)")
    create.add_argument("--role", default="developer", choices=("admin", "developer", "viewer"))
    create.add_argument("--scopes", default="ingest,query", help="of ingest,query,admin,hub (default ingest,query)")
    create.add_argument("--expires", metavar="WHEN", help="RFC 3339; never when left out")
    listing = actions.add_parser("list", help="list the keys of a tenant")
    listing.add_argument("--tenant", help="only this tenant's")
    rotate = actions.add_parser("rotate", help="a new secret for a key; the old one ends")
    rotate.add_argument("id", help="id of the key, as `list` shows it")
    revoke = actions.add_parser("revoke", help="end a key at once")
    revoke.add_argument("id", help="id of the key, as `list` shows it")
    for action in (create, listing, rotate, revoke):
        target_options(action)


def run(args: argparse.Namespace) -> int:
    from hub.client import HubClient
    from hub.offline import serving
    from hub.target import find

    with serving(find(args)) as target, HubClient(target) as hub:
        sys.stdout.write(_ACTIONS[args.action](hub, args))
    return 0


def _create(hub: Any, args: argparse.Namespace) -> str:
    scopes = [scope.strip() for scope in args.scopes.split(",") if scope.strip()]
    body = {"tenant": args.tenant, "role": args.role, "scopes": scopes, "expires": args.expires}
    return str(hub.post("/v1/keys", body)["key"]) + "\n"


def _list(hub: Any, args: argparse.Namespace) -> str:
    from hub.cli.query import table

    names = ["id", "tenant", "role", "scopes", "expires", "last_used_at", "revoked_at"]
    found = hub.get("/v1/keys", **({"tenant": args.tenant} if args.tenant else {}))
    entries = found if isinstance(found, list) else found["keys"]
    rows = [[_cell(entry.get(name)) for name in names] for entry in entries]
    return table(names, [""] * len(names), rows)


def _cell(value: Any) -> Any:
    return ",".join(value) if isinstance(value, list) else value


def _rotate(hub: Any, args: argparse.Namespace) -> str:
    return str(hub.post(f"/v1/keys/{args.id}/rotate", {})["key"]) + "\n"


def _revoke(hub: Any, args: argparse.Namespace) -> str:
    hub.delete(f"/v1/keys/{args.id}")
    return f"{args.id} is revoked\n"


_ACTIONS = {"create": _create, "list": _list, "rotate": _rotate, "revoke": _revoke}
