"""Run by CI with the wheel's own interpreter, outside the repository: it starts, takes an event in, answers, stops."""

import json
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

command = sys.argv[1]
began = time.monotonic()
subprocess.run([command, "--help"], check=True, stdout=subprocess.DEVNULL)
print(f"--help: {time.monotonic() - began:.2f} s")
subprocess.run([command, "--version"], check=True)
data = Path("wheel-data")
began = time.monotonic()
process = subprocess.Popen([command, "up", "--data-dir", str(data), "--port", "0"])
try:
    while not (data / "hub.json").exists():
        if process.poll() is not None or time.monotonic() - began > 60:
            sys.exit("the hub of the wheel did not start")
        time.sleep(0.05)
    url = json.loads((data / "hub.json").read_text())["url"]
    key = (data / "admin.key").read_text().strip()
    print(f"ready after {time.monotonic() - began:.2f} s at {url}")

    def call(path: str, body: object) -> dict[str, object]:
        request = urllib.request.Request(
            url + path,
            data=json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return dict(json.load(answer))

    event = {
        "type": "llm.request",
        "source": "gateway",
        "time": int(time.time() * 1000),
        "data": {"model": "gpt-4o", "provider": "openai", "input_tokens": 1000, "output_tokens": 100},
    }
    assert call("/v1/events", event)["accepted"] == 1
    question = {"measures": ["requests", "cost_usd"], "time": {"from": "now-1h", "to": "now+1m"}}
    while True:
        rows = call("/v1/query", question)["rows"]
        if rows and rows[0][0] == 1:  # type: ignore[index]
            break
        if time.monotonic() - began > 90:
            sys.exit(f"the event was not seen: {rows}")
        time.sleep(0.05)
    print(f"counted and priced: {rows}")
    with urllib.request.urlopen(url + "/", timeout=30) as page:
        assert b"<html" in page.read().lower()
finally:
    process.send_signal(signal.SIGTERM)
assert process.wait(60) == 0, process.returncode
print("stopped cleanly")
