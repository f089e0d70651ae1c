"""Traces: search, and one of them as a tree. Events: one of them with its contents."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson

from core.errors import NotFound, Unprocessable
from schemas.columns import DATA_COLUMNS
from semantic.answer import plain, rfc3339
from semantic.filters import Filter, condition
from semantic.layer import SemanticLayer
from semantic.parameters import Parameters
from semantic.spans import Span, costs, data_of, hexadecimal, span_of, tree
from semantic.times import micros

#: What traces are sorted by: public name → SQL over the columns of the search.
ORDERS: Final = {
    "start": "began",
    "duration_ms": "dateDiff('microsecond', began, ended)",
    "spans": "spans",
    "errors": "errors",
    "total_tokens": "ifNull(input, 0) + ifNull(output, 0)",
    "cost_usd": "cost",
}
#: Most spans of one trace that are shown.
MAX_SPANS: Final = 10_000

_NO_TRACE: Final = "toFixedString('', 16)"
_ENVELOPE: Final = (
    "id, type, source, time, received_at, schema_version, project, environment, trace_id, span_id, parent_span_id, "
    "session_id, user_id, attributes"
)
_DERIVED: Final = "cost_source, error_class, tokens_per_second, reported_cost_usd, hub_cost_usd"
_COLUMNS: Final = f"{', '.join(column.name for column in DATA_COLUMNS)}, name, data"
_ALL: Final = f"{_ENVELOPE}, {_COLUMNS}, {_DERIVED}"
#: Start of the work that a row tells of, and its name, as spans have them.
_START: Final = "time - toIntervalMicrosecond(toInt64(ifNull(duration_ms, 0) * 1000))"
_NAME: Final = "multiIf(name != '', toString(name), model != '', toString(model), toString(type))"


@dataclass(frozen=True, slots=True)
class Search:
    """Which traces are looked for.

    Parameters
    ----------
    start, end
        Traces with an event in [start, end).
    filters
        Conditions on one event of the trace.
    order, descending
        A name of :data:`ORDERS`, and its direction.
    limit, offset
        Most traces, and how many before them are left out.
    errors
        Only traces with (or without) an error in them.
    least_ms
        Only traces that took at least so long.
    """

    start: datetime
    end: datetime
    filters: Sequence[Filter] = ()
    order: str = "start"
    descending: bool = True
    limit: int = 50
    offset: int = 0
    errors: bool | None = None
    least_ms: float | None = None


async def find(layer: SemanticLayer, tenant: str, search: Search) -> list[dict[str, Any]]:
    """Summaries of traces, in order."""
    parameters = Parameters()
    found = await layer.rows(tenant, *_search_sql(tenant, search, parameters))
    return [_summary(row) for row in found.dicts()]


def _search_sql(tenant: str, search: Search, parameters: Parameters) -> tuple[str, dict[str, Any]]:
    who = parameters.add(tenant, "String")
    start, end = (parameters.add(micros(moment), "Int64") for moment in (search.start, search.end))
    span = f"time >= fromUnixTimestamp64Micro({start}, 'UTC') AND time < fromUnixTimestamp64Micro({end}, 'UTC')"
    where = "".join(f" AND {condition(item, parameters, f'filter.{at}')}" for at, item in enumerate(search.filters))
    matching = f"tenant = {who} AND {span} AND trace_id != {_NO_TRACE}"
    if where:
        matching += f" AND trace_id IN (SELECT trace_id FROM events WHERE {matching}{where})"  # noqa: S608
    most, skip = (parameters.add(number, "UInt64") for number in (search.limit, search.offset))
    direction = "DESC" if search.descending else "ASC"
    sql = (
        f"SELECT trace_id, min({_START}) AS began, max(time) AS ended, count() AS spans, "  # noqa: S608
        f"countIf(status = 'error') AS errors, sum(cost_usd) AS cost, "
        f"sumIf(input_tokens, type IN ('llm.request', 'llm.embedding')) AS input, "
        f"sumIf(output_tokens, type IN ('llm.request', 'llm.embedding')) AS output, "
        f"argMin({_NAME}, (parent_span_id != toFixedString('', 8), {_START})) AS title, "
        "anyIf(user_id, user_id != '') AS user, anyIf(session_id, session_id != '') AS session, "
        "groupUniqArrayIf(10)(toString(model), model != '') AS models "
        f"FROM events WHERE {matching} GROUP BY trace_id{_having(search, parameters)} "
        f"ORDER BY {ORDERS[search.order]} {direction} NULLS LAST, trace_id LIMIT {most} OFFSET {skip}"
    )
    return sql, parameters.within(sql)


def _having(search: Search, parameters: Parameters) -> str:
    parts: list[str] = []
    if search.errors is not None:
        parts.append("errors > 0" if search.errors else "errors = 0")
    if search.least_ms is not None:
        parts.append(f"dateDiff('microsecond', began, ended) >= {parameters.add(search.least_ms * 1000, 'Float64')}")
    return f" HAVING {' AND '.join(parts)}" if parts else ""


def _summary(row: dict[str, Any]) -> dict[str, Any]:
    began, ended = _aware(row["began"]), _aware(row["ended"])
    return {
        "trace_id": row["trace_id"].hex(),
        "name": row["title"],
        "start": rfc3339(began),
        "end": rfc3339(ended),
        "duration_ms": (ended - began) / timedelta(milliseconds=1),
        "spans": row["spans"],
        "errors": row["errors"],
        "status": "error" if row["errors"] else "ok",
        "cost_usd": plain(row["cost"]),
        "input_tokens": row["input"] or 0,
        "output_tokens": row["output"] or 0,
        "user_id": row["user"] or None,
        "session_id": row["session"] or None,
        "models": sorted(row["models"]),
    }


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


async def trace(layer: SemanticLayer, tenant: str, trace_id: str) -> dict[str, Any]:
    """One trace as a tree.

    Raises
    ------
    NotFound
        The tenant has no such trace.
    Unprocessable
        Not 32 hex digits.
    """
    parameters = Parameters()
    where = condition(Filter(field="trace_id", op="eq", values=(trace_id,)), parameters, "trace_id")
    who, most = parameters.add(tenant, "String"), parameters.add(MAX_SPANS, "UInt64")
    sql = f"SELECT {_ALL} FROM events WHERE tenant = {who} AND {where} ORDER BY time LIMIT {most}"  # noqa: S608
    rows = (await layer.rows(tenant, sql, parameters.within(sql))).dicts()
    if not rows or not any(rows[0]["trace_id"]):
        raise NotFound("There is no such trace.")
    spans = [span_of({**row, "time": _aware(row["time"])}) for row in rows]
    return {
        "trace_id": rows[0]["trace_id"].hex(),
        "spans": [root.as_dict() for root in tree(spans)],
        "cost_usd": costs(spans),
        "duration_ms": _duration(spans),
        "start": rfc3339(min(span.start for span in spans)),
        "session_id": next((row["session_id"] for row in rows if row["session_id"]), None),
        "user_id": next((row["user_id"] for row in rows if row["user_id"]), None),
        "truncated": len(rows) >= MAX_SPANS,
    }


def _duration(spans: Sequence[Span]) -> float:
    """From the first start to the last end, whatever clocks the spans were measured by."""
    return (max(span.end for span in spans) - min(span.start for span in spans)) / timedelta(milliseconds=1)


async def check(layer: SemanticLayer, tenant: str, filters: Sequence[Filter]) -> None:
    """Raise ``Unprocessable`` for filters that could not be asked, before anything is asked by them."""
    for at, item in enumerate(filters):
        condition(item, Parameters(), f"filter.{at}")
        if item.op == "regex":  # only the engine knows its patterns
            parameters = Parameters()
            await layer.rows(tenant, f"SELECT match('', {parameters.add(item.values[0], 'String')})", parameters.values)


async def latest(
    layer: SemanticLayer, tenant: str, since: datetime, until: datetime, filters: Sequence[Filter], limit: int
) -> list[dict[str, Any]]:
    """The newest events received in (since, until], the oldest first; contents left out.

    Only events of the last hour by their own time are looked at: a backfill is no live traffic.
    """
    parameters = Parameters()
    who, most = parameters.add(tenant, "String"), parameters.add(limit, "UInt64")
    bound = [parameters.add(micros(moment), "Int64") for moment in (since - timedelta(hours=1), since, until)]
    recent, after, to = (f"fromUnixTimestamp64Micro({one}, 'UTC')" for one in bound)
    where = "".join(f" AND {condition(item, parameters, f'filter.{at}')}" for at, item in enumerate(filters))
    sql = (
        f"SELECT {_ALL} FROM events WHERE tenant = {who} AND time >= {recent} AND received_at > {after} "  # noqa: S608
        f"AND received_at <= {to}{where} ORDER BY received_at DESC, id LIMIT {most}"
    )
    rows = (await layer.rows(tenant, sql, parameters.within(sql))).dicts()
    return [as_event(row) for row in reversed(rows)]


async def event(layer: SemanticLayer, tenant: str, event_id: str) -> dict[str, Any]:
    """One event in the shape in which it was sent, with what the hub added under ``derived``.

    Raises
    ------
    NotFound
        The tenant has no such event.
    Unprocessable
        No UUID.
    """
    try:
        key = str(UUID(event_id))
    except ValueError:
        raise Unprocessable("id: must be a UUID.", field="id") from None
    parameters = Parameters()
    who, which = parameters.add(tenant, "String"), parameters.add(key, "UUID")
    sql = f"SELECT {_ALL} FROM events WHERE tenant = {who} AND id = {which} LIMIT 1"  # noqa: S608
    rows = (await layer.rows(tenant, sql, parameters.within(sql))).dicts()
    if not rows:
        raise NotFound("There is no such event.")
    body = f"SELECT body FROM payloads WHERE tenant = {who} AND id = {which} LIMIT 1"  # noqa: S608
    contents = (await layer.rows(tenant, body, parameters.within(body))).rows
    return as_event(rows[0], contents[0][0] if contents else "")


async def known(layer: SemanticLayer, tenant: str, ids: Collection[bytes]) -> set[bytes]:
    """Which of these ids are those of stored events of a tenant."""
    parameters = Parameters()
    who = parameters.add(tenant, "String")
    which = parameters.add([str(UUID(bytes=one)) for one in ids], "Array(UUID)")
    sql = f"SELECT DISTINCT id FROM events WHERE tenant = {who} AND id IN {which}"  # noqa: S608
    rows = await layer.rows(tenant, sql, parameters.within(sql))
    return {UUID(str(row[0])).bytes for row in rows.rows}


def as_event(row: dict[str, Any], contents: str = "") -> dict[str, Any]:
    """A row as an event of the contract."""
    body = orjson.loads(contents) if contents else {}
    return {
        "id": str(row["id"]),
        "type": row["type"],
        "source": row["source"],
        "time": rfc3339(_aware(row["time"])),
        "received_at": rfc3339(_aware(row["received_at"])),
        "schema_version": row["schema_version"],
        "project": row["project"] or None,
        "environment": row["environment"] or None,
        "trace_id": hexadecimal(row["trace_id"]),
        "span_id": hexadecimal(row["span_id"]),
        "parent_span_id": hexadecimal(row["parent_span_id"]),
        "session_id": row["session_id"] or None,
        "user_id": row["user_id"] or None,
        "data": {**data_of(row), **(body if isinstance(body, dict) else {"body": body})},
        "attributes": dict(row["attributes"]),
        "derived": {name: plain(row[name]) for name in _DERIVED.split(", ") if row.get(name) not in (None, "")},
    }
