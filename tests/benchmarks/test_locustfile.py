"""The load test runs for a few seconds against a hub, and nothing of it fails."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.common import ROOT, Hub


@pytest.mark.slow
def test_senders_and_askers_at_a_hub(tmp_path: Path) -> None:
    locust = os.environ.get("LLM_HUB_TEST_LOCUST") or shutil.which("locust", path=str(Path(sys.executable).parent))
    if locust is None:
        pytest.skip("no locust: install requirements-load.lock apart and set LLM_HUB_TEST_LOCUST to its command")
    folder = tmp_path / "data"
    folder.mkdir()
    hub = Hub(folder)
    hub.start(120)
    command = [locust, "-f", str(ROOT / "benchmarks" / "locustfile.py"), "--host", hub.url, "--headless"]
    options = [
        "-u",
        "8",
        "-r",
        "8",
        "-t",
        "10s",
        "--csv",
        str(tmp_path / "run"),
        "--only-summary",
        "--stop-timeout",
        "20",
    ]
    environ = {**os.environ, "LLM_HUB_KEY": hub.key, "LLM_HUB_BENCH_ROWS": "50", "NO_PROXY": "127.0.0.1"}
    try:
        done = subprocess.run(
            [*command, *options], env=environ, capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        rows = list(csv.DictReader((tmp_path / "run_stats.csv").read_text().splitlines()))
        asked = {row["Name"]: int(row["Request Count"]) for row in rows}
        assert asked["/v1/events"] > 0
        assert any(name.startswith("/v1/query") for name in asked), done.stderr[-3000:]
        assert sum(int(row["Failure Count"]) for row in rows) == 0, rows
        assert hub.stop() == 0
    finally:
        hub.kill()
