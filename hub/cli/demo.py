"""``llm-hub demo``: the whole hub with a simulated platform in it."""

import argparse

from hub.cli.options import overrides, server_options

HELP = "start a hub with two days of simulated traffic that goes on live, and print a sign-in link"


def arguments(parser: argparse.ArgumentParser) -> None:
    server_options(parser)
    parser.add_argument("--rate", type=float, default=20.0, metavar="N", help="live events a second (default 20)")
    parser.add_argument("--seed", type=int, default=7, metavar="K", help="the same seed gives the same platform")


def run(args: argparse.Namespace) -> int:
    from hub.demo import Demo
    from hub.process import run_hub
    from hub.settings import load

    return run_hub(load(overrides(args, "host", "port")), started=Demo(args.rate, args.seed).start)
