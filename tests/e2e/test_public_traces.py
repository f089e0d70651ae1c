"""Real traffic replayed with the real command: every count, token sum and cost is what a computation apart says."""

import subprocess
import sys
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
