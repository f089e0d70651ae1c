"""For the tests of hosts: a client that keeps what it is given."""

import json
from collections import deque
from typing import Any

from llm_hub.client import Client
from llm_hub.encode import Captured, Encoder
from llm_hub.options import Options
from llm_hub.pipeline import Pipeline
from llm_hub.transport import Answer


class MemoryClient(Client):
    """A client without a thread or a connection: ``client.events`` is what a hub would have got.

    Examples
    --------
    >>> client = MemoryClient(source="test")
    >>> with client.span("work"):
    ...     _ = client.capture("product.event", {"name": "clicked"})
    >>> [event["data"]["name"] for event in client.events]
    ['clicked', 'work']
    >>> client.of("product.event")[0]["parent_span_id"] == client.of("span")[0]["span_id"]
    True
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("http://memory", "lh_memory", transport=_Nowhere, **options)

    def _new_pipeline(self) -> Pipeline:
        encoder = Encoder(self.source, self.project, self.environment, self.options.event_bytes)
        return _Kept(self.options, encoder)

    @property
    def events(self) -> list[dict[str, Any]]:
        """All events so far, as they would be sent."""
        pipeline = self._pipeline
        assert isinstance(pipeline, _Kept)
        return pipeline.events()

    def of(self, event_type: str) -> list[dict[str, Any]]:
        """The events of one type."""
        return [event for event in self.events if event["type"] == event_type]

    def clear(self) -> None:
        """Forget all events."""
        self._pipeline = self._new_pipeline()


class _Kept(Pipeline):
    """A queue that nobody empties."""

    queue: deque[Any]

    def __init__(self, options: Options, encoder: Encoder) -> None:
        super().__init__(options, encoder, _Nowhere)
        self.idle = False
        self._written: list[dict[str, Any]] = []

    def wake(self) -> None:
        """There is no thread."""

    def flush(self, timeout: float) -> bool:  # noqa: ARG002 - as in the base class
        """Nothing to wait for."""
        return True

    def close(self, timeout: float) -> bool:  # noqa: ARG002 - as in the base class
        """Keep what there is."""
        self.limit, self.full = 0, "closed"
        return True

    def events(self) -> list[dict[str, Any]]:
        """Encoded once, so that reading twice gives the same."""
        while self.queue:
            captured: Captured = self.queue.popleft()
            line = self._line(captured)
            if line is not None:
                self._written.append(json.loads(line))
        return list(self._written)


class _Nowhere:
    """A transport that is never used."""

    def post(self, body: bytes, headers: dict[str, str], timeout: float) -> Answer:  # noqa: ARG002
        """Takes everything."""
        return Answer(202, "", b"")

    def close(self) -> None:
        """Nothing to close."""
