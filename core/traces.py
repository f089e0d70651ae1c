"""Traces of the hub's own work, as its parts see them; and what the log is told about the work in hand.

Parts take :class:`Traces`, which does nothing: tracing is off unless the composition root gives them others. A span is
made within another, or for work that traced work has caused, never on its own: so what nobody traced, and above all
what the hub's own spans bring about when they are stored, leaves no trace.
"""
# ruff: noqa: ARG002 - these say what there is to know, and do nothing with it

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Final, Literal

#: The trace (32 hex digits) and the tenant of the work in hand, for the log; empty where they are not known.
TRACE_ID: Final[ContextVar[str]] = ContextVar("trace_id", default="")
TENANT: Final[ContextVar[str]] = ContextVar("tenant", default="")

Kind = Literal["internal", "server", "client", "consumer", "producer"]
Value = str | int | float | bool


class Span:
    """A piece of work; this one is not written down."""

    def set(self, name: str, value: Value) -> None:
        """An attribute, known only now."""

    def rename(self, name: str) -> None:
        """Its name, known only now."""

    def fail(self, reason: str) -> None:
        """The work did not succeed."""


_NOTHING: Final = nullcontext(Span())


class Traces:
    """No traces, at no cost. Safe to share between threads; nothing here blocks or raises."""

    #: Whether spans are made at all: who would have to gather what they say can spare it.
    on: bool = False

    def request(
        self, name: str, traceparent: str, attributes: Mapping[str, Value] | None = None
    ) -> AbstractContextManager[Span]:
        """A request from outside; the sender's ``traceparent`` header (or nothing) decides with the sampling ratio."""
        return _NOTHING

    def span(
        self,
        name: str,
        kind: Kind = "internal",
        *,
        attributes: Mapping[str, Value] | None = None,
        caused_by: Sequence[str] | None = None,
    ) -> AbstractContextManager[Span]:
        """A part of the work in hand.

        Parameters
        ----------
        caused_by
            For work that goes on elsewhere: ``traceparent`` of what caused it. The first is the parent, the others are
            linked; without any there is no span. None: the span in hand is the parent.
        """
        return _NOTHING

    def traceparent(self) -> str:
        """The span in hand, to be handed on; empty where there is none."""
        return ""

    def leave(self, name: str) -> None:
        """Remember the span in hand as a cause of work that others will do later."""

    def causes(self, name: str) -> Sequence[str]:
        """What was left under the name since the last time, the latest few."""
        return ()


NO_TRACES: Final = Traces()
