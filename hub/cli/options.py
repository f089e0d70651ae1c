"""Options that several commands share."""

import argparse
from pathlib import Path
from typing import Any


def server_options(parser: argparse.ArgumentParser) -> None:
    """``--data-dir``, ``--host`` and ``--port`` of the commands that start a hub."""
    parser.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="folder of the hub's data (default ./llm-hub-data)"
    )
    parser.add_argument("--host", metavar="H", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, metavar="P", help="port to listen on (default 8080; 0 takes a free one)")


def target_options(parser: argparse.ArgumentParser) -> None:
    """``--data-dir``, or ``--url`` and ``--key``, of the commands that need a hub."""
    parser.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="folder of a hub on this machine (default ./llm-hub-data)"
    )
    parser.add_argument("--url", help="a running hub, for example http://127.0.0.1:8080 (or LLM_HUB_URL)")
    parser.add_argument("--key", help="an API key of that hub (or LLM_HUB_KEY)")


def overrides(args: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Those settings that the command line names."""
    return {name: getattr(args, name) for name in ("data_dir", *names)}
