"""What the two readers give: rows of spans, log lines and metric points, with their attributes as columns."""

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ingest import forms
from ingest.batch import Rejected
from ingest.otlp.attributes import Attributes
from ingest.otlp.values import Value


class Event(NamedTuple):
    """An event of a span."""

    time: int
    name: str
    attributes: dict[str, Value]


class Link(NamedTuple):
    """A link of a span to another one."""

    trace_id: str
    span_id: str
    attributes: dict[str, Value]


class Span(NamedTuple):
    """A span: ids as bytes, times in nanoseconds, numbers as OTLP has them."""

    number: int
    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes
    name: str
    kind: int
    start: int
    end: int
    status: int
    message: str
    events: tuple[Event, ...]
    links: tuple[Link, ...]
    scope: str


class Line(NamedTuple):
    """A line of a log; ``written`` tells it from every other one."""

    number: int
    time: int
    severity: int
    severity_text: str
    body: Value
    trace_id: bytes
    span_id: bytes
    event_name: str
    scope: str
    written: bytes


class Point(NamedTuple):
    """A point of a metric; ``written`` tells it from every other one."""

    number: int
    time: int
    name: str
    unit: str
    kind: str
    temporality: str | None
    value: float | None
    details: dict[str, Any]
    written: bytes


class Origin(NamedTuple):
    """Where items come from: pairs of their resource and scope, the scope's name, what tells the resource apart."""

    pairs: list[int]
    scope: str
    resource: bytes


@dataclass(slots=True)
class Records:
    """The rows of a body.

    ``attributes`` are those of all bodies that are read together. ``rows`` are of :class:`Span`, :class:`Line` or
    :class:`Point`; ``rejected`` are those that cannot be read, ``count`` is the number of all.
    """

    attributes: Attributes
    rows: list[Any] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    count: int = 0

    def keep(self, row: Any, origin: Origin, pairs: list[int]) -> None:
        """Add a row, and the numbers of its own pairs."""
        self.rows.append(row)
        self.attributes.row(origin.pairs, pairs)
        self.count += 1

    def refuse(self, name: str, reason: str, original: bytes) -> None:
        """Count a row that cannot be read."""
        self.rejected.append(
            Rejected(self.count, None, name, reason, "field" if name else "protobuf", original, forms.OTLP)
        )
        self.count += 1


class Unreadable(Exception):
    """A row has a field that cannot be read."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field} {reason}")
        self.field = field
        self.reason = reason


_ZEROS: Final = {8: bytes(8), 16: bytes(16)}


def checked_id(value: bytes, length: int, name: str, *, needed: bool = True) -> bytes:
    """An id, or nothing where none is needed.

    Raises
    ------
    Unreadable
        Of another length, or all zeros where one is needed.
    """
    if len(value) == length and value != _ZEROS[length]:
        return value
    if needed or (value and len(value) != length):
        raise Unreadable(name, f"must be {length} bytes ({2 * length} hex digits in JSON), and not all zeros")
    return b""
