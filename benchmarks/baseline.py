"""Make a baseline of several runs: ``python -m benchmarks.baseline RUNS.jsonl … > benchmarks/baseline.json``.

Only ratios are kept, for they mean the same on another machine: their median, and how far runs lie from it.
"""

import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

#: A ratio is compared with no less room than this: a few runs on one machine do not show all the noise there is.
LEAST_NOISE: Final = 0.30
#: The runs' own spread is widened by so much, for the same reason.
WIDER: Final = 1.5
LEAST_RUNS: Final = 3

#: Ratios of which more is better; of all others less is.
MORE_IS_BETTER: Final = ("_over_engine_bodies", "_over_engine_blocks", "_over_asked", "_over_ndjson")


def reports(files: Iterable[Path]) -> list[dict[str, Any]]:
    """The reports in some files, one a line."""
    return [json.loads(line) for file in files for line in file.read_text().splitlines() if line.startswith("{")]


def baseline(runs: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """``{"benchmark.ratio": {"value", "noise", "better", "runs"}}``; ``noise`` is a share of the value."""
    found: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        for name, value in run["ratios"].items():
            found[f"{run['name']}.{name}"].append(value)
    few = sorted(name for name, values in found.items() if len(values) < LEAST_RUNS)
    if few:
        raise SystemExit(f"run each benchmark {LEAST_RUNS} times or more; there are fewer of {', '.join(few)}")
    return {name: _summary(name, values) for name, values in sorted(found.items())}


def _summary(name: str, values: list[float]) -> dict[str, Any]:
    middle = statistics.median(values)
    spread = max(abs(value - middle) for value in values) / middle
    return {
        "value": round(middle, 3),
        "noise": round(max(LEAST_NOISE, WIDER * spread), 3),
        "better": "more" if name.endswith(MORE_IS_BETTER) else "less",
        "runs": len(values),
    }


if __name__ == "__main__":
    print(json.dumps(baseline(reports(map(Path, sys.argv[1:]))), indent=2))
