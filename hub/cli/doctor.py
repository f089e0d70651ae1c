"""``llm-hub doctor``: is everything in order, and if not, what to do."""

import argparse
import asyncio
import json
import sys

from hub.cli.options import target_options

HELP = "check settings, log, storage, migrations, clock and disk, and say what to do"


def arguments(parser: argparse.ArgumentParser) -> None:
    target_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object, for machines")


def run(args: argparse.Namespace) -> int:
    from core.errors import HubError, SettingsError
    from hub.doctor import Finding, examine
    from hub.target import find

    try:
        findings = asyncio.run(examine(find(args)))
    except SettingsError as error:
        findings = [Finding("settings", False, error.detail)]
    except HubError as error:
        if not args.json:
            raise
        findings = [Finding("hub", False, error.detail)]
    good = all(finding.good for finding in findings)
    if args.json:
        told = [{"part": one.part, "ok": one.good, "text": one.text} for one in findings]
        sys.stdout.write(json.dumps({"ok": good, "findings": told}) + "\n")
    else:
        for finding in findings:
            sys.stdout.write(f"{'ok  ' if finding.good else 'FAIL'}  {finding.part}: {finding.text}\n")
    return 0 if good else 1
