"""A block on its way through the steps."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from broker.log import Record
from streams.prices.table import PriceTable
from streams.prices.unpriced import Unpriced
from streams.steps.decode import Rejected
from streams.steps.dedupe import Deduper
from streams.steps.derive import Retention
from streams.steps.split import Tables

_NOTHING = pa.table({})


@dataclass(frozen=True, slots=True)
class Tools:
    """What the steps need besides the block."""

    prices: PriceTable
    retention: Retention
    deduper: Deduper | None


@dataclass(slots=True)
class Work:
    """What the steps make of some records, one after the other."""

    records: Sequence[Record]
    aside: tuple[Rejected, ...] = ()
    table: pa.Table = field(default_factory=lambda: _NOTHING)
    tables: Tables = field(default_factory=lambda: Tables(_NOTHING, None))
    rejected: tuple[Rejected, ...] = ()
    duplicates: dict[str, int] = field(default_factory=dict)
    unpriced: list[Unpriced] = field(default_factory=list)
