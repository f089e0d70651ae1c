"""End to end: HTTP in → stored, priced, rolled up and queryable.

For NDJSON, gzip and Arrow: a hub in one process, a load generator on the same cores, and the clock stops when a
question sees every event. Beside it, in the same run, the engine's own insert of the same NDJSON into one plain table:
one client, no door, no log, no price, no rollup; as bodies of the size that the hub is sent, and as blocks of the size
that the hub makes of them.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.common import ROOT, Hub, fresh_hub, machine, options, percentile, report
from benchmarks.load import ArrowBody, Body, GzipBody, NdjsonBody, Poster, drive

PLAIN_TABLE = """
CREATE TABLE plain (
  id UUID, type LowCardinality(String), source LowCardinality(String), time DateTime64(3, 'UTC'),
  project LowCardinality(String), environment LowCardinality(String), trace_id String, span_id String,
  session_id String, user_id String, attributes Map(LowCardinality(String), String),
  data Tuple(
    provider LowCardinality(String), model LowCardinality(String), operation LowCardinality(String),
    input_tokens UInt32, output_tokens UInt32, duration_ms Float32, time_to_first_token_ms Float32,
    status LowCardinality(String), error_type LowCardinality(String), http_status_code UInt16,
    finish_reason LowCardinality(String)))
ENGINE = MergeTree ORDER BY (type, time)
"""


async def watch(hub: Hub, samples: list[tuple[float, int]], stop: asyncio.Event) -> None:
    """Every five seconds: how many events are visible."""
    began = time.monotonic()
    while not stop.is_set():
        samples.append((time.monotonic() - began, await asyncio.to_thread(hub.visible)))
        try:
            await asyncio.wait_for(stop.wait(), 5)
        except TimeoutError:
            continue


async def run(
    make: Callable[[int], Body],
    seconds: float,
    connections: int,
    encoding: str = "",
    connect: Callable[[str, str, Body, str], Poster] | None = None,
    **settings: str,
) -> dict[str, float]:
    """One door under full load; events a second from the first request until all are visible."""
    with fresh_hub(**settings) as hub:
        idle = hub.resident_mb()
        warm = await drive(hub.url, hub.key, lambda number: NdjsonBody(1000, 900 + number), seconds=1, connections=2)
        before, cpu = await settle(hub, warm.events), hub.cpu_seconds()
        bodies = {number: make(number) for number in range(connections)}
        samples: list[tuple[float, int]] = []
        stop, began = asyncio.Event(), time.monotonic()
        watcher = asyncio.create_task(watch(hub, samples, stop))
        sent = await drive(
            hub.url,
            hub.key,
            bodies.__getitem__,
            seconds=seconds,
            connections=connections,
            encoding=encoding,
            connect=connect,
        )
        loaded, backlog = hub.resident_mb(), sent.events + before - hub.visible()
        stop.set()
        await watcher
        visible = await settle(hub, sent.events + before)
        elapsed = time.monotonic() - began
        if visible != sent.events + before:
            raise RuntimeError(f"sent {sent.events}, visible {visible - before}")
        return {
            "events_per_s": round(sent.events / elapsed),
            "accepted_per_s": round(sent.events / sent.seconds),
            "events": sent.events,
            "backlog_at_end_s": round(backlog / (sent.events / sent.seconds), 2),
            "hub_cpu_us_per_event": round((hub.cpu_seconds() - cpu) / sent.events * 1e6, 2),
            "accept_p50_ms": round(percentile(sent.latencies, 0.5) * 1000, 1),
            "accept_p99_ms": round(percentile(sent.latencies, 0.99) * 1000, 1),
            "resident_idle_mb": round(idle),
            "resident_loaded_mb": round(loaded),
            "busy_answers": sent.busy,
        }


async def settle(hub: Hub, expected: int | None = None) -> int:
    """Wait until the visible count is ``expected``, or stands still; the count."""
    last, since = -1, time.monotonic()
    while time.monotonic() - since < (60 if expected else 1.5):
        seen = await asyncio.to_thread(hub.visible)
        if seen == expected:
            return seen
        if seen != last:
            last, since = seen, time.monotonic()
        await asyncio.sleep(0.05)
    return last


def ceiling(rows: int, blocks: int, block: int) -> None:
    """In a process of its own: the engine's own insert of NDJSON; prints rows a second."""
    import clickhouse_connect

    body = NdjsonBody(rows, 1)
    with tempfile.TemporaryDirectory(prefix="llm-hub-bench-") as folder:
        client = clickhouse_connect.get_client(dsn=f"chdb:///{folder}/plain")
        client.command(PLAIN_TABLE)
        settings = {"date_time_input_format": "best_effort"}
        content = [
            b"\n".join(body.next(number * 100 + part) for part in range(block // rows)) for number in range(blocks)
        ]
        client.raw_insert("plain", insert_block=content[0], fmt="JSONEachRow", settings=settings)
        began = time.monotonic()
        for chunk in content[1:]:
            client.raw_insert("plain", insert_block=chunk, fmt="JSONEachRow", settings=settings)
        print(json.dumps(block * (blocks - 1) / (time.monotonic() - began)))
        client.close()


def measured_ceiling(quick: bool, block: int) -> float:
    """Median of three runs of :func:`ceiling` with blocks of ``block`` events."""
    blocks = 2 + (200_000 if quick else 800_000) // block
    code = f"from benchmarks.ingest import ceiling; ceiling({min(1000, block)}, {blocks}, {block})"
    runs = [
        float(subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True).stdout)
        for _ in range(1 if quick else 3)
    ]
    return statistics.median(runs)


def main() -> None:
    parser = options(__doc__ or "")
    parser.add_argument("--seconds", type=float, help="length of each run (default 60; 15 for gzip)")
    parser.add_argument("--rows", type=int, default=2000, help="events a request")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--only", choices=("ndjson", "gzip", "arrow"))
    args = parser.parse_args()
    seconds = args.seconds or (3.0 if args.quick else 60.0)
    before, figures = machine(), dict[str, Any]()
    compressed = min(seconds, 15.0)
    count = int(compressed * 200_000 / args.rows / args.connections) + 1
    doors: dict[str, tuple[Callable[[int], Body], float, str]] = {
        "ndjson": (partial(NdjsonBody, args.rows), seconds, ""),
        "gzip": (lambda number: GzipBody(args.rows, number, count), compressed, "gzip"),
        "arrow": (partial(ArrowBody, args.rows), seconds, ""),
    }
    sizes = {"blocks": 100_000, "bodies": args.rows}
    ceilings = {name: [measured_ceiling(args.quick, size)] for name, size in sizes.items()}
    for name, (make, length, encoding) in doors.items():
        if args.only in (None, name):
            measured = asyncio.run(run(make, length, args.connections, encoding))
            figures |= {f"{name}_{key}": value for key, value in measured.items()}
    ratios: dict[str, float] = {}
    for name, size in sizes.items():
        engine = statistics.mean([*ceilings[name], measured_ceiling(args.quick, size)])
        figures[f"engine_ndjson_{name}_per_s"] = round(engine)
        for door in doors:
            if f"{door}_events_per_s" in figures:
                ratios[f"{door}_over_engine_{name}"] = round(figures[f"{door}_events_per_s"] / engine, 3)
    if {"ndjson_events_per_s", "gzip_events_per_s"} <= figures.keys():
        ratios["gzip_over_ndjson"] = round(figures["gzip_events_per_s"] / figures["ndjson_events_per_s"], 3)
    report("ingest", before, figures, ratios, args.out)


if __name__ == "__main__":
    main()
