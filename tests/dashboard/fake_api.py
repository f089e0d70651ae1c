"""A small stand-in for the public API: the contract's shapes over the data of ``fake_data``.

Run it by hand to look at the pages: ``python -m tests.dashboard.fake_api 8765``.
"""

import asyncio
import copy
import json
import re
import sys
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from access.web import identify
from core.errors import HubError, NotFound, Retryable
from dashboard.pages import router
from tests.dashboard.fake_data import events, trace
from tests.dashboard.fake_search import search

OK, ERROR = pl.col("status") == "ok", pl.col("status") == "error"
SPEED = pl.col("output_tokens").sum() / ((pl.col("duration_ms") - pl.col("time_to_first_token_ms")).sum() / 1000)
MEASURES: dict[str, tuple[pl.Expr, str, str]] = {
    "events": (pl.len(), "integer", "count"),
    "requests": (pl.len(), "integer", "count"),
    "errors": (ERROR.sum(), "integer", "count"),
    "error_rate": (ERROR.mean(), "number", "ratio"),
    "cost_usd": (pl.col("cost_usd").sum(), "number", "usd"),
    "unpriced_requests": (pl.col("cost_usd").is_null().sum(), "integer", "count"),
    "users": (pl.col("user_id").n_unique(), "integer", "count"),
    "sessions": (pl.col("session_id").n_unique(), "integer", "count"),
    "traces": (pl.col("trace_id").n_unique(), "integer", "count"),
    "total_tokens": ((pl.col("input_tokens") + pl.col("output_tokens")).sum(), "integer", "tokens"),
    "latency_avg": (pl.col("duration_ms").mean(), "number", "ms"),
    "tokens_per_second": (SPEED, "number", "tokens/s"),
    **{
        name: (pl.col(name).sum(), "integer", "tokens")
        for name in ("input_tokens", "output_tokens", "cache_read_input_tokens")
    },
    **{f"latency_p{p}": (pl.col("duration_ms").quantile(p / 100), "number", "ms") for p in (50, 90, 95, 99)},
    **{f"ttft_p{p}": (pl.col("time_to_first_token_ms").quantile(p / 100), "number", "ms") for p in (50, 95, 99)},
}
CONTENTS = frozenset({"input_messages", "output_messages", "arguments", "result", "query"})
STEP = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class FakeHub:
    """The data, and whether it is asked with a session."""

    def __init__(self, now: datetime, *, rows: int = 24_000, empty: bool = False) -> None:
        self.now = now
        self.frame = events(now, rows=rows)
        if empty:
            self.frame = self.frame.clear()
        self.fail = False
        self.questions: list[dict[str, Any]] = []
        self.whole: dict[str, dict[str, Any]] = {}

    def fresh(self) -> "FakeHub":
        """The same data with all knobs where they were."""
        twin = copy.copy(self)
        twin.fail, twin.questions = False, []
        return twin

    def without_contents(self, span: dict[str, Any]) -> dict[str, Any]:
        """A span as a trace has it; the whole of it is at ``/v1/events``."""
        key = str(uuid.uuid5(uuid.NAMESPACE_URL, span["span_id"]))
        self.whole[key] = {"id": key, "data": span["data"], "attributes": span.get("attributes", {})}
        data = {name: value for name, value in span["data"].items() if name not in CONTENTS}
        children = [self.without_contents(child) for child in span["children"]]
        plain = {name: value for name, value in span.items() if name != "attributes"}
        return {**plain, "id": key, "data": data, "children": children}

    def traces(self) -> list[dict[str, Any]]:
        return self.frame.tail(260).reverse().to_dicts()


def _time(text: str, now: datetime) -> datetime:
    match = re.fullmatch(r"now(?:-(\d+)([smhd]))?", text)
    if match:
        return now - timedelta(seconds=int(match[1] or 0) * STEP[match[2] or "s"])
    return datetime.fromisoformat(text)


