"""What a live page shows of a block: one point a second for each tenant that is watched."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from streams.columnar import Bools, codes_of, floats, group, ints, micros

Point = dict[str, Any]


def pulse(table: pa.Table, tenants: Collection[str] | None = None) -> dict[str, list[Point]]:
    """Counts and sums of every second of receipt, by tenant, oldest first; only of these tenants, if some are named."""
    if tenants is not None:
        coded = codes_of(table, "tenant")
        wanted = np.array([value in tenants for value in coded.values])[coded.codes]
        table = table.filter(pa.array(wanted))
    if not table.num_rows:
        return {}
    coded, seconds = codes_of(table, "tenant"), micros(table, "received_at") // 10**6
    first = int(seconds.min())
    groups = group([coded.codes, seconds - first], [len(coded.values), int(seconds.max()) - first + 1])
    requests, failed = _is(table, "type", "llm.request"), _is(table, "status", "error")
    duration, timed = floats(table, "duration_ms")
    timed &= requests
    sums = {
        "events": np.ones(table.num_rows),
        "requests": requests,
        "errors": requests & failed,
        "input_tokens": np.where(requests, ints(table, "input_tokens")[0], 0),
        "output_tokens": np.where(requests, ints(table, "output_tokens")[0], 0),
        "duration_ms_count": timed,
        "duration_ms_sum": np.where(timed, duration, 0.0),
        "cost_usd": _cost(table),
    }
    totals = {name: np.bincount(groups.ids, values, len(groups)) for name, values in sums.items()}
    points: dict[str, list[Point]] = {}
    for number in np.argsort(seconds[groups.firsts], kind="stable"):
        row = groups.firsts[number]
        point = {name: _plain(name, float(values[number])) for name, values in totals.items()}
        time = datetime.fromtimestamp(int(seconds[row]), UTC).isoformat().replace("+00:00", "Z")
        points.setdefault(str(coded.values[coded.codes[row]]), []).append({"time": time, **point})
    return points


def _plain(name: str, value: float) -> float | int:
    return round(value, 10) if name in ("cost_usd", "duration_ms_sum") else int(value)


def _is(table: pa.Table, name: str, wanted: str) -> Bools:
    coded = codes_of(table, name)
    return np.array([value == wanted for value in coded.values])[coded.codes]


def _cost(table: pa.Table) -> Any:
    if "cost_usd" not in table.column_names:
        return np.zeros(table.num_rows)
    return floats(table.select(["cost_usd"]).cast(pa.schema([("cost_usd", pa.float64())])), "cost_usd")[0]
