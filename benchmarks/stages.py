"""What each stage costs, in multiples of reading the same events with orjson: CPU time, in one process, no sockets.

A ratio of CPU times of one process stays put where the clock on the wall does not: on a busy machine, on another one.
That is what CI compares from release to release (``python -m benchmarks.compare``).
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson

from benchmarks.common import machine, options, report
from benchmarks.load import NdjsonBody
from benchmarks.otlp import ProtobufBody
from broker.log import Record
from broker.topics import EVENTS
from core.clock import SystemClock
from core.metrics import Metrics
from ingest.batch import Arrival
from ingest.decode.ndjson import decode_ndjson
from ingest.encode import event_records
from ingest.limits import Limits
from ingest.otlp.spans import decode_spans
from semantic.compile import compile_question, time_range
from semantic.question import Question
from semantic.sources import warehouse_sources
from streams.pipeline import Pipeline
from streams.prices.table import PriceTable
from streams.prices.unpriced import UnpricedModels
from streams.steps.dedupe import Deduper, Window

ROWS: Final = 2000
SPANS: Final = 500
RECORDS: Final = 5
QUESTIONS: Final = 50

#: What one run of a stage does, and how many events (or questions) that is.
Stage = tuple[Callable[[], object], int]


def stages() -> dict[str, Stage]:
    """The stages, first what the others are measured by."""
    now = datetime.now(UTC)
    arrival = Arrival("bench", now, now - timedelta(days=90), now + timedelta(days=1), "events")
    limits, body, spans = Limits(), NdjsonBody(ROWS, 1), ProtobufBody(SPANS, 1).next(1)
    lines = body.next(1).split(b"\n")
    table = decode_ndjson(body.next(1), arrival, limits).table
    records = [
        Record(EVENTS, 0, number, None, made.value, made.headers, int(now.timestamp() * 1000))
        for number in range(RECORDS)
        for made in event_records([decode_ndjson(body.next(number), arrival, limits).table], 1)
    ]
    pipeline = Pipeline(PriceTable(lambda _: ()), lambda *_: timedelta(days=90), Metrics(), UnpricedModels())
    question = Question.model_validate(
        {
            "measures": ["requests", "cost_usd", "latency_p95"],
            "dimensions": ["model"],
            "granularity": "1m",
            "time": {"from": "now-6h", "to": "now"},
            "filters": [{"field": "environment", "op": "in", "values": ["production"]}],
        }
    )
    sources, clock = warehouse_sources(), SystemClock()

    def ask() -> None:
        for _ in range(QUESTIONS):
            moment = clock.now()
            compile_question(question, "bench", moment, sources, within=time_range(question, moment))

    return {
        "orjson": (lambda: [orjson.loads(line) for line in lines], ROWS),
        "door_ndjson": (lambda: decode_ndjson(body.next(2), arrival, limits), ROWS),
        "door_otlp": (lambda: decode_spans(spans, arrival, limits, plain=False), SPANS),
        "record": (lambda: event_records([table], 1), ROWS),
        "steps": (lambda: pipeline.prepare(records, Deduper(Window()), now), ROWS * RECORDS),
        "question": (ask, QUESTIONS),
    }


def measured(rounds: int) -> dict[str, float]:
    """CPU microseconds an event of each stage: the least of many short runs, in which the stages take turns."""
    found = stages()
    least = dict.fromkeys(found, float("inf"))
    for _ in range(rounds):
        for name, (run, events) in found.items():
            began = time.process_time()
            run()
            least[name] = min(least[name], (time.process_time() - began) / events * 1e6)
    return least


def main() -> None:
    args = options(__doc__ or "").parse_args()
    before = machine()
    spent = measured(60 if args.quick else 400)
    figures = {f"{name}_us": round(value, 3) for name, value in spent.items()}
    ratios = {
        f"{name}_over_orjson": round(value / spent["orjson"], 3) for name, value in spent.items() if name != "orjson"
    }
    report("stages", before, figures, ratios, args.out)


if __name__ == "__main__":
    main()
