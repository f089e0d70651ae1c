"""A writer in memory that keeps the journal's promises, and fails when it is told to."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from core.errors import Conflict
from storage.warehouse.writer import Block, Resume


@dataclass
class FakeWriter:
    """Stores each range once; ``trouble`` is called before every insert and may raise."""

    trouble: Callable[[Block], None] = lambda _: None
    blocks: list[Block] = field(default_factory=list)
    skipped: list[Block] = field(default_factory=list)
    pending: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    through: dict[tuple[str, int], int] = field(default_factory=dict)
    attempts: int = 0
    busy: threading.Lock = field(default_factory=threading.Lock)

    def resume(self, topic: str, partition: int) -> Resume:
        key = (topic, partition)
        return Resume(self.through.get(key), self.pending.get(key))

    def write(self, block: Block) -> None:
        assert self.busy.acquire(blocking=False), "two inserts of one partition at a time"
        try:
            self.attempts += 1
            self._begin(block)
            self.trouble(block)
            self.blocks.append(block)
            self._finish(block)
        finally:
            self.busy.release()

    def skip(self, block: Block) -> None:
        self._begin(block)
        self.skipped.append(block)
        self._finish(block)

    def ids(self) -> list[bytes]:
        """The ids of everything stored, in order."""
        return [id_ for block in self.blocks for id_ in block.events.column("id").to_pylist()]

    def _begin(self, block: Block) -> None:
        key, bounds = (block.topic, block.partition), (block.first_offset, block.last_offset)
        known = self.pending.setdefault(key, bounds)
        if known != bounds:
            raise Conflict(f"{bounds} while {known} is pending")

    def _finish(self, block: Block) -> None:
        key = (block.topic, block.partition)
        del self.pending[key]
        self.through[key] = max(block.last_offset, self.through.get(key, -1))
