"""``llm-hub up``: the whole hub in one process."""

import argparse

from hub.cli.options import overrides, server_options

HELP = "start the whole hub in one process"


def arguments(parser: argparse.ArgumentParser) -> None:
    server_options(parser)


def run(args: argparse.Namespace) -> int:
    from hub.process import run_hub
    from hub.settings import load

    return run_hub(load(overrides(args, "host", "port")))
