"""``llm-hub backup``: everything of a hub in one file; also in a folder of its own that keeps the newest ones."""

import argparse
from pathlib import Path

from hub.cli.options import target_options

HELP = "everything of a hub in one file, while it goes on or when it is stopped"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="the backup; must not be there yet")
    parser.add_argument("--dir", type=Path, metavar="DIR", help="make it in this folder, named by the time")
    parser.add_argument("--keep", type=int, metavar="N", help="with --dir: delete all but the newest N backups")
    parser.add_argument(
        "--verify",
        action="store_true",
        help="with FILE: make nothing, check that file; with --dir: restore what was made into a scratch folder",
    )
    target_options(parser)


def run(args: argparse.Namespace) -> int:
    from core.errors import HubError
    from hub.backup import command

    if (args.file is None) == (args.dir is None) or (args.keep is not None and (args.dir is None or args.keep < 1)):
        raise HubError("name a FILE, or --dir DIR with --keep N of at least 1")
    if args.file is not None and args.verify:
        return command.check(args.file)
    if args.file is not None:
        command.make(args, args.file)
        return 0
    return command.scheduled(args)