def answer(hub: FakeHub, question: dict[str, Any]) -> dict[str, Any]:
    """The rows of a question, empty buckets filled."""
    started = time.perf_counter()
    start, end = (_time(question["time"][side], hub.now) for side in ("from", "to"))
    frame = hub.frame.filter(pl.col("time") >= start, pl.col("time") < end)
    for item in question.get("filters", []):
        chosen = pl.col(item["field"]).is_in(item["values"])
        frame = frame.filter(chosen if item["op"] == "in" else ~chosen)
    measures, dimensions = question["measures"], list(question.get("dimensions", []))
    aggregates = [MEASURES[name][0].alias(name) for name in measures]
    granularity = question.get("granularity")
    if granularity:
        seconds = int(granularity[:-1]) * STEP[granularity[-1]]
        bucket = (pl.col("time").dt.epoch("s") // seconds * seconds).alias("bucket")
        rows = frame.group_by(bucket, *dimensions).agg(aggregates).sort("bucket", *dimensions)
        found = rows.with_columns(pl.from_epoch("bucket")).rows()
        rows_out = [[f"{row[0].isoformat()}Z", *row[1:]] for row in found]
    elif dimensions:
        order = question.get("order") or [{"field": measures[0], "direction": "desc"}]
        rows = (
            frame.group_by(dimensions)
            .agg(aggregates)
            .sort(order[0]["field"], descending=order[0]["direction"] == "desc", nulls_last=True)
        )
        rows_out = [list(row) for row in rows.head(question.get("limit", 100)).rows()]
    else:
        rows_out = [list(frame.select(aggregates).row(0))]
    columns = [{"name": "time", "type": "datetime", "unit": None}] if granularity else []
    columns += [{"name": name, "type": "string", "unit": None} for name in dimensions]
    columns += [{"name": name, "type": MEASURES[name][1], "unit": MEASURES[name][2]} for name in measures]
    elapsed = (time.perf_counter() - started) * 1000
    meta = {
        "elapsed_ms": round(elapsed, 2),
        "rows_read": frame.height,
        "source": "rollup_1m",
        "watermark": hub.now.isoformat(),
    }
    return {"columns": columns, "rows": rows_out, "meta": meta}


def _event(row: dict[str, Any], at: datetime) -> dict[str, Any]:
    data = {
        name: row[name]
        for name in (
            "model",
            "provider",
            "status",
            "error_class",
            "input_tokens",
            "output_tokens",
            "duration_ms",
            "cost_usd",
        )
    }
    top = {
        name: row[name] for name in ("type", "source", "project", "environment", "trace_id", "session_id", "user_id")
    }
    return {"id": str(uuid.uuid5(uuid.NAMESPACE_URL, row["trace_id"])), "time": at.isoformat(), **top, "data": data}


async def _live(hub: FakeHub, gap: float) -> AsyncIterator[str]:
    rows, at = hub.traces(), 0
    while rows:
        latest = [_event(rows[(at + turn) % len(rows)], datetime.now(UTC)) for turn in range(9 if at == 0 else 1)]
        yield f"id: {at}\nevent: events\ndata: {json.dumps(latest)}\n\n"
        yield f'event: second\ndata: {{"kind": "second", "events": {len(latest)}}}\n\n'
        at += len(latest)
        await asyncio.sleep(gap)


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, HubError)
    body = {"title": error.title, "status": error.status, "detail": error.detail}
    return JSONResponse(body, error.status, media_type="application/problem+json")


def build(
    hub: FakeHub, *, gap: float = 0.7, services: Mapping[str, Any] | None = None, lifespan: Any = None
) -> FastAPI:
    """The fake hub behind the real pages; with ``access`` among the services questions need a credential."""
    app = FastAPI(lifespan=lifespan)
    app.include_router(router)
    app.add_exception_handler(HubError, _problem)
    for name, service in (services or {}).items():
        setattr(app.state, name, service)

    @app.middleware("http")
    async def guard(request: Request, call_next: Any) -> Response:
        if request.url.path.startswith("/v1/"):
            if hub.fail:
                return await _problem(request, Retryable("The warehouse does not answer."))
            if services:
                try:
                    await identify(request, app.state.access)
                except HubError as error:
                    return await _problem(request, error)
        return await call_next(request)  # type: ignore[no-any-return]

    @app.post("/v1/query")
    async def query(question: dict[str, Any]) -> dict[str, Any]:
        hub.questions.append(question)
        unknown = [name for name in question["measures"] if name not in MEASURES]
        if unknown:
            raise HTTPException(422, f"No measure {unknown[0]}.")
        return answer(hub, question)

    @app.get("/v1/live")
    async def live() -> StreamingResponse:
        return StreamingResponse(_live(hub, gap), media_type="text/event-stream", headers={"Cache-Control": "no-cache"})

    @app.get("/v1/traces")
    async def traces(request: Request) -> dict[str, Any]:
        return search(hub.traces(), request.query_params)

    @app.get("/v1/traces/{trace_id}")
    async def one_trace(trace_id: str) -> dict[str, Any]:
        for row in hub.frame.filter(pl.col("trace_id") == trace_id).to_dicts():
            tree = trace(row, hostile="<" in row["user_id"])
            return {**tree, "spans": [hub.without_contents(span) for span in tree["spans"]]}
        raise NotFound("There is no such trace.")

    @app.get("/v1/events/{event_id}")
    async def one_event(event_id: str) -> dict[str, Any]:
        return hub.whole[event_id]

    return app


def main() -> None:
    """Serve on the port given, by hand."""
    import uvicorn

    uvicorn.run(build(FakeHub(datetime.now(UTC))), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")


if __name__ == "__main__":
    main()
