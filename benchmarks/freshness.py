"""Accepted → visible in a question, while 5,000 events a second flow in.

A probe event with a project of its own is posted; the clock runs from its 202 until ``/v1/query`` counts it.
"""

import asyncio
import random
import time
import urllib.request
from datetime import UTC, datetime

import orjson

from benchmarks.common import Hub, fresh_hub, machine, options, percentile, report
from benchmarks.load import NdjsonBody, drive, event


def probe(hub: Hub, number: int) -> float:
    """Seconds from the 202 of one event until a question counts it."""
    body = event(random.Random(f"probe-{number}"), number, datetime.now(UTC)) | {"project": f"probe-{number}"}
    body.pop("id")
    request = urllib.request.Request(
        hub.url + "/v1/events",
        data=orjson.dumps(body),
        headers={"Authorization": f"Bearer {hub.key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert orjson.loads(answer.read())["accepted"] == 1
    accepted = time.monotonic()
    question = {
        "measures": ["events"],
        "time": {"from": "now-15m", "to": "now+1m"},
        "filters": [{"field": "project", "op": "eq", "values": [f"probe-{number}"]}],
    }
    while not (rows := hub.ask(question)["rows"]) or not rows[0][0]:
        if time.monotonic() - accepted > 30:
            raise RuntimeError("a probe was never seen")
        time.sleep(0.01)
    return time.monotonic() - accepted


async def run(hub: Hub, rate: float, seconds: float) -> list[float]:
    """Probes, one after the other, while the load runs."""
    load = asyncio.create_task(
        drive(hub.url, hub.key, lambda number: NdjsonBody(250, number), seconds=seconds, connections=2, rate=rate)
    )
    await asyncio.sleep(2)
    delays: list[float] = []
    while not load.done():
        delays.append(await asyncio.to_thread(probe, hub, len(delays)))
        await asyncio.sleep(random.Random(len(delays)).random() * 0.2)
    await load
    return delays


def main() -> None:
    parser = options(__doc__ or "")
    parser.add_argument("--rate", type=float, default=5000)
    parser.add_argument("--seconds", type=float)
    args = parser.parse_args()
    before = machine()
    with fresh_hub() as hub:
        cpu, began = hub.cpu_seconds(), time.monotonic()
        delays = asyncio.run(run(hub, args.rate, args.seconds or (6 if args.quick else 60)))
        busy = (hub.cpu_seconds() - cpu) / (time.monotonic() - began)
    figures = {
        "probes": len(delays),
        "rate_events_per_s": args.rate,
        "visible_p50_s": round(percentile(delays, 0.5), 3),
        "visible_p99_s": round(percentile(delays, 0.99), 3),
        "hub_cores_busy": round(busy, 2),
    }
    report("freshness", before, figures, {}, args.out)


if __name__ == "__main__":
    main()
