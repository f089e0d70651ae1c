"""Where an event belongs: trace, span, session, user. Carried by ``contextvars``: through awaits, tasks and copies."""

from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Final, Self

_NAMES: Final = ("trace_id", "span_id", "session_id", "user_id", "project", "environment")


class Scope:
    """What events inherit; immutable. ``data`` and ``attributes`` are defaults of every event's own."""

    __slots__ = ("attributes", "data", *_NAMES)

    def __init__(
        self,
        trace_id: str | None = None,
        span_id: str | None = None,
        session_id: Any = None,
        user_id: Any = None,
        project: str | None = None,
        environment: str | None = None,
        data: Mapping[str, Any] | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.session_id = session_id
        self.user_id = user_id
        self.project = project
        self.environment = environment
        self.data = data
        self.attributes = attributes

    def derive(self, changes: Mapping[str, Any]) -> "Scope":
        """A scope inside this one: what ``changes`` gives, else what is here."""
        values = {name: changes[name] if changes.get(name) is not None else getattr(self, name) for name in _NAMES}
        if (trace_id := changes.get("trace_id")) not in (None, self.trace_id):
            values |= {"trace_id": trace_id, "span_id": changes.get("span_id")}
        return Scope(
            **values,
            data=_merged(self.data, changes.get("data")),
            attributes=_merged(self.attributes, changes.get("attributes")),
        )


def fields_of(value: Any) -> dict[str, Any]:
    """A dict of what should be one; what is none is no reason to raise into the host."""
    if not value:
        return {}
    try:
        return dict(value)
    except (TypeError, ValueError):
        return {"value": value}


def _merged(outer: Mapping[str, Any] | None, inner: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    return {**outer, **inner} if outer and inner else inner or outer


EMPTY: Final = Scope()
CURRENT: ContextVar[Scope] = ContextVar("llm_hub", default=EMPTY)


class context:  # noqa: N801 - used like the functions of contextlib
    """What the events inside belong to: ``with llm_hub.context(user_id="u-1", session_id="s-1"): ...``.

    Parameters
    ----------
    trace_id, span_id
        The trace to go on with and the span above, for example of :func:`llm_hub.extract`.
    session_id, user_id, project, environment
        Of every event inside that does not say otherwise.
    data
        Fields of every event's ``data``: ``experiment_id``, ``variant``, ``prompt_id``, ``feature`` …
    attributes
        Of every event.
    """

    def __init__(
        self,
        *,
        trace_id: str | None = None,
        span_id: str | None = None,
        session_id: Any = None,
        user_id: Any = None,
        project: str | None = None,
        environment: str | None = None,
        data: Mapping[str, Any] | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        self._changes = {
            "trace_id": trace_id,
            "span_id": span_id,
            "session_id": session_id,
            "user_id": user_id,
            "project": project,
            "environment": environment,
            "data": fields_of(data),
            "attributes": fields_of(attributes),
        }
        self._tokens: list[Token[Scope]] = []

    def __enter__(self) -> Self:
        self._tokens.append(CURRENT.set(CURRENT.get().derive(self._changes)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        leave(self._tokens.pop())


def leave(token: Token[Scope]) -> None:
    """Go back to the scope before; in another context (a generator that moved to another task) there is none."""
    with suppress(ValueError):
        CURRENT.reset(token)
