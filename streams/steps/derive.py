"""Columns that follow from others: status, speed of generation, kind of error, when the row is to leave."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Final, Literal

import numpy as np
import pyarrow as pa

from schemas.catalogue import EVENT_MODELS
from streams.columnar import Ints, codes_of, floats, group, ints, micros, nullable, put, text

#: How long a tenant's events, or their contents, are kept; called once for each block and tenant.
Retention = Callable[[str, Literal["events", "payloads"]], timedelta]

#: When the contents of an event are to leave; in the table ``payloads`` it is ``expires_at``.
PAYLOAD_EXPIRY: Final = "payload_expires_at"

#: Event types with a ``status``: it is ``ok`` unless the sender says otherwise.
WITH_STATUS: Final = frozenset(model.TYPE for model in EVENT_MODELS if "status" in model.model_fields)

_RULES: Final = (
    ("quota", r"quota|insufficient_(funds|credit)|billing|budget|credit_balance"),
    ("rate_limit", r"rate.?limit|too.?many|throttl|overloaded_requests|tpm|rpm"),
    ("content_filter", r"content.?(filter|policy)|safety|moderation|guardrail|responsible.?ai|recitation|blocked"),
    ("timeout", r"time.?d?.?out|deadline"),
    ("cancelled", r"cancel|abort|client.?(closed|disconnect)|interrupted"),
    ("auth", r"auth|permission|forbidden|invalid.?(api.?)?key|credential|access.?denied"),
    ("network", r"connect|network|dns|socket|tls|ssl|unreachable|reset|broken.?pipe|eof"),
    (
        "client",
        r"invalid|bad.?request|validat|context.?length|not.?found|unsupported|too.?(long|large)|parse|schema",
    ),
    ("server", r"server|internal|overload|unavailable|bad.?gateway|upstream|capacity|5\d\d"),
)
_PATTERNS: Final = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _RULES)
_BY_STATUS: Final = {401: "auth", 402: "quota", 403: "auth", 408: "timeout", 429: "rate_limit", 499: "cancelled"}


def error_class(error_type: str | None, status_code: int | None) -> str:
    """The kind of an error, from its name first and then from its HTTP status.

    Examples
    --------
    >>> error_class("RateLimitError", None), error_class(None, 504), error_class("oops", None)
    ('rate_limit', 'timeout', 'other')
    """
    for kind, pattern in _PATTERNS:
        if error_type and pattern.search(error_type):
            return kind
    if status_code is None or status_code < 400:
        return "other"
    if status_code in (504, 524):
        return "timeout"
    return _BY_STATUS.get(status_code, "server" if status_code >= 500 else "client")


def derive(table: pa.Table, retention: Retention) -> pa.Table:
    """The table with ``status``, ``error_class``, ``tokens_per_second`` and when events and contents are to leave."""
    if not table.num_rows:
        return table
    table, failed = _status(table)
    table = _error_class(table, failed)
    table = _speed(table)
    return _expiries(table, retention)


def _status(table: pa.Table) -> tuple[pa.Table, Ints]:
    kinds, given = codes_of(table, "type"), codes_of(table, "status")
    default = np.array([value in WITH_STATUS for value in kinds.values])[kinds.codes]
    values = [*given.values, "ok"]
    missing = np.array([value is None for value in given.values])[given.codes]
    codes = np.where(missing & default, len(values) - 1, given.codes)
    failed = np.flatnonzero(np.array([value == "error" for value in values])[codes])
    return put(table, "status", text(codes, values)), failed


def _error_class(table: pa.Table, failed: Ints) -> pa.Table:
    if not len(failed):
        return table
    part = table.select([name for name in ("tenant", "error_type", "http_status_code") if name in table.column_names])
    part = part.take(pa.array(failed))
    kinds = codes_of(part, "error_type")
    number = np.clip(ints(part, "http_status_code")[0], 0, 1023)
    groups = group([kinds.codes, number], [len(kinds.values), 1024])
    names = [error_class(kinds.values[kinds.codes[row]], int(number[row]) or None) for row in groups.firsts]
    values = [None, *dict.fromkeys(names)]
    column = np.zeros(table.num_rows, np.int64)
    column[failed] = np.array([values.index(name) for name in names])[groups.ids]
    return put(table, "error_class", text(column, values))


def _speed(table: pa.Table) -> pa.Table:
    """Output tokens a second of generation: the time after the first token, or all of it where that is unknown."""
    tokens, counted = ints(table, "output_tokens")
    duration, timed = floats(table, "duration_ms")
    sensible = counted & timed & (tokens > 0)
    if not sensible.any():
        return table
    first, _ = floats(table, "time_to_first_token_ms")
    generation = duration - first
    sensible &= generation > 0
    speed = np.divide(tokens * 1000.0, generation, out=np.zeros(len(tokens)), where=sensible)
    return put(table, "tokens_per_second", nullable(speed.astype(np.float32), sensible, pa.float32()))


def _expiries(table: pa.Table, retention: Retention) -> pa.Table:
    tenants, seconds = codes_of(table, "tenant"), micros(table, "time") // 10**6
    names = [str(value) for value in tenants.values]
    events = [int(retention(name, "events").total_seconds()) for name in names]
    table = put(table, "expires_at", _expiry(seconds, events, tenants.codes))
    if "body" not in table.column_names:
        return table
    payloads = [int(retention(name, "payloads").total_seconds()) for name in names]
    return put(table, PAYLOAD_EXPIRY, _expiry(seconds, payloads, tenants.codes))


def _expiry(seconds: Ints, keep: list[int], tenants: Ints) -> pa.Array:
    # The warehouse's DateTime ends in 2106.
    moments = np.clip(seconds + np.array(keep, np.int64)[tenants], 0, 2**32 - 1)
    return pa.array(moments).view(pa.timestamp("s", tz="UTC"))
