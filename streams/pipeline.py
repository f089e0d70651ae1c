"""Records in, tables out: the steps in their order, each timed."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from broker.log import Record
from core.metrics import Metrics
from storage.warehouse.writer import Block
from streams.prices.table import PriceTable
from streams.prices.unpriced import UnpricedModels
from streams.steps.decode import Rejected
from streams.steps.dedupe import Deduper
from streams.steps.derive import Retention
from streams.topology import STEPS
from streams.work import Tools, Work


@dataclass(frozen=True, slots=True)
class Prepared:
    """A block that is ready to be stored, and what else is to be done with it."""

    block: Block
    work: Work

    @property
    def last_timestamp_ms(self) -> int:
        """When the last record was appended."""
        return self.work.records[-1].timestamp_ms

    @property
    def rows(self) -> int:
        """Events to be stored."""
        return int(self.block.events.num_rows)


class Pipeline:
    """Runs the steps and counts what they find. Blocking: call it in a thread, one call at a time.

    Parameters
    ----------
    prices
        The price table.
    retention
        How long a tenant's events, or their contents, are kept.
    metrics
        Where seconds, duplicates and unpriced calls are counted.
    unpriced
        Where unpriced models are remembered.
    """

    def __init__(self, prices: PriceTable, retention: Retention, metrics: Metrics, unpriced: UnpricedModels) -> None:
        self._prices, self._retention = prices, retention
        self._metrics, self._unpriced = metrics, unpriced

    def prepare(
        self,
        records: Sequence[Record],
        deduper: Deduper | None,
        now: datetime,
        bounds: tuple[int, int] | None = None,
        aside: Sequence[Rejected] = (),
    ) -> Prepared:
        """The block of these records of one partition.

        Parameters
        ----------
        records
            In order, at least one.
        deduper
            Knows the ids of the events before; None when repetitions count.
        now
            For the list of unpriced models.
        bounds
            First and last offset of the block where they are not those of the records: a block that is sent again.
        aside
            Records that make a step fail: they are rejected as they are.
        """
        work = Work(records, aside=tuple(aside))
        tools = Tools(self._prices, self._retention, deduper)
        for name, step in STEPS:
            started = time.perf_counter()
            step(work, tools)
            self._metrics.streams_step_seconds.labels(name).observe(time.perf_counter() - started)
        self._count(work, now)
        first, last = bounds or (records[0].offset, records[-1].offset)
        tables = work.tables
        block = Block(records[0].topic, records[0].partition, first, last, tables.events, tables.payloads)
        return Prepared(block, work)

    def _count(self, work: Work, now: datetime) -> None:
        self._metrics.streams_duplicates.inc(sum(work.duplicates.values()))
        for item in work.unpriced:
            model = self._metrics.bounded("model", item.model)
            self._metrics.streams_unpriced.labels(model, item.reason).inc(item.calls)
        self._unpriced.add(work.unpriced, now)
