"""Spans: a piece of work, written once, at its end."""

from collections.abc import Mapping
from contextvars import Token
from time import perf_counter_ns
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from llm_hub.context import CURRENT, Scope, fields_of, leave
from llm_hub.ids import new_span_id, new_trace_id
from llm_hub.jsonable import simplify

if TYPE_CHECKING:
    from llm_hub.client import Client

#: Event type → the field that its events are called by.
NAMED_BY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "span": "name",
        "tool.call": "tool_name",
        "agent.run": "agent_name",
        "llm.request": "model",
        "llm.embedding": "model",
        "gateway.route": "model",
        "guardrail.check": "policy",
        "evaluation.score": "evaluator",
        "job.run": "job",
    }
)


class Span:
    """A piece of work that is going on; made by :meth:`llm_hub.Client.span`.

    Use it with ``with`` or ``async with``, or call :meth:`start` and :meth:`end`. It never raises, and never swallows
    an error of the host.
    """

    def __init__(
        self,
        client: "Client",
        name: str,
        kind: str,
        event_type: str,
        data: Mapping[str, Any] | None,
        attributes: Mapping[str, Any] | None,
        context: Mapping[str, Any],
    ) -> None:
        self._client = client
        self._type = event_type
        named_by = NAMED_BY.get(str(event_type))
        self._data: dict[str, Any] = {named_by: name} if named_by else {}
        if event_type == "span":
            self._data["kind"] = kind
        self._data |= fields_of(data)
        self._attributes = fields_of(attributes)
        self._context = context
        self._events: list[dict[str, Any]] = []
        self._scope: Scope | None = None
        self._parent: str | None = None
        self._token: Token[Scope] | None = None
        self._began = 0
        self._ended = False

    @property
    def trace_id(self) -> str | None:
        """Of its trace, once it has begun."""
        return self._scope.trace_id if self._scope else None

    @property
    def span_id(self) -> str | None:
        """Its own, once it has begun."""
        return self._scope.span_id if self._scope else None

    @property
    def scope(self) -> Scope:
        """What is inside inherits this."""
        return self._scope or CURRENT.get()

    def set(self, **fields: Any) -> Self:
        """Set fields of ``data``: ``s.set(returned=8, max_score=0.91)``."""
        self._data.update(fields)
        return self

    def has(self, field: str) -> bool:
        """Whether a field of ``data`` is set."""
        return field in self._data

    def recast(self, kind: str, attributes: Mapping[str, Any]) -> Self:
        """Make it a ``span`` of this kind, called as before, that counts as nothing else."""
        self._data = {"name": self._data.get(NAMED_BY.get(self._type, ""), kind), **self._data, "kind": kind}
        self._attributes |= attributes
        self._type = "span"
        return self

    def event(self, name: str, **fields: Any) -> Self:
        """Note something that happens within the span."""
        self._events.append({"name": name, "offset_ms": self.elapsed_ms(), **fields})
        return self

    def fail(self, error: BaseException | str) -> Self:
        """Mark the work as failed."""
        self._data["status"] = "error"
        if isinstance(error, BaseException):
            self._data.setdefault("error_type", type(error).__name__)
            error = str(simplify(error))
        if self._type == "span":
            self._data.setdefault("status_message", error)
        return self

    def start(self, *, current: bool = False) -> Self:
        """Begin; with ``current``, what follows in this context belongs to it (``with`` does that)."""
        above = CURRENT.get()
        inside = above.derive(self._context)
        trace_id = inside.trace_id or new_trace_id()
        self._parent = inside.span_id
        self._scope = inside.derive({"trace_id": trace_id, "span_id": new_span_id()})
        self._began = perf_counter_ns()
        if current:
            self._token = CURRENT.set(self._scope)
        return self

    def end(self, error: BaseException | None = None) -> None:
        """End, and capture; only the first time."""
        if self._token is not None:
            leave(self._token)
            self._token = None
        if self._ended or self._scope is None:
            return
        self._ended = True
        if error is not None and not isinstance(error, GeneratorExit):
            self.fail(error)
        scope, data = self._scope, {"duration_ms": self.elapsed_ms(), "status": "ok", **self._data}
        if self._events:
            data["events"] = self._events
        token = CURRENT.set(Scope(data=scope.data, attributes=scope.attributes))
        try:
            self._client.capture(
                self._type,
                data,
                trace_id=scope.trace_id,
                span_id=scope.span_id,
                parent_span_id=self._parent,
                session_id=scope.session_id,
                user_id=scope.user_id,
                project=scope.project,
                environment=scope.environment,
                attributes=self._attributes,
            )
        finally:
            leave(token)

    def elapsed_ms(self) -> float:
        """Milliseconds since it began."""
        return (perf_counter_ns() - self._began) / 1e6

    def __enter__(self) -> Self:
        return self.start(current=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end(error)

    async def __aenter__(self) -> Self:
        return self.start(current=True)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end(error)
