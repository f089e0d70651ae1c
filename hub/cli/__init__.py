"""The command ``llm-hub``: one file a command; heavy libraries are imported when a command runs, not for ``--help``."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

#: Command → module; each has ``HELP``, ``arguments(parser)`` and ``run(args) -> int``.
COMMANDS = {
    "up": "hub.cli.up",
    "demo": "hub.cli.demo",
    "simulate": "hub.cli.simulate",
    "replay": "hub.cli.replay",
    "run": "hub.cli.run",
    "migrate": "hub.cli.migrate",
    "backup": "hub.cli.backup",
    "restore": "hub.cli.restore",
    "reprocess": "hub.cli.reprocess",
    "keys": "hub.cli.keys",
    "dead-letters": "hub.cli.dead_letters",
    "doctor": "hub.cli.doctor",
    "query": "hub.cli.query",
}


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="llm-hub",
        description="Event-streaming analytics for LLM platforms: every event kept, priced, rolled up and queryable.",
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, module_name in COMMANDS.items():
        module = import_module(module_name)
        command = commands.add_parser(name, help=module.HELP, description=module.HELP)
        module.arguments(command)
        command.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit: 0 done, 1 failed (one line says what and what to do), 2 wrong usage."""
    sys.exit(execute(argv))


def execute(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.version:
        from hub.release import release

        sys.stdout.write(f"llm-hub {release()}\n")
        return 0
    if args.command is None:
        parser.print_help()
        return 2
    from core.errors import HubError

    try:
        return int(args.run(args))
    except HubError as error:
        sys.stderr.write(f"llm-hub {args.command}: {error.detail}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0
    except OSError as error:
        what = f"{error.strerror}: {error.filename}" if error.strerror and error.filename else str(error)
        sys.stderr.write(f"llm-hub {args.command}: {what}\n")
        return 1
