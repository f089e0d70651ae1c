"""The SDK as a door: every event goes through ``llm_hub.Client.capture``, as from a program that uses it."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Self

from core.errors import BadRequest, Retryable, SettingsError
from hub.sender import Totals
from hub.simulate.config import Event

if TYPE_CHECKING:
    import llm_hub

_ENVELOPE: Final = (
    "trace_id", "span_id", "parent_span_id", "session_id", "user_id", "project", "environment", "attributes",
)  # fmt: skip
#: So many events wait at most: no more than the client's queue holds.
_MOST: Final = 5_000
_PATIENCE_S: Final = 300.0


class SdkSink:
    """Captures events with a client of the SDK for each source; the hub of ``url`` and ``key`` gets them.

    Raises
    ------
    SettingsError
        The SDK is not installed; it is a distribution of its own.
    """

    def __init__(self, url: str, key: str) -> None:
        try:
            import llm_hub
        except ImportError:
            raise SettingsError(
                "--via sdk needs the SDK: pip install llm-analytics-hub-sdk (in a checkout, pip install ./sdk/python)"
            ) from None
        self.totals = Totals()
        self._sdk = llm_hub
        self._url, self._key = url, key
        self._clients: dict[str, llm_hub.Client] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        for client in self._clients.values():
            await asyncio.to_thread(client.close, 0.0 if error[0] is not None else _PATIENCE_S)
        self._count()

    async def take(self, events: Sequence[Event]) -> None:
        """See :class:`hub.simulate.sinks.Sink`; what the client would drop for want of room waits instead."""
        for start in range(0, len(events), _MOST):
            await asyncio.to_thread(self._capture, events[start : start + _MOST])
            self._count()
            if refused := self.totals.reasons["", "refused"]:
                raise BadRequest(f"the hub refused {refused} events of the SDK; the warning of llm_hub says why")

    def _capture(self, events: Sequence[Event]) -> None:
        for event in events:
            given: dict[str, Any] = {name: event[name] for name in _ENVELOPE if name in event}
            client = self._client(event["source"])
            client.capture(event["type"], event["data"], time=event["time"], event_id=event["id"], **given)
        if not all(client.flush(_PATIENCE_S) for client in self._clients.values()):
            raise Retryable(f"the hub took no events of the SDK for {_PATIENCE_S:g} s")

    def _client(self, source: str) -> "llm_hub.Client":
        if source not in self._clients:
            self._clients[source] = self._sdk.Client(self._url, self._key, source=source)
        return self._clients[source]

    def _count(self) -> None:
        told = [client.stats() for client in self._clients.values()]
        totals, dropped = self.totals, sum((Counter(one["dropped"]) for one in told), Counter[str]())
        totals.duplicates = sum(one["duplicates"] for one in told)
        totals.accepted = sum(one["accepted"] for one in told) - totals.duplicates
        totals.rejected = dropped.total()
        totals.batches = sum(one["requests"] - one["retries"] for one in told)
        totals.retries = sum(one["retries"] for one in told)
        totals.reasons = Counter({("", reason): count for reason, count in dropped.items()})
