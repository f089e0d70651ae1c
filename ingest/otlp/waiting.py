"""Calls whose wrapper may come with a later request: a batch may end between the two.

A wrapper ends after the call in it, so the call comes first. It is remembered under the span that is missing above it,
for ten minutes and among the latest hundred thousand, in the memory of this process: after a restart, or where the two
come through different processes, the wrapper is not recognised and counts as well.
"""

from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock
from typing import Final

from ingest.otlp.calls import Call

_MOST: Final = 100_000
_SECONDS: Final = 600.0


class Waiting:
    """Calls by the span that is missing above them; safe to use from several threads.

    Parameters
    ----------
    most
        Spans that are waited for at most; the one that was named longest ago is forgotten.
    seconds
        How long one is waited for.
    """

    def __init__(self, most: int = _MOST, seconds: float = _SECONDS) -> None:
        self._most = most
        self._seconds = seconds
        self._calls: OrderedDict[bytes, tuple[float, dict[bytes, Call]]] = OrderedDict()
        self._lock = Lock()

    def put(self, missing: bytes, calls: Iterable[Call], now: float) -> None:
        """Remember calls below a span that has not come yet."""
        with self._lock:
            _, known = self._calls.pop(missing, (now, {}))
            self._calls[missing] = (now, {**known, **{call.span_id: call for call in calls}})
            while len(self._calls) > self._most:
                self._calls.popitem(last=False)

    def below(self, spans: Iterable[bytes], now: float) -> dict[int, list[Call]]:
        """Which of these spans are waited for, by place, and the calls below them. They stay: a retry asks again."""
        with self._lock:
            if not self._calls:
                return {}
            found = ((place, self._calls.get(span)) for place, span in enumerate(spans))
            return {
                place: list(entry[1].values())
                for place, entry in found
                if entry is not None and now - entry[0] <= self._seconds
            }
