"""A call of a model as a framework sees it: the client's call below it, nearer to the wire, is the one that counts."""

from contextvars import ContextVar
from typing import Any, Final
from weakref import ref

from llm_hub.client import Client
from llm_hub.context import CURRENT, leave
from llm_hub.spans import Span

#: Of the framework's span: the id of the call that counts instead. The hub says the same of spans that come by OTLP.
RECONCILED: Final = "llm_hub.reconciled"
_TOKENS: Final = ("input_tokens", "output_tokens")
_COUNTS: Final = (*_TOKENS, "cache_read_input_tokens", "cache_write_input_tokens", "reasoning_output_tokens")


class Run:
    """A framework's run of a model, from :meth:`begin` to :meth:`end`.

    Its own span is the ``llm.request`` as long as no other call is seen within. If one is, that call counts, and the
    run becomes a ``span`` of the kind ``llm`` around it.

    Parameters
    ----------
    span
        Of the run, already started.
    client
        What it is captured by; calls that go to another client are none of this run.
    above
        The framework's id of what it is a part of; runs with the same one are side by side.
    """

    def __init__(self, span: Span, client: Client, above: Any) -> None:
        self.span = span
        self.client = client
        self.above = above
        self.open = True
        self.calls: list[Span] = []
        self._untold: list[Span] = []

    def begin(self) -> None:
        """Calls of clients in this context are the run's from now on."""
        _RUNS.set((*map(ref, _open()), ref(self)))

    def end(self, **fields: Any) -> None:
        """The framework says that the run is over, and what came of it."""
        self.open = False
        _RUNS.set(tuple(map(ref, _open())))
        if self._untold and len(self._untold) == len(self.calls):
            # The framework may know what the provider did not tell: once, however many calls it made.
            self._untold[-1].set(**{name: fields[name] for name in _COUNTS if name in fields})
        self._let_go()
        if self.calls:
            kept = {name: value for name, value in fields.items() if name not in _COUNTS}
            self.span.recast("llm", {RECONCILED: self.calls[-1].span_id}).set(**kept)
        else:
            self.span.set(**fields)
        self.span.end()

    def ended(self, call: Span) -> bool:
        """A call within is over; whether it waits for what the framework knows of its tokens."""
        waits = self.open and not any(map(call.has, _TOKENS)) and not call.has("error_type")
        if waits:
            self._untold.append(call.set(duration_ms=call.elapsed_ms()))
        return waits

    def _let_go(self) -> None:
        while self._untold:
            self._untold.pop(0).end()

    def __del__(self) -> None:
        """The framework has forgotten it."""
        self._let_go()


#: The runs of this context. The framework's handler holds them: one that never ends goes with it.
_RUNS: ContextVar[tuple[ref[Run], ...]] = ContextVar("llm_hub_runs", default=())


def _open() -> list[Run]:
    return [run for held in _RUNS.get() if (run := held()) is not None and run.open]


def run_around(client: Client) -> Run | None:
    """The run that a call which begins now is part of.

    Of runs that were begun side by side (several prompts at once) the first one that has no call yet.
    """
    runs = [run for run in _open() if run.client is client]
    if not runs:
        return None
    beside = [run for run in runs if run.above == runs[-1].above]
    return next((run for run in beside if not run.calls), runs[-1])


def start_within(span: Span, run: Run | None) -> Span:
    """Start the span of a call, as a part of the run if there is one."""
    if run is None:
        return span.start()
    token = CURRENT.set(run.span.scope)
    try:
        run.calls.append(span.start())
    finally:
        leave(token)
    return span
