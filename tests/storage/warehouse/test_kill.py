"""kill -9 between inserts: nothing is lost, nothing counts twice. A module of its own: one folder a process."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from storage.warehouse.client import Warehouse
from tests.storage.warehouse.rows import totals

ROOT = Path(__file__).resolve().parents[3]

_CHILD = """
import sys
from pathlib import Path
from storage.warehouse.client import Warehouse
from storage.warehouse.migrations import migrate
from storage.warehouse.writer import BlockWriter
from tests.storage.warehouse.rows import block, journal, roller

folder = Path(sys.argv[1])
warehouse = Warehouse(f"chdb:///{folder / 'warehouse'}")
warehouse.open()
migrate(warehouse)
rolling = roller(warehouse)
writer = BlockWriter(warehouse, journal(folder), "hub", rolling)
resume = writer.resume("hub.events", 0)
first = resume.resend[0] if resume.resend else (-1 if resume.stored_through is None else resume.stored_through) + 1
print(f"ready {first}", flush=True)
for number in range(first, int(sys.argv[2])):
    writer.write(block(number, 500))
    rolling.roll()
print("done", flush=True)
warehouse.close()
"""


def _run(folder: Path, blocks: int, delay: float | None) -> bool:
    """Write blocks in a process that is killed after ``delay`` seconds of writing; whether it came to the end."""
    command = [sys.executable, "-c", _CHILD, str(folder), str(blocks)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline().startswith("ready")
        try:
            child.wait(delay)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
        return child.wait() == 0


@pytest.mark.chaos
@pytest.mark.slow
def test_kill_nine_loses_nothing_and_counts_nothing_twice(tmp_path: Path) -> None:
    dice, blocks = random.Random(7), 16
    for _ in range(5):
        if _run(tmp_path, blocks, dice.uniform(0.05, 0.9)):
            break
    assert _run(tmp_path, blocks, None)
    with Warehouse(f"chdb:///{tmp_path / 'warehouse'}") as warehouse:
        counted = totals(warehouse)
        assert counted["events"][0] == warehouse.query("SELECT count() FROM payloads").scalar() == blocks * 500
        assert warehouse.query("SELECT uniqExact(id) FROM events").scalar() == blocks * 500
        assert len({*counted.values()}) == 1
