"""A trace while it is being built."""

from dataclasses import dataclass
from typing import Any

from hub.simulate.emit import Emitter
from hub.simulate.platform import Project
from hub.simulate.requests import Request


@dataclass(slots=True)
class Trace:
    """The state of a trace: where its time has come to, and what has happened in it.

    ``context`` is the envelope that all its events share, ``labels`` the fields of ``data`` that most of them share,
    ``now`` the time reached, ``failed`` the type of the error that ended it, ``answer_id`` the id of the last
    successful call of a model.
    """

    emitter: Emitter
    request: Request
    project: Project
    context: dict[str, Any]
    labels: dict[str, str]
    root: str
    now: int
    failed: str = ""
    answer_id: str = ""
    calls: int = 0
    tools: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    def child(self, type_: str, source: str, data: dict[str, Any]) -> str:
        """A span below the root that ends now."""
        context = {**self.context, "span_id": self.emitter.span_id(), "parent_span_id": self.root}
        return self.emitter.emit(self.now, type_, source, data, context)

    def root_event(self, type_: str, data: dict[str, Any]) -> None:
        """The root itself, ended now."""
        self.emitter.emit(self.now, type_, "observatory", data, {**self.context, "span_id": self.root})

    def loose(self, at_us: int, type_: str, source: str, data: dict[str, Any]) -> None:
        """An event that belongs to the trace, but is no span of it."""
        self.emitter.emit(at_us, type_, source, data, self.context)
