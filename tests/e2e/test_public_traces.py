"""Real traffic replayed with the real command: every count, token sum and cost is what a computation apart says."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.common import ROOT, Hub
from tests.e2e.public_traces import agree, record, settled

pytestmark = [pytest.mark.data, pytest.mark.slow]


def test_replay_agrees_with_a_computation_apart(hub: Hub, bench_data: Path, tmp_path: Path) -> None:
    collections, expected = record(bench_data, tmp_path)
    for files in collections:
        command = [sys.executable, "-m", "hub", "replay", *map(str, files), "--shift-to-now"]
        done = subprocess.run(
            [*command, "--data-dir", str(hub.folder)], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    agree(settled(hub, expected), expected)


def test_recorded_otlp_is_replayed(hub: Hub, bench_data: Path) -> None:
    files = [bench_data / "otlp_genai" / "otlp_json_examples" / f"{name}.json" for name in ("trace", "logs", "metrics")]
    command = [sys.executable, "-m", "hub", "replay", *map(str, files), "--shift-to-now", "--data-dir", str(hub.folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "6 accepted, 0 rejected, 0 duplicates\n"), done.stderr
    question = {"measures": ["events"], "dimensions": ["type"], "time": {"from": "now-1h", "to": "now+1h"}}
    until = time.monotonic() + 60
    while (rows := sorted(hub.ask(question)["rows"])) != [["log.record", 1], ["metric.sample", 4], ["span", 1]]:
        assert time.monotonic() < until, rows
