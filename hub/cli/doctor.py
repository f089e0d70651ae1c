"""``llm-hub doctor``: is everything in order, and if not, what to do."""

import argparse
import asyncio
import sys

from hub.cli.options import target_options

HELP = "check settings, log, storage, migrations, clock and disk, and say what to do"


def arguments(parser: argparse.ArgumentParser) -> None:
    target_options(parser)


def run(args: argparse.Namespace) -> int:
    from hub.doctor import examine
    from hub.target import find

    findings = asyncio.run(examine(find(args)))
    for finding in findings:
        sys.stdout.write(f"{'ok  ' if finding.good else 'FAIL'}  {finding.part}: {finding.text}\n")
    return 0 if all(finding.good for finding in findings) else 1
