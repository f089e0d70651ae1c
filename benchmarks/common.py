"""What the benchmarks share: options, the machine, percentiles, a hub in a process of its own."""

import argparse
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parent.parent


def options(description: str) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, help="folder of real data")
    parser.add_argument("--out", type=Path, help="folder for detailed results")
    parser.add_argument("--quick", action="store_true", help="a short run that only shows that it works")
    return parser


def data_folder(given: Path | None) -> Path:
    """The folder of real data: given, ``LLM_HUB_BENCH_DATA``, or beside the project."""
    return given or Path(os.environ.get("LLM_HUB_BENCH_DATA", ROOT.parent / "shared" / "data"))


def machine() -> dict[str, Any]:
    """What the figures were measured on, and how busy it was."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_1m": round(os.getloadavg()[0], 2),
    }


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of ``values``; nan when there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def report(
    name: str, before: dict[str, Any], figures: dict[str, Any], ratios: dict[str, Any], out: Path | None
) -> None:
    """Print the one line, and keep it in ``out`` when asked."""
    line = json.dumps({"name": name, "machine": before, "figures": figures, "ratios": ratios})
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / f"{name}.json").write_text(line + "\n")
    print(line, flush=True)


def cpu_seconds(pid: int) -> float:
    """CPU seconds that a process has used so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _free_port() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return str(taken.getsockname()[1])


@dataclass
class Hub:
    """A hub, or one role of one, that runs in a process of its own on a free port of the loopback interface.

    Parameters
    ----------
    folder
        Its data folder.
    settings
        Environment of its own.
    role
        ``all`` for ``llm-hub up``, or what ``llm-hub run`` is to run.
    """

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    role: str = "all"
    process: subprocess.Popen[bytes] | None = None
    url: str = ""
    key: str = ""
    seconds_to_ready: float = 0.0
    _began: float = 0.0

    @property
    def log(self) -> Path:
        """What it prints."""
        return self.folder.with_suffix(".log")

    def start(self, timeout: float = 60.0, port: str = "0") -> None:
        """Start it and wait until it is ready; port 0 is a free one."""
        self.spawn(port)
        self.wait(timeout)

    def spawn(self, port: str = "0") -> None:
        """Start it, without waiting."""
        (self.folder / "hub.json").unlink(missing_ok=True)
        self._began = time.monotonic()
        if port == "0" and not self._announced:
            port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        what = ["up"] if self.role == "all" else ["run", self.role]
        command = [sys.executable, "-m", "hub", *what, "--port", port]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={"LLM_HUB_OTLP_GRPC": "off", "LLM_HUB_DATA_DIR": str(self.folder), **os.environ, **self.settings},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait(self, timeout: float = 60.0) -> None:
        """Until it is ready."""
        assert self.process is not None
        while not self._ready():
            if self.process.poll() is not None or time.monotonic() - self._began > timeout:
                self.kill()
                raise RuntimeError(f"the hub did not start; see {self.log}")
            time.sleep(0.02)
        self.seconds_to_ready = time.monotonic() - self._began
        if (file := self.folder / "admin.key").exists():
            self.key = file.read_text().strip()

    @property
    def _announced(self) -> bool:
        return self.role in ("all", "api")

    def _ready(self) -> bool:
        try:
            if self._announced:
                self.url = json.loads((self.folder / "hub.json").read_text())["url"]
            with urllib.request.urlopen(self.url + "/health/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except (OSError, ValueError, KeyError):
            return False

    def stop(self, timeout: float = 60.0) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def resident_mb(self, what: Literal["VmRSS", "VmHWM"] = "VmRSS") -> float:
        """Resident memory in MiB, now or at its highest."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split(f"{what}:")[1].split()[0]) / 1024

    def handles(self) -> int:
        """Open file descriptors."""
        assert self.process is not None
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())

    def cpu_seconds(self) -> float:
        """CPU seconds used so far, user and system."""
        assert self.process is not None
        return cpu_seconds(self.process.pid)

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """``POST /v1/query``."""
        request = urllib.request.Request(
            self.url + "/v1/query",
            data=json.dumps(question).encode(),
            headers={"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return dict(json.load(answer))

    def metrics(self) -> str:
        """``GET /metrics``."""
        with urllib.request.urlopen(self.url + "/metrics", timeout=10) as answer:
            return bytes(answer.read()).decode()

    def visible(self) -> int:
        """How many events a question sees."""
        rows = self.ask({"measures": ["events"], "time": {"from": "now-30d", "to": "now+1d"}})["rows"]
        return int(rows[0][0]) if rows else 0


@contextmanager
def fresh_hub(**settings: str) -> Iterator[Hub]:
    """A hub on an empty folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="llm-hub-bench-") as folder:
        path = Path(folder) / "data"
        path.mkdir()
        hub = Hub(path, settings)
        try:
            hub.start()
            yield hub
        finally:
            hub.kill()
