"""Compare two runs' ratios: ``python -m benchmarks.compare BASE.json NEW.json``.

Either is a baseline (``benchmarks/baseline.json``) or reports of benchmarks, one a line. Exits 1 when a ratio is worse
than before by more than its noise. Ratios that only one side has are told, and are no failure.
"""

import argparse
import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.baseline import LEAST_NOISE, MORE_IS_BETTER, reports


@dataclass(frozen=True, slots=True)
class Compared:
    """A ratio then and now; ``change`` is the share by which it got worse (better is negative)."""

    name: str
    before: float
    now: float
    noise: float
    change: float

    @property
    def worse(self) -> bool:
        """Whether it got worse beyond its noise."""
        return self.change > self.noise


def load(file: Path) -> dict[str, dict[str, Any]]:
    """The ratios of a file, as in a baseline; of several runs the median."""
    text = file.read_text()
    whole = json.loads(text) if text.count("\n{") == 0 else {}
    if whole and "ratios" not in whole:
        return dict(whole)
    found: dict[str, list[float]] = {}
    for report in reports([file]):
        for name, value in report["ratios"].items():
            found.setdefault(f"{report['name']}.{name}", []).append(value)
    return {name: {"value": statistics.median(values)} for name, values in found.items()}


def compare(base: Mapping[str, Mapping[str, Any]], new: Mapping[str, Mapping[str, Any]]) -> list[Compared]:
    """Every ratio that both have."""
    found = []
    for name in sorted(base.keys() & new.keys()):
        before, now = float(base[name]["value"]), float(new[name]["value"])
        more = base[name].get("better", "more" if name.endswith(MORE_IS_BETTER) else "less") == "more"
        noise = max(float(base[name].get("noise", LEAST_NOISE)), float(new[name].get("noise", 0)))
        # of a cost the share by which it grew, of a speed the share by which the time grew: both are unbounded above
        change = (before / now if more else now / before) - 1 if now and before else float("inf")
        found.append(Compared(name, before, now, noise, change))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path)
    parser.add_argument("new", type=Path)
    args = parser.parse_args()
    base, new = load(args.base), load(args.new)
    found = compare(base, new)
    for one in found:
        verdict = "WORSE" if one.worse else "better" if one.change < -one.noise else "same"
        print(f"{one.name:45} {one.before:9.3f} → {one.now:9.3f}  {one.change:+7.1%} of ±{one.noise:.0%}  {verdict}")
    for name in sorted(base.keys() ^ new.keys()):
        print(f"{name:45} only in {'the base' if name in base else 'the new one'}")
    return 1 if any(one.worse for one in found) or not found else 0


if __name__ == "__main__":
    raise SystemExit(main())
