"""Spans → events: ``llm.request``, ``llm.embedding``, ``retrieval.query``, ``tool.call``, ``agent.run`` or ``span``."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from core.errors import HubError
from ingest.batch import Arrival, Decoded
from ingest.decode.binary import fixed
from ingest.joint import alone
from ingest.limits import Limits
from ingest.otlp import json, meanings, protobuf
from ingest.otlp.attributes import Attributes, Column, Ints
from ingest.otlp.bodies import Bodies, read_bodies
from ingest.otlp.calls import COUNTED, Call, nearest_above, repeats, reports_again
from ingest.otlp.events import Rows, decoded_of, nanoseconds, receipt_nanoseconds, row_ids, short, written
from ingest.otlp.fields import Fields
from ingest.otlp.records import Event, Span
from ingest.otlp.values import Value
from ingest.otlp.waiting import Waiting
from schemas.columns import LABELS

_KINDS: Final = ("internal", "internal", "server", "client", "producer", "consumer")
_ERROR: Final = 2
_MICRO: Final = 1_000
_MILLI: Final = 1_000_000
#: Clocks of one machine may differ by so much in what they write: some know only milliseconds.
_TOLERATED: Final = _MILLI

#: How far up a session and a user are looked for.
_DEEPEST: Final = 32

RECONCILED: Final = "llm_hub.reconciled"
CLOCK_SKEW: Final = "llm_hub.clock_skew_ms"

#: Calls of this process's senders whose wrappers may still come.
_WAITING: Final = Waiting()


def decode_spans(body: bytes, arrival: Arrival, limits: Limits, *, plain: bool, project: str | None = None) -> Decoded:
    """Decode one body; see :func:`decode_spans_of`."""
    return alone(decode_spans_of([body], arrival, limits, plain=plain, project=project))


def decode_spans_of(
    bodies: Sequence[bytes], arrival: Arrival, limits: Limits, *, plain: bool, project: str | None = None
) -> list[Decoded | HubError]:
    """Decode bodies that are an ``ExportTraceServiceRequest`` each: what becomes of each is what would alone.

    Parameters
    ----------
    bodies
        Of one tenant.
    arrival, limits
        As every decoder's.
    plain
        Whether it is JSON.
    project
        Project of spans that name none.

    Returns
    -------
    list
        Of each body what was read, or the error for its sender: ``BadRequest`` where it is no such request.
    """
    read = read_bodies(bodies, (json if plain else protobuf).read_spans, limits)
    return decoded_of(read, _Spans(read, arrival, project).rows(), arrival, limits)


class _Spans:
    """The spans of some bodies on their way."""

    def __init__(self, bodies: Bodies, arrival: Arrival, project: str | None) -> None:
        self.bodies = bodies
        self.spans: list[Span] = bodies.rows
        self.attributes: Attributes = bodies.attributes
        self.arrival = arrival
        self.project = project
        self.types, self.kinds = event_types(self.attributes, len(self.spans))
        self.fields = Fields(self.attributes, self.types)
        now = receipt_nanoseconds(arrival)
        self.ends = [span.end or span.start or now for span in self.spans]
        self.starts = [span.start or end for span, end in zip(self.spans, self.ends, strict=True)]

    def rows(self) -> Rows:
        """The columns of the events."""
        parents = self._parents()
        for row, span in enumerate(self.spans):
            if span.events or span.status or span.links or span.message:
                self._exceptional(row, span)
        self._calls(parents)
        self._inherit(parents)
        self._skew(parents)
        self._first_tokens()
        self._tokens()
        self._retrievals()
        self._names()
        if self.project is not None:
            self.fields.fill("project", short(self.project))
        return self._columns()

    # --- what attributes alone do not tell

    def _parents(self) -> list[int]:
        """The row of each span's parent, −1 where that is not in this body."""
        bodies = self.bodies.of_row
        places = {(bodies[row], span.trace_id, span.span_id): row for row, span in enumerate(self.spans)}
        return [
            places.get((bodies[row], span.trace_id, span.parent_span_id), -1) if span.parent_span_id else -1
            for row, span in enumerate(self.spans)
        ]

    def _exceptional(self, row: int, span: Span) -> None:
        """Status, events and links, which most spans have none of."""
        fields = self.fields
        if span.status == _ERROR:
            fields.field("status").set(row, "error")
        if span.message:
            self._rest("status_message", row, span.message[:65536])
        if span.links:
            links = [
                {"trace_id": link.trace_id, "span_id": link.span_id, "attributes": link.attributes}
                for link in span.links
            ]
            self._rest("links", row, links[:1000])
        others = fields.contents.of_events(row, span.events) if span.events else []
        if others:
            shown = [
                {"name": one.name, "time": written(one.time // _MICRO), "attributes": one.attributes}
                for one in others[:1000]
            ]
            self._rest("events", row, shown)
            self._of_events(row, span, others)

    def _of_events(self, row: int, span: Span, events: Sequence[Event]) -> None:
        """The error that an exception tells, and when the first token came."""
        kind = self.fields.field("error_type")
        for event in events:
            if event.name == "exception" and span.status == _ERROR and kind.index[row] < 0:
                found = event.attributes.get("exception.type")
                if isinstance(found, str) and found:
                    kind.set(row, short(found.rsplit(".", 1)[-1]))
            if event.name in meanings.FIRST_TOKEN and span.start and event.time >= span.start:
                held = self.fields.field("time_to_first_token_ms")
                if held.index[row] < 0:
                    held.set(row, (event.time - span.start) / _MILLI)

    def _rest(self, name: str, row: int, value: Value) -> None:
        self.fields.field(name).set(row, value)

    def _calls(self, parents: list[int]) -> None:
        """Calls that two instrumentations report are counted once."""
        counted = [one in COUNTED for one in self.types]
        for repeat in repeats(counted, parents, self._call):
            self._repeated(repeat.row, repeat.of)
        for places in self.bodies.ranges():  # one after the other: a wrapper may come with the next body
            self._of_earlier_requests(places, parents)

    def _of_earlier_requests(self, places: range, parents: list[int]) -> None:
        """The same where the call has come before its wrapper; calls without their wrapper are remembered."""
        tenant, now = self.arrival.tenant.encode() + b"\0", self.arrival.received_at.timestamp()
        spans = self.spans[places.start : places.stop]
        earlier = _WAITING.below([tenant + span.trace_id + span.span_id for span in spans], now)
        for place, calls in earlier.items():
            row = places[place]
            counted = [one in COUNTED for one in self.types]
            outer = row if counted[row] else nearest_above(row, counted, parents)
            if outer >= 0 and reports_again(self._call(outer), calls):
                self._repeated(outer, calls[0].span_id)
            if outer < 0 or self.types[outer] not in COUNTED:
                self._wait(tenant, outer if outer >= 0 else row, parents, calls, now)
        if any(self.spans[row].parent_span_id and parents[row] < 0 for row in places):
            counted = [one in COUNTED for one in self.types]
            for row in places:
                if counted[row] and nearest_above(row, counted, parents) < 0:
                    self._wait(tenant, row, parents, None, now)

    def _wait(self, tenant: bytes, row: int, parents: list[int], calls: list[Call] | None, now: float) -> None:
        """Remember calls, or that of the row itself, below the span that is missing above the row."""
        top = row
        for _ in range(_DEEPEST):
            if parents[top] < 0:
                break
            top = parents[top]
        span = self.spans[top]
        if parents[top] < 0 and span.parent_span_id:
            _WAITING.put(tenant + span.trace_id + span.parent_span_id, calls or [self._call(row)], now)

    def _call(self, row: int) -> Call:
        span = self.spans[row]
        get = self.fields.field
        models = frozenset(name for name in (get("model").get(row), get("response_model").get(row)) if name)
        tokens = (get("input_tokens").get(row), get("output_tokens").get(row))
        return Call(span.span_id, self.types[row], models, tokens, span.scope, self.starts[row], self.ends[row])

    def _repeated(self, row: int, of: bytes) -> None:
        """Make a row a span that counts nothing, and say which one counts."""
        self.fields.extra.append((row, RECONCILED, of.hex()))
        cost = self.fields.field("cost_usd")
        if cost.index[row] >= 0:
            self.fields.extra.append((row, "cost_usd", str(cost.get(row))))
            cost.drop(row)
        self.types[row], self.kinds[row] = "span", "embedding" if self.types[row] == "llm.embedding" else "llm"

    def _inherit(self, parents: list[int]) -> None:
        """A span that names no session or user has those of the span above: many set them on the first one only."""
        for name in ("session_id", "user_id"):
            index = self.fields.field(name).index
            lacking = np.flatnonzero(index < 0)
            if len(lacking) in (0, len(index)):
                continue
            # One step up at a time: as often as spans are nested, and no more than is sensible.
            above = np.array(parents, np.int64)
            for _ in range(_DEEPEST):
                rows = lacking[above[lacking] >= 0]
                found = index[above[rows]]
                index[rows] = found
                if not (found >= 0).any():
                    break
                lacking = lacking[index[lacking] < 0]

    def _skew(self, parents: list[int]) -> None:
        """Mark spans that begin before their parent, or end before they begin: the clocks disagree."""
        starts = np.array(self.starts, np.float64)
        above = np.array(parents, np.int64)
        early = np.where(above >= 0, starts[above] - starts, 0.0) if len(starts) else starts
        behind = starts - np.array(self.ends, np.float64)
        worst = np.maximum(early, behind)
        for row in np.flatnonzero(worst > _TOLERATED).tolist():
            self.fields.extra.append((row, CLOCK_SKEW, f"{worst[row] / _MILLI:.3f}"))

    def _first_tokens(self) -> None:
        """A moment of the first token → the time to it."""
        moments = self.fields.field("first_token_at")
        held = self.fields.field("time_to_first_token_ms")
        for row in moments.rows():
            at = nanoseconds(moments.get(row))
            if at is not None and at >= self.starts[row] and held.index[row] < 0:
                held.set(row, (at - self.starts[row]) / _MILLI)

    def _tokens(self) -> None:
        """Cached tokens that were left out of the prompt's are put in: here, they are a part of them."""
        prompt, read, write = (
            self.fields.field(name) for name in ("input_tokens", "cache_read_input_tokens", "cache_write_input_tokens")
        )
        for row in {*read.rows(), *write.rows()}:
            cached = (read.get(row) or 0) + (write.get(row) or 0)
            plain = prompt.get(row)
            if plain is not None and plain < cached:
                prompt.set(row, plain + cached)

    def _retrievals(self) -> None:
        """What came back of a retrieval."""
        documents = self.fields.contents.documents
        for row, found in documents.items():
            if self.types[row] != "retrieval.query":
                continue
            known = [one for one in found if isinstance(one, dict)]
            ids = [str(one["id"])[:256] for one in known if one.get("id") is not None]
            scores = [float(one["score"]) for one in known if _is_number(one.get("score"))]
            self.fields.field("returned").set(row, min(len(found), 65535))
            if ids:
                self._rest("document_ids", row, ids[:10_000])
            if scores:
                self._rest("scores", row, scores[:10_000])
                self.fields.field("max_score").set(row, max(scores))
        collections, index = self.fields.field("collection"), self.fields.field("index")
        for row in collections.rows():
            if self.types[row] == "retrieval.query" and index.index[row] < 0:
                index.set(row, collections.get(row))
            else:
                self.fields.extra.append((row, "db.collection.name", collections.get(row)))

    def _names(self) -> None:
        """Fields that a type cannot be without, and the span's name."""
        fields = self.fields
        name, kind, model = (fields.field(one) for one in ("name", "kind", "model"))
        labels = {one: fields.field(label) for one, label in LABELS.items() if one in self.types and label != "index"}
        unnamed = {one: held.lacking() for one, held in labels.items()}
        no_model = model.lacking()
        plain: list[int] = []
        for row, (span, event_type) in enumerate(zip(self.spans, self.types, strict=True)):
            label = labels.get(event_type)
            if label is name:
                plain.append(row)
                continue
            if event_type in COUNTED and no_model[row]:
                model.set(row, fields.field("response_model").get(row) or "unknown")
            if label is not None and unnamed[event_type][row]:
                label.set(row, short(span.name) or "unnamed")
            elif span.name:
                fields.extra.append((row, "span.name", span.name))
        name.set_all(plain, [short(self.spans[row].name) or "unnamed" for row in plain])
        kinds = [self.spans[row].kind for row in plain]
        kind.set_all(
            plain,
            [self.kinds[row] or _KINDS[one if 0 <= one < 6 else 0] for row, one in zip(plain, kinds, strict=True)],
        )

    # --- columns

    def _columns(self) -> Rows:
        spans, fields = self.spans, self.fields
        ends = np.array([min(end, 2**63 - 1) for end in self.ends], np.int64)
        starts = np.array([min(start, 2**63 - 1) for start in self.starts], np.int64)
        trace_ids = np.frombuffer(b"".join([span.trace_id for span in spans]), np.uint8).reshape(-1, 16)
        span_ids = np.frombuffer(b"".join([span.span_id for span in spans]), np.uint8).reshape(-1, 8)
        parents = [span.parent_span_id for span in spans]
        parent_ids = np.frombuffer(b"".join([one or bytes(8) for one in parents]), np.uint8).reshape(-1, 8)
        return Rows(
            index=[span.number for span in spans],
            types=self.types,
            fields=fields,
            time=ends // _MICRO,
            ready={
                "id": row_ids(
                    self.arrival.tenant,
                    [f"{span.trace_id.hex()}\x1f{span.span_id.hex()}".encode() for span in spans],
                    self.bodies.of_row,
                ),
                "trace_id": fixed(trace_ids),
                "span_id": fixed(span_ids),
                "parent_span_id": fixed(parent_ids, np.array([bool(one) for one in parents], np.bool_)),
            },
            duration_ms=np.minimum(np.maximum(ends - starts, 0) / _MILLI, 1e12),
        )


def event_types(attributes: Attributes, rows: int) -> tuple[list[str], list[str]]:
    """Event type of each row, and the kind of its span where an attribute tells it."""
    told = [""]
    found = np.zeros(rows, np.int64)
    for name, meant in meanings.TYPES.items():
        column = attributes.column(name)
        if column is not None:
            meaning = [meant.get(value.lower(), "") if isinstance(value, str) else "" for value in column.values]
            _tell(found, column, [len(told) + place if one else 0 for place, one in enumerate(meaning)])
            told += meaning
    for name, event_type in meanings.SIGNS.items():
        column = attributes.column(name)
        if column is not None:
            _tell(found, column, [len(told)] * len(column.values))
            told.append(event_type)
    parts = [one.partition("/") for one in told]
    types, kinds = [one[0] or "span" for one in parts], [one[2] for one in parts]
    places: list[int] = found.tolist()
    return [types[place] for place in places], [kinds[place] for place in places]


def _tell(found: Ints, column: Column, places: list[int]) -> None:
    """Say of the rows of which nothing is known yet what the values of a column tell: 0 for nothing."""
    free = found[column.rows] == 0
    found[column.rows[free]] = np.array(places, np.int64)[column.index[free]]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e308
