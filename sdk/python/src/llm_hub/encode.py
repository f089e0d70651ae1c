"""A captured event → its line of NDJSON. Runs in the background thread."""

import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from llm_hub.context import Scope
from llm_hub.ids import new_span_id
from llm_hub.jsonable import CUTS, plain, simplify

#: Type, id, nanoseconds, scope, data, attributes, and what the caller said of the envelope. A plain tuple: the caller's
#: thread makes it.
Captured = tuple[Any, Any, int, Scope, Any, Any, tuple[Any, ...]]

ENVELOPE: Final = ("trace_id", "span_id", "parent_span_id", "session_id", "user_id", "project", "environment")

_dumps = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=simplify).encode


class Encoder:
    """Writes the lines of one client.

    Parameters
    ----------
    source, project, environment
        Of every event that does not say otherwise.
    event_bytes
        Longest line.
    """

    def __init__(self, source: str, project: str | None, environment: str | None, event_bytes: int) -> None:
        self._source = source
        self._project = project
        self._environment = environment
        self._event_bytes = event_bytes
        self.cut = 0

    def line(self, captured: Captured) -> bytes | None:
        """The line of an event; None if it is too large even with its texts cut."""
        event = self.event(captured)
        line = _fast(event)
        if line is None:
            line = _slow(event)
        if len(line) <= self._event_bytes:
            return line
        for limits in CUTS:
            line = _slow({**plain(event, limits), "data": {**plain(event["data"], limits), "truncated": True}})
            if len(line) <= self._event_bytes:
                self.cut += 1
                return line
        return None

    def event(self, captured: Captured) -> dict[str, Any]:
        """The event as the hub wants it, its leaves still those of the host."""
        kind, identity, now, scope, data, attributes, (moment, *given) = captured
        trace_id, span_id, parent, session_id, user_id, project, environment = given
        event: dict[str, Any] = {"id": identity, "type": kind, "source": self._source, "time": _time(moment, now)}
        if trace_id is None and (trace_id := scope.trace_id) is not None and parent is None:
            parent = scope.span_id
        if trace_id is not None and span_id is None:
            span_id = new_span_id()
        values = (
            trace_id,
            span_id,
            parent,
            session_id if session_id is not None else scope.session_id,
            user_id if user_id is not None else scope.user_id,
            project or scope.project or self._project,
            environment or scope.environment or self._environment,
        )
        event |= {name: value for name, value in zip(ENVELOPE, values, strict=True) if value is not None}
        event["data"] = {**scope.data, **_object(data)} if scope.data else _object(data)
        if attributes or scope.attributes:
            event["attributes"] = {**(scope.attributes or {}), **_object(attributes)}
        return event


def _time(moment: Any, now: int) -> Any:
    """RFC 3339 to the microsecond, which is what the hub reads quickest; numbers and texts as they were given."""
    if moment is None:
        seconds, rest = divmod(now // 1_000, 1_000_000)
        return f"{_second(seconds)}.{rest:06}Z"
    if isinstance(moment, datetime):  # without a zone it is the machine's, as everywhere in Python
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return moment


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _object(value: Any) -> dict[str, Any]:
    if type(value) is dict:
        return value
    if value is None:
        return {}
    simple = simplify(value)
    return simple if type(simple) is dict else {"value": value}


def _fast(event: dict[str, Any]) -> bytes | None:
    """By the standard encoder; None for what it does not take: cycles, NaN, odd keys, half characters."""
    try:
        return _dumps(event).encode()
    except BaseException:  # objects of the host are asked here, and the thread must survive
        return None


def _slow(event: dict[str, Any]) -> bytes:
    return _dumps(plain(event)).encode()
