"""``llm-hub dead-letters``: what could not be processed, over a running hub or in the folder of a stopped one."""

import argparse
import base64
import json
import sys
from collections.abc import Iterator
from typing import Any

from hub.cli.options import target_options

HELP = "list, show, replay and purge what could not be processed"


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="letters, newest first")
    show = actions.add_parser("show", help="one letter with its bytes")
    replay = actions.add_parser("replay", help="send letters again: one, or all that wait and meet the conditions")
    purge = actions.add_parser("purge", help="put letters away: one, or all that wait and meet the conditions")
    show.add_argument("id", help="id of the letter, as `list` shows it")
    show.add_argument("--raw", action="store_true", help="nothing but the bytes, as they came")
    for action in (replay, purge):
        action.add_argument("id", nargs="?", help="id of one letter, as `list` shows it")
    for action in (listing, replay, purge):
        action.add_argument("--tenant", help="of this tenant, or '' for those of none")
        action.add_argument("--stage", choices=("ingest", "decode", "store"))
        action.add_argument("--reason", metavar="TEXT", help="with this in the reason, its kind, or the field's name")
        action.add_argument("--from", dest="start", metavar="WHEN", help="of this time or later (RFC 3339)")
        action.add_argument("--to", dest="end", metavar="WHEN", help="before this time")
    listing.add_argument("--state", default="waiting", choices=("waiting", "replayed", "purged", "all"))
    listing.add_argument("--limit", type=int, default=100, metavar="N", help="at most so many (default 100)")
    listing.add_argument("--json", action="store_true", help="one letter a line as JSON")
    purge.add_argument("--all", action="store_true", help="needed to purge without any condition")
    for action in (listing, show, replay, purge):
        target_options(action)


def run(args: argparse.Namespace) -> int:
    from hub.client import HubClient
    from hub.offline import serving
    from hub.target import find

    with serving(find(args), whole=True) as target, HubClient(target) as hub:
        return int(_ACTIONS[args.action](hub, args))


def _conditions(args: argparse.Namespace) -> dict[str, str]:
    given = {"tenant": args.tenant, "stage": args.stage, "reason": args.reason, "from": args.start, "to": args.end}
    return {name: value for name, value in given.items() if value is not None}


def _list(hub: Any, args: argparse.Namespace) -> int:
    from hub.cli.query import table

    letters = list(_letters(hub, args))
    if args.json:
        sys.stdout.writelines(json.dumps(letter) + "\n" for letter in letters)
        return 0
    rows = [[letter["id"], letter["time"][:19], letter["state"], *_whence(letter)] for letter in letters]
    sys.stdout.write(table(["id", "time", "state", "from", "reason"], [""] * 5, rows))
    return 0


def _letters(hub: Any, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    left: int = args.limit
    cursor: str | None = None
    while left > 0:
        place = {"cursor": cursor} if cursor else {}
        page = hub.get("/v1/dead-letters", **_conditions(args), state=args.state, limit=min(left, 1000), **place)
        yield from page["letters"]
        left, cursor = left - len(page["letters"]), page["cursor"]
        if cursor is None:
            return


def _whence(letter: dict[str, Any]) -> tuple[str, str]:
    if letter["tenant"] is None:
        return f"{letter['topic']}[{letter['partition']}] {letter['offset']}", f"{letter['stage']}: {letter['reason']}"
    return f"{letter['tenant']} {letter['door']}", f"{letter['field']} {letter['reason']}".strip()


def _show(hub: Any, args: argparse.Namespace) -> int:
    letter = hub.get(f"/v1/dead-letters/{args.id}")
    if not args.raw:
        sys.stdout.write(json.dumps(letter, indent=2, ensure_ascii=False) + "\n")
        return 0
    text, coded = letter["original"], letter["original_base64"]
    sys.stdout.flush()
    sys.stdout.buffer.write(base64.b64decode(coded) if coded is not None else (text or "").encode())
    return 0


def _replay(hub: Any, args: argparse.Namespace) -> int:
    done = dict.fromkeys(("replayed", "accepted", "records", "duplicates", "rejected"), 0)
    for page in _pages(lambda place: hub.post(*_replayed(args, place)), args):
        for name in done:
            done[name] += page[name]
        sys.stderr.writelines(f"{one['id']}: {one['field']} {one['reason']}\n" for one in page["errors"])
    sys.stdout.write(
        f"{done['replayed']} replayed ({done['accepted']} events, {done['records']} records accepted, "
        f"{done['duplicates']} known already), {done['rejected']} rejected again\n"
    )
    return 1 if done["rejected"] else 0


def _replayed(args: argparse.Namespace, place: dict[str, str]) -> tuple[str, dict[str, str]]:
    if args.id:
        return f"/v1/dead-letters/{args.id}/replay", {}
    return "/v1/dead-letters/replay", {**_conditions(args), **place}


def _purge(hub: Any, args: argparse.Namespace) -> int:
    path, conditions = (f"/v1/dead-letters/{args.id}", {}) if args.id else ("/v1/dead-letters", _conditions(args))
    everything = {"all": "true"} if args.all and not args.id else {}
    pages = _pages(lambda place: hub.delete(path, **conditions, **everything, **place), args)
    sys.stdout.write(f"{sum(page['purged'] for page in pages)} purged\n")
    return 0


def _pages(ask: Any, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    place: dict[str, str] = {}
    while True:
        page = ask(place)
        yield page
        if args.id or page["cursor"] is None:
            return
        place = {"cursor": page["cursor"]}


_ACTIONS = {"list": _list, "show": _show, "replay": _replay, "purge": _purge}
