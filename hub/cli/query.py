"""``llm-hub query``: a question from the terminal, as a table."""

import argparse
import csv
import io
import json
import sys
from typing import Any

from hub.cli.options import target_options

HELP = "ask a question, for example 'latency_p95 by model last 1h'"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("question", help="measures [by dimensions] [last 1h] [where name = value] [every 1m]")
    target_options(parser)
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="the answer as JSON")
    shape.add_argument("--csv", action="store_true", help="the answer as CSV")


def run(args: argparse.Namespace) -> int:
    from hub.client import HubClient
    from hub.target import running
    from semantic.text import parse_question

    question = parse_question(args.question)
    with HubClient(running(args)) as hub:
        answer = hub.post("/v1/query", question.model_dump(mode="json", by_alias=True, exclude_none=True))
    sys.stdout.write(_render(answer, args))
    return 0


def _render(answer: dict[str, Any], args: argparse.Namespace) -> str:
    if args.json:
        return json.dumps(answer) + "\n"
    names = [column["name"] for column in answer["columns"]]
    if args.csv:
        out = io.StringIO()
        csv.writer(out).writerows([names, *answer["rows"]])
        return out.getvalue()
    return table(names, [column.get("unit") or "" for column in answer["columns"]], answer["rows"])


def table(names: list[str], units: list[str], rows: list[list[Any]]) -> str:
    """Columns side by side; numbers to the right.

    Examples
    --------
    >>> print(table(["model", "requests"], ["", ""], [["gpt-4o", 12]]), end="")
    model   requests
    gpt-4o        12
    """
    heads = [f"{name} ({unit})" if unit else name for name, unit in zip(names, units, strict=True)]
    texts = [[_text(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *texts, strict=True)]
    numeric = [bool(rows) and all(_is_number(row[i]) for row in rows) for i in range(len(names))]
    lines = [
        "  ".join(
            t.rjust(w) if right else t.ljust(w) for t, w, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in [heads, *texts]
    ]
    return "\n".join(lines) + "\n"


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.6g}" if abs(value) < 1 else f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
