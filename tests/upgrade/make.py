"""Makes a data folder as an earlier release leaves it, and what it answered.

``python -m tests.upgrade.make CHECKOUT NAME``: ``CHECKOUT`` is a working tree of that release (``git worktree add
CHECKOUT COMMIT``). The tenant keeps its events for ten years, so that the answers stay what they are.
"""

import json
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

HERE = Path(__file__).parent
NOW = datetime.now(UTC).replace(microsecond=0)
SPAN = {"from": (NOW - timedelta(days=60)).isoformat(), "to": (NOW + timedelta(hours=1)).isoformat()}
MEASURES = ["events", "requests", "errors", "input_tokens", "output_tokens", "cost_usd", "unpriced_requests", "users"]
#: Answered from raw rows, from several rollups, and from contents.
QUESTIONS: list[dict[str, Any]] = [
    {"measures": MEASURES, "time": SPAN},
    {"measures": [*MEASURES, "latency_p95"], "dimensions": ["model"], "time": SPAN},
    {"measures": MEASURES, "dimensions": ["type", "provider", "status"], "time": SPAN},
    {"measures": ["requests", "cost_usd"], "dimensions": ["user_id"], "time": SPAN},
    {"measures": ["requests", "cost_usd"], "dimensions": ["session_id"], "time": SPAN},
    {"measures": ["events", "cost_usd"], "granularity": "1d", "time": SPAN},
]
#: Ids of events that are in the log alone when the hub ends; later than what is asked.
WAITING = ("0192f0c1-aaaa-7000-8000-000000000001", "0192f0c1-aaaa-7000-8000-000000000002")


def events() -> list[dict[str, Any]]:
    """Of two months, of several types, with and without prices and contents."""
    return [event(number, NOW - timedelta(hours=7 * number, seconds=number)) for number in range(200)]


def event(number: int, time: datetime, **more: Any) -> dict[str, Any]:
    data: dict[str, Any] = {
        "provider": "openai",
        "model": ("gpt-4o", "gpt-4o-mini", "our-own", "nobody-knows")[number % 4],
        "input_tokens": 100 + number,
        "output_tokens": number,
        "duration_ms": 10.0 * number,
        "status": "error" if number % 10 == 0 else "ok",
        "input_messages": [{"role": "user", "content": f"question {number}"}],
    }
    kind = "llm.request"
    if number % 5 == 0:
        kind, data = "tool.call", {"tool_name": f"tool-{number % 3}", "duration_ms": 1.0}
    envelope = {"user_id": f"u-{number % 7}", "session_id": f"s-{number % 11}", "trace_id": f"{number // 2:032x}"}
    return {"type": kind, "source": "gateway", "time": time.isoformat(), "data": data, **envelope, **more}


class Old:
    """The earlier release on a folder."""

    def __init__(self, checkout: Path, folder: Path, **settings: str) -> None:
        environment = {"PATH": os.environ["PATH"], "LLM_HUB_OTLP_GRPC": "off", **settings}
        command = [sys.executable, "-m", "hub", "up", "--data-dir", str(folder), "--port", "0"]
        self.process = subprocess.Popen(command, cwd=checkout, env=environment)
        while not (folder / "hub.json").exists():
            assert self.process.poll() is None, "it ended"
            time.sleep(0.1)
        url = json.loads((folder / "hub.json").read_text())["url"]
        key = (folder / "admin.key").read_text().strip()
        self.http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60, trust_env=False)

    def post(self, path: str, body: Any, **headers: str) -> Any:
        answer = self.http.post(path, json=body, headers=headers)
        answer.raise_for_status()
        return answer.json()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def make(checkout: Path, folder: Path) -> dict[str, Any]:
    """Fill the folder; what is to be found in it."""
    old = Old(checkout, folder)
    days = {"events": 3650, "payloads": 3650, "rollups": 800}
    old.http.patch("/v1/tenants/default", json={"settings": {"retention_days": days}}).raise_for_status()
    price = {"model": "our-own", "input_price_usd_per_mtok": 5, "output_price_usd_per_mtok": 7}
    old.post("/v1/prices", price)
    old.post("/v1/users", {"email": "ann@example.com"})
    sent = events()
    for first in range(0, 150, 50):
        old.post("/v1/events", sent[first : first + 50], **{"Idempotency-Key": f"part-{first}"})
    time.sleep(25)  # folded by then
    old.post("/v1/events", [*sent[150:], {"type": "no.such"}])
    time.sleep(3)  # stored by then, and behind the rollups
    answers = [old.post("/v1/query", question)["rows"] for question in QUESTIONS]
    trace = old.http.get(f"/v1/traces/{1:032x}").json()
    old.stop()
    assert answers[0][0][0] == 200, answers[0]
    old = Old(checkout, folder, LLM_HUB_BLOCK_LINGER_MS="10000")
    old.post("/v1/events", [event(1, NOW + timedelta(hours=2), id=name) for name in WAITING])
    old.stop()
    return {"questions": QUESTIONS, "answers": answers, "trace": trace, "waiting": WAITING, "made": NOW.isoformat()}


def main() -> None:
    checkout, name = Path(sys.argv[1]).absolute(), sys.argv[2]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "data"
        folder.mkdir()
        expected = make(checkout, folder)
        with tarfile.open(HERE / f"{name}.tar.xz", "w:xz") as archive:
            archive.add(folder, "data", filter=lambda entry: None if entry.name.endswith(".lock") else entry)
    (HERE / f"{name}.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
