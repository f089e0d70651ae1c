"""Rows of events as the spans of a trace."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from schemas.columns import DATA_COLUMNS, LABELS
from semantic.answer import plain, rfc3339

#: Deepest nesting shown; what lies deeper hangs below the last level. Answers are written recursively.
MAX_DEPTH: Final = 200


@dataclass(slots=True)
class Span:
    """One span, with the spans below it."""

    span_id: str | None
    parent_span_id: str | None
    id: str
    name: str
    type: str
    start: datetime
    end: datetime
    duration_ms: float | None
    status: str | None
    cost_usd: float | None
    data: dict[str, Any]
    children: list["Span"] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """In the shape of ``/v1/traces/{id}``."""
        return {
            "span_id": self.span_id,
            "parent_span_id": self.parent_span_id,
            "id": self.id,
            "name": self.name,
            "type": self.type,
            "start": rfc3339(self.start),
            "duration_ms": self.duration_ms,
            "status": self.status,
            "cost_usd": self.cost_usd,
            "data": self.data,
            "children": [child.as_dict() for child in self.children],
        }


def data_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The ``data`` of an event put together again: its own columns, its naming field, and the rest."""
    found = {column.name: plain(row[column.name]) for column in DATA_COLUMNS if row.get(column.name) not in (None, "")}
    if row.get("name"):
        found[LABELS.get(row["type"], "name")] = row["name"]
    rest = orjson.loads(row["data"]) if row.get("data") else {}
    return {**found, **(rest if isinstance(rest, dict) else {})}


def hexadecimal(value: bytes) -> str | None:
    """An id as hex digits; None where there is none."""
    return value.hex() if any(value) else None


def span_of(row: Mapping[str, Any]) -> Span:
    """The span of a row; what has a duration began that much before its ``time``."""
    data = data_of(row)
    duration = plain(row["duration_ms"])
    end: datetime = row["time"]
    return Span(
        span_id=hexadecimal(row["span_id"]),
        parent_span_id=hexadecimal(row["parent_span_id"]),
        id=str(row["id"]),
        name=row["name"] or row["model"] or row["type"],
        type=row["type"],
        start=end - timedelta(milliseconds=duration or 0),
        end=end,
        duration_ms=duration,
        status=row["status"] or None,
        cost_usd=plain(row["cost_usd"]),
        data=data,
    )


def tree(spans: Sequence[Span]) -> list[Span]:
    """The roots, children nested and in order of their start.

    A span whose parent is not there is a root. Of two spans with one id the first by start has the children; events
    without a span id of their own are leaves. A circle is cut at its earliest span.
    """
    ordered = sorted(spans, key=lambda span: (span.start, span.id))
    by_id: dict[str, Span] = {}
    for span in ordered:
        if span.span_id is not None:
            by_id.setdefault(span.span_id, span)
    roots = [span for span in ordered if _parent(span, by_id) is None]
    for span in ordered:
        parent = _parent(span, by_id)
        if parent is not None:
            parent.children.append(span)
    return _uncircled(ordered, roots)


def _parent(span: Span, by_id: Mapping[str, Span]) -> Span | None:
    parent = by_id.get(span.parent_span_id) if span.parent_span_id else None
    return None if parent is span else parent


def _uncircled(ordered: Sequence[Span], roots: list[Span]) -> list[Span]:
    """Every span is reached once, from a root; those on a circle get their earliest one as a root."""
    reached: set[int] = set()
    for span in roots:
        _reach(span, reached)
    for span in ordered:
        if id(span) not in reached:
            roots.append(span)
            _reach(span, reached)
    return sorted(roots, key=lambda span: (span.start, span.id))


def _reach(root: Span, reached: set[int]) -> None:
    """Mark what hangs below; drop links back, and flatten what is nested too deep."""
    reached.add(id(root))
    stack = [(root, 1)]
    while stack:
        span, depth = stack.pop()
        kept = [child for child in span.children if id(child) not in reached]
        reached.update(id(child) for child in kept)
        if depth >= MAX_DEPTH:
            kept = _flattened(kept, reached)
        span.children = kept
        stack.extend((child, depth + 1) for child in kept)


def _flattened(spans: Iterable[Span], reached: set[int]) -> list[Span]:
    """The spans and all below them, on one level."""
    flat: list[Span] = []
    stack = list(spans)
    while stack:
        span = stack.pop()
        flat.append(span)
        below = [child for child in span.children if id(child) not in reached]
        reached.update(id(child) for child in below)
        stack.extend(below)
        span.children = []
    return sorted(flat, key=lambda span: (span.start, span.id))


def costs(spans: Iterable[Span]) -> float | None:
    """The sum of what has a cost; None where nothing has."""
    known = [span.cost_usd for span in spans if span.cost_usd is not None]
    return sum(known) if known else None
