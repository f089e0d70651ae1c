"""The SDK in a host: what ``capture`` costs its caller, what its import costs, and whether all arrives at a hub."""

import json
import statistics
import subprocess
import sys
import time
from typing import Any

from benchmarks.common import ROOT, Hub, fresh_hub, machine, options, percentile, report

SOURCES = ROOT / "sdk" / "python" / "src"
sys.path.insert(0, str(SOURCES))

import llm_hub  # noqa: E402 - from the checkout: the SDK is a distribution of its own
from llm_hub.testing import MemoryClient  # noqa: E402

DATA = {
    "provider": "openai",
    "model": "gpt-4o",
    "operation": "chat",
    "input_tokens": 812,
    "output_tokens": 96,
    "cache_read_input_tokens": 512,
    "duration_ms": 1840.2,
    "time_to_first_token_ms": 310.5,
    "status": "ok",
    "finish_reason": "stop",
}
SLICE_S = 0.01


def paced(hub: Hub, rate: float, seconds: float, data: dict[str, Any]) -> dict[str, Any]:
    """A host that captures at ``rate``: the time of each capture, and what became of the events."""
    before = hub.visible()
    client = llm_hub.Client(hub.url, hub.key, source="gateway", project="support-bot", environment="production")
    took: list[int] = []
    wanted, began, busy = int(rate * seconds), time.perf_counter(), time.process_time()
    while len(took) < wanted:
        due = min(wanted, int((time.perf_counter() - began + SLICE_S) * rate))
        while len(took) < due:
            start = time.perf_counter_ns()
            client.capture("llm.request", data, user_id="u-1", session_id="s-1")
            took.append(time.perf_counter_ns() - start)
        time.sleep(SLICE_S / 4)
    elapsed = time.perf_counter() - began
    flushed = client.flush(60)
    whole, busy = time.perf_counter() - began, time.process_time() - busy
    stats = client.stats()
    client.close()
    while (visible := hub.visible() - before) < stats["accepted"] and time.perf_counter() - began < whole + 60:
        time.sleep(0.1)
    if not flushed or stats["accepted"] != wanted or stats["dropped"] or visible != wanted:
        raise RuntimeError(f"captured {wanted}, visible {visible}: {stats}")
    return {
        "captured_per_s": round(wanted / elapsed),
        "events": wanted,
        "capture_p50_us": round(percentile(took, 0.5) / 1e3, 2),
        "capture_p99_us": round(percentile(took, 0.99) / 1e3, 2),
        "capture_p999_us": round(percentile(took, 0.999) / 1e3, 2),
        "flushed_after_s": round(whole - elapsed, 2),
        "host_cpu_us_per_event": round(busy / wanted * 1e6, 1),
        "retries": stats["retries"],
        "lost": wanted - visible,
    }


def alone(data: dict[str, Any], count: int = 20_000) -> float:
    """Median µs of a capture that nothing is sent of; the best of five runs, as other work can only add to it."""
    medians = []
    for _ in range(5):
        client, took = MemoryClient(options=llm_hub.Options(queue_size=count)), []
        for _ in range(count):
            start = time.perf_counter_ns()
            client.capture("llm.request", data, user_id="u-1", session_id="s-1")
            took.append(time.perf_counter_ns() - start)
        medians.append(percentile(took, 0.5) / 1e3)
    return round(min(medians), 2)


def import_ms() -> float:
    """Median of the import in fresh interpreters."""
    code = (
        f"import sys, time; sys.path.insert(0, {str(SOURCES)!r}); began = time.perf_counter()\n"
        "import llm_hub; print(time.perf_counter() - began)"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(9)]
    return statistics.median(map(json.loads, runs)) * 1e3


def down(count: int) -> dict[str, Any]:
    """A hub that is not there: the same captures, a full queue, counted drops."""
    client = llm_hub.Client("http://127.0.0.1:9", "lh_x", options=llm_hub.Options(queue_size=10_000))
    took = []
    for _ in range(count):
        start = time.perf_counter_ns()
        client.capture("llm.request", DATA)
        took.append(time.perf_counter_ns() - start)
    stats = client.stats()
    began = time.perf_counter()
    client.close(1.0)
    closed = time.perf_counter() - began
    dropped = sum(client.stats()["dropped"].values())
    return {
        "capture_p99_us": round(percentile(took, 0.99) / 1e3, 2),
        "queued": stats["queued"],
        "dropped_and_counted": dropped,
        "close_s": round(closed, 2),
    }


def main() -> None:
    parser = options(__doc__ or "")
    parser.add_argument("--rate", type=float, default=20_000.0, help="events a second")
    parser.add_argument("--seconds", type=float, help="length of each run (default 20)")
    args = parser.parse_args()
    seconds = args.seconds or (2.0 if args.quick else 20.0)
    before, figures = machine(), dict[str, Any]()
    figures["import_ms"] = round(import_ms(), 1)
    conversation = DATA | {"input_messages": [{"role": "user", "content": "x" * 100} for _ in range(10)]}
    figures |= {"alone_p50_us": alone(DATA), "alone_conversation_p50_us": alone(conversation)}
    with fresh_hub() as hub:
        paced(hub, 1_000, 0.5, DATA)
        figures |= paced(hub, args.rate, seconds, DATA)
        chat = paced(hub, args.rate / 10, seconds / 4, conversation)
    figures |= {f"conversation_{name}": chat[name] for name in ("capture_p50_us", "capture_p99_us", "lost")}
    figures |= {f"down_{name}": value for name, value in down(20_000 if args.quick else 200_000).items()}
    ratios = {"captured_over_asked": round(figures["captured_per_s"] / args.rate, 3)}
    report("sdk", before, figures, ratios, args.out)


if __name__ == "__main__":
    main()
