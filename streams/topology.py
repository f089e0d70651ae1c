"""The order of the steps: each takes the block as the one before left it."""

from collections.abc import Callable
from typing import Final

import pyarrow as pa

from streams.steps.decode import decode
from streams.steps.dedupe import duplicates_by_tenant
from streams.steps.derive import derive
from streams.steps.price import price
from streams.steps.region import regions
from streams.steps.split import split
from streams.work import Tools, Work

#: Changes the block in hand; pure but for the memory of ids and prices in the tools. Raises nothing on purpose.
Step = Callable[[Work, Tools], None]


def decode_records(work: Work, _: Tools) -> None:
    """Bytes to one table; records that are none are put aside."""
    aside = {one.index: one for one in work.aside}
    decoded = decode([None if index in aside else record.value for index, record in enumerate(work.records)])
    work.rejected = tuple(aside.get(one.index, one) for one in decoded.rejected)
    work.table = regions(decoded.table, work.records, decoded.rows)


def drop_repeated(work: Work, tools: Tools) -> None:
    """Without events that came before."""
    if tools.deduper is None or not work.table.num_rows:
        return
    repeated = tools.deduper.repeated(work.table)
    if repeated.any():
        work.duplicates = dict(duplicates_by_tenant(work.table, repeated))
        work.table = work.table.filter(pa.array(~repeated))


def add_costs(work: Work, tools: Tools) -> None:
    """What every call cost."""
    priced = price(work.table, tools.prices)
    work.table, work.unpriced = priced.table, priced.unpriced


def add_derived(work: Work, tools: Tools) -> None:
    """What follows from other columns."""
    work.table = derive(work.table, tools.retention)


def split_tables(work: Work, _: Tools) -> None:
    """As the warehouse takes it."""
    work.tables = split(work.table)


STEPS: Final[tuple[tuple[str, Step], ...]] = (
    ("decode", decode_records),
    ("dedupe", drop_repeated),
    ("price", add_costs),
    ("derive", add_derived),
    ("split", split_tables),
)
