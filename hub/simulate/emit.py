"""Where events of a block are gathered: deterministic ids, and the envelope."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from hub.simulate.config import Event

_POOL = 4096


def uuids(rng: np.random.Generator) -> Iterator[str]:
    """Endless UUIDs (version 4 in form) from a generator; the same seed gives the same ids."""
    while True:
        raw = np.frombuffer(rng.bytes(16 * _POOL), dtype=np.uint8).reshape(_POOL, 16).copy()
        raw[:, 6] = raw[:, 6] & 0x0F | 0x40
        raw[:, 8] = raw[:, 8] & 0x3F | 0x80
        digits = raw.tobytes().hex()
        for at in range(0, 32 * _POOL, 32):
            text = digits[at : at + 32]
            yield f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def hex_ids(rng: np.random.Generator, digits: int) -> Iterator[str]:
    """Endless ids of ``digits`` hex digits."""
    while True:
        text = rng.bytes(digits // 2 * _POOL).hex()
        for at in range(0, digits * _POOL, digits):
            yield text[at : at + digits]


class Emitter:
    """Gathers the events of one tenant and block.

    Parameters
    ----------
    rng
        Source of the ids.

    Attributes
    ----------
    events
        ``(end time in microseconds, event)``; the event's ``time`` is filled in when the block is sorted.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.events: list[tuple[int, Event]] = []
        self._ids = uuids(rng)
        self._traces = hex_ids(rng, 32)
        self._spans = hex_ids(rng, 16)

    def trace_id(self) -> str:
        """A fresh trace id."""
        return next(self._traces)

    def span_id(self) -> str:
        """A fresh span id."""
        return next(self._spans)

    def emit(
        self, at_us: int, type_: str, source: str, data: dict[str, Any], context: dict[str, Any] | None = None
    ) -> str:
        """Add an event that ends at ``at_us``; ``context`` is the rest of its envelope. Returns its id."""
        id_ = next(self._ids)
        event = {"id": id_, "type": type_, "source": source, "time": "", "schema_version": "1.0"}
        if context:
            event.update(context)
        event["data"] = data  # type: ignore[assignment]
        self.events.append((at_us, event))
        return id_
