"""The fake hub's search for traces."""

from collections.abc import Mapping
from typing import Any

from starlette.datastructures import QueryParams

from tests.dashboard.fake_data import trace

Row = dict[str, Any]


def search(rows: list[Row], params: QueryParams) -> dict[str, Any]:
    """A page of summaries, in the shape of ``GET /v1/traces``."""
    found = [_summary(row) for row in rows]
    for text in params.getlist("filter"):
        field, op, value = text.split(":", 2)
        found = [row for row in found if _fits(row, field, op, value)]
    if errors := params.get("errors"):
        found = [row for row in found if (row["errors"] > 0) == (errors == "true")]
    if least := params.get("min_duration_ms"):
        found = [row for row in found if row["duration_ms"] >= float(least)]
    name, _, direction = params.get("order", "start:desc").partition(":")
    found.sort(key=lambda row: _key(row, name), reverse=direction == "desc")
    at, size = int(params.get("cursor", 0)), int(params.get("limit", 50))
    return {"traces": found[at : at + size], "cursor": str(at + size) if at + size < len(found) else None}


def _summary(row: Row) -> Row:
    tree = trace(row, hostile="<" in row["user_id"])
    root = tree["spans"][0]
    errors = 2 if row["status"] == "error" else 0
    same = {name: row[name] for name in ("trace_id", "status", "user_id", "session_id", "provider", "project")}
    return {
        **same,
        "name": root["name"],
        "start": root["start"],
        "duration_ms": tree["duration_ms"],
        "spans": 10,
        "errors": errors,
        "cost_usd": tree["cost_usd"],
        "input_tokens": row["input_tokens"] + 640,
        "output_tokens": row["output_tokens"] + 58,
        "models": sorted({row["model"], "gpt-4o-mini"}),
    }


def _key(row: Row, name: str) -> Any:
    if name == "total_tokens":
        return row["input_tokens"] + row["output_tokens"]
    return row[name] or 0


def _fits(row: Mapping[str, Any], field: str, op: str, wanted: str) -> bool:
    value = row["models"] if field == "model" else row.get(field)
    if op == "gte":
        return value is not None and float(value) >= float(wanted)
    if op == "contains":
        return wanted.lower() in str(value).lower()
    chosen = wanted.split(",")
    return any(str(part) in chosen for part in (value if isinstance(value, list) else [value]))
