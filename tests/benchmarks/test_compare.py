"""Releases are compared by ratios, and no difference within the noise is called one."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import compare
from benchmarks.baseline import baseline, reports
from benchmarks.common import ROOT


def run_of(name: str, **ratios: float) -> dict[str, Any]:
    return {"name": name, "machine": {}, "figures": {}, "ratios": ratios}


RUNS = [run_of("stages", door_over_orjson=value, gzip_over_ndjson=value / 10) for value in (9.0, 10.0, 10.0, 12.0)]


def test_a_baseline_is_the_median_and_the_noise_of_several_runs() -> None:
    made = baseline(RUNS)
    assert made["stages.door_over_orjson"] == {"value": 10.0, "noise": 0.3, "better": "less", "runs": 4}
    assert made["stages.gzip_over_ndjson"]["better"] == "more"
    steady = baseline([run_of("a", x_over_y=1.0)] * 3)
    assert steady["a.x_over_y"]["noise"] == 0.3  # no less: three runs do not show all of it
    with pytest.raises(SystemExit, match=r"a\.x_over_y"):
        baseline([run_of("a", x_over_y=1.0)] * 2)


@pytest.mark.parametrize(
    ("cost", "speed", "worse"),
    [
        (10.0, 1.0, []),
        (12.9, 0.78, []),
        (13.1, 1.0, ["stages.door_over_orjson"]),
        (10.0, 0.7, ["stages.gzip_over_ndjson"]),
        (5.0, 2.0, []),
        (0.0, 0.0, ["stages.door_over_orjson", "stages.gzip_over_ndjson"]),
    ],
)
def test_only_what_is_worse_beyond_its_noise_is(cost: float, speed: float, worse: list[str]) -> None:
    new = {"stages.door_over_orjson": {"value": cost}, "stages.gzip_over_ndjson": {"value": speed}}
    assert [one.name for one in compare.compare(baseline(RUNS), new) if one.worse] == worse


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    base, good, bad, other = (tmp_path / name for name in ("base.json", "good.jsonl", "bad.json", "other.json"))
    base.write_text(json.dumps(baseline(RUNS), indent=2))
    good.write_text("noise of a log\n" + "\n".join(json.dumps(one) for one in [*RUNS, run_of("new", a_over_b=1)]))
    bad.write_text(json.dumps(run_of("stages", door_over_orjson=20.0)))
    other.write_text(json.dumps(run_of("other", a_over_b=1.0)))

    def run(*files: Path) -> int:
        monkeypatch.setattr(sys, "argv", ["compare", *map(str, files)])
        return compare.main()

    assert run(base, good) == 0
    told = capsys.readouterr().out
    assert told.count("same") == 2
    assert "new.a_over_b" in told
    assert "only in the new one" in told
    assert run(base, bad) == 1
    assert "WORSE" in capsys.readouterr().out
    assert run(bad, good) == 0  # two reports compare too
    assert "better" in capsys.readouterr().out
    assert run(base, other) == 1  # nothing was compared


def test_the_stored_baseline_is_one_and_ci_runs_what_it_has() -> None:
    stored = json.loads((ROOT / "benchmarks" / "baseline.json").read_text())
    ci = (ROOT / ".ci" / "run").read_text()
    assert "benchmarks.compare benchmarks/baseline.json" in ci
    for name, one in stored.items():
        assert set(one) == {"value", "noise", "better", "runs"}
        assert one["runs"] >= 3
        assert one["noise"] < 1, f"{name} is too noisy to be worth comparing"
        assert (ROOT / "benchmarks" / f"{name.split('.')[0]}.py").exists()
    assert {"stages.door_ndjson_over_orjson", "stages.steps_over_orjson"} <= set(stored)


def test_reports_are_read_from_what_a_benchmark_prints(tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_text('told while it ran\n{"name": "a", "ratios": {}}\n\n')
    assert reports([file]) == [{"name": "a", "ratios": {}}]
