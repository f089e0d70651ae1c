"""What every call cost.

``input_tokens`` includes cache reads and writes, ``output_tokens`` includes reasoning: each part is billed once, at its
own rate. Whose cost counts, first to last:

1. the sender's ``cost_usd`` (``reported``), except a reported 0 that the hub's price contradicts and no cache hit
   explains;
2. the tenant's own price (``tenant_price``), then the public table's (``price``); an answer from the gateway's own
   cache (``cache_hit``) and a failed call without tokens cost 0;
3. of a known model without token counts, an estimate from the captured text (``estimated``: four characters a token);
4. nothing: ``unpriced``, the cost is null, and the model is counted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streams.columnar import (
    Bools,
    Codes,
    Floats,
    Groups,
    Ints,
    codes_of,
    flags,
    floats,
    group,
    ints,
    micros,
    money,
    put,
    text,
)
from streams.prices.model import (
    CACHE_READ,
    CACHE_WRITE,
    HOUR,
    INPUT,
    OUTPUT,
    REASONING,
    REQUEST,
    SOURCE_ESTIMATED,
    SOURCE_PRICE,
    SOURCE_REPORTED,
    SOURCE_TENANT,
    SOURCE_UNPRICED,
    Call,
    Schedule,
    Tiers,
)
from streams.prices.table import PriceTable
from streams.prices.unpriced import Unpriced
from streams.steps.usage import Details, estimate_tokens, read_details

#: Event types that the hub prices; others keep the cost that they report.
PRICED_TYPES: Final = ("llm.request", "llm.embedding")

_SOURCES: Final = (None, SOURCE_REPORTED, SOURCE_PRICE, SOURCE_TENANT, SOURCE_ESTIMATED, SOURCE_UNPRICED)
_NONE, _REPORTED, _PRICE, _TENANT, _ESTIMATED, _UNPRICED = range(6)
_MS_PER_HOUR: Final = 3_600_000.0


@dataclass(frozen=True, slots=True)
class Priced:
    """A block with its costs, and what could not be priced."""

    table: pa.Table
    unpriced: list[Unpriced]


@dataclass(slots=True)
class _Calls:
    """The calls among the events of a block, as columns."""

    rows: Ints
    groups: Groups
    calls: list[Call]
    time: Ints
    tokens: tuple[Ints, Ints, Ints, Ints, Ints]
    counted: Bools
    duration: Floats
    timed: Bools


@dataclass(slots=True)
class _Rates:
    """The rate of every call: an index into ``rates``, −1 without a price."""

    index: Ints
    rates: Floats
    tenant: Bools


def price(table: pa.Table, prices: PriceTable) -> Priced:
    """Replace ``cost_usd`` by the cost that counts, and put beside it where it comes from.

    Adds ``reported_cost_usd``, ``hub_cost_usd`` (only beside a reported cost that counts), ``cost_source`` and
    ``price_version``.
    """
    rows = table.num_rows
    reported, has_report = floats(table, "cost_usd")
    source = np.where(has_report, _REPORTED, _NONE)
    hub, has_hub = np.zeros(rows), np.zeros(rows, np.bool_)
    version = np.zeros(rows, np.int8)
    selected = _selected(table)
    unpriced: list[Unpriced] = []
    if len(selected):
        part = table if len(selected) == rows else table.take(pa.array(selected))
        calls, details = _calls(part, prices)
        rates = _rates(calls, prices)
        amount, known = _amounts(calls, rates)
        _exact(calls, details, prices, amount, known)
        origin = np.where(rates.tenant[rates.index], _TENANT, _PRICE)
        free = flags(part, "cache_hit")
        amount[free], known = np.where(free, 0.0, amount)[free], known | free
        _estimates(part, calls, rates, amount, known, origin)
        failed = _failed(part) & ~calls.counted & ~known
        known |= failed
        origin[(rates.index < 0) & known] = _PRICE
        given = has_report[selected]
        contradicted = given & (reported[selected] == 0) & known & (amount > 0) & ~free
        counts = given & ~contradicted
        source[selected] = np.where(counts, _REPORTED, np.where(known, origin, _UNPRICED))
        hub[selected], has_hub[selected] = amount, known
        version[selected] = np.where(known, np.where(rates.tenant[rates.index], 2, 1), 0)
        unpriced = _unpriced(calls, rates, source[selected] == _UNPRICED)
    return Priced(_written(table, prices, source, reported, has_report, hub, has_hub, version), unpriced)


def _selected(table: pa.Table) -> Ints:
    """The rows with a type that is priced."""
    kinds = codes_of(table, "type")
    wanted = np.array([value in PRICED_TYPES for value in kinds.values])
    return np.flatnonzero(wanted[kinds.codes])


def _failed(table: pa.Table) -> Bools:
    status = codes_of(table, "status")
    return np.array([value == "error" for value in status.values])[status.codes]


def _calls(table: pa.Table, prices: PriceTable) -> tuple[_Calls, Details]:
    details = read_details(table)
    columns = [codes_of(table, name) for name in ("tenant", "provider", "model", "response_model")]
    batch = flags(table, "batch").astype(np.int64)
    groups = group(
        [*(column.codes for column in columns), batch, details.context],
        [*(len(column.values) for column in columns), 2, len(details.contexts)],
    )
    prices.refresh([str(value) for value in columns[0].values])
    calls = [_call(int(row), columns, batch, details) for row in groups.firsts]
    given = [ints(table, name) for name in _TOKENS]
    duration, timed = floats(table, "duration_ms")
    counted = given[0][1].copy()
    for _, present in given[1:]:
        counted |= present
    numbers = tuple(values for values, _ in given)
    rows = np.arange(table.num_rows)
    return (
        _Calls(rows, groups, calls, micros(table, "time"), numbers, counted, duration, timed),  # type: ignore[arg-type]
        details,
    )


_TOKENS: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "reasoning_output_tokens",
)


def _call(row: int, columns: Sequence[Codes], batch: Ints, details: Details) -> Call:
    tenant, provider, model, response = (column.values[column.codes[row]] for column in columns)
    context = details.contexts[int(details.context[row])]
    if batch[row]:
        context = (*context, ("processing", "batch"))
    return Call(str(tenant), provider, model, response, context)


def _rates(calls: _Calls, prices: PriceTable) -> _Rates:
    """One rate for every distinct call, and one more for each tier and time of those that have several."""
    index = np.full(len(calls.rows), -1, np.int64)
    rates: list[tuple[float, ...]] = []
    own: list[bool] = []
    simple = np.full(len(calls.calls), -1, np.int64)
    several: list[tuple[int, Schedule]] = []

    def add(tiers: Tiers) -> int:
        rates.extend(tiers.rates)
        own.extend([tiers.source == SOURCE_TENANT] * len(tiers.rates))
        return len(rates) - len(tiers.rates)

    for number, call in enumerate(calls.calls):
        schedule = prices.schedule(call)
        tiers = schedule.price_at(0, 0)
        if schedule.starts or schedule.marks or (tiers is not None and tiers.above):
            several.append((number, schedule))
        elif tiers is not None:
            simple[number] = add(tiers)
    index[:] = simple[calls.groups.ids]
    for schedule, rows in _rows_of(several, calls.groups):
        _spread(calls, schedule, rows, index, add)
    # The last one is what index −1 finds.
    matrix = np.array([*rates, (0.0,) * 7]).T.copy()
    return _Rates(index, matrix, np.array([*own, False]))


def _rows_of(several: list[tuple[int, Schedule]], groups: Groups) -> list[tuple[Schedule, Ints]]:
    """The rows of some groups."""
    if len(several) <= 4:
        return [(schedule, np.flatnonzero(groups.ids == number)) for number, schedule in several]
    order = np.argsort(groups.ids, kind="stable")
    bounds = np.searchsorted(groups.ids[order], np.arange(len(groups) + 1))
    return [(schedule, order[bounds[number] : bounds[number + 1]]) for number, schedule in several]


def _spread(calls: _Calls, schedule: Schedule, rows: Ints, index: Ints, add: Callable[[Tiers], int]) -> None:
    """Rates of calls whose price depends on their time or their size."""
    starts = np.searchsorted(np.array(schedule.starts, np.int64), calls.time[rows], side="right")
    seconds = calls.time[rows] // 10**6 % 86400
    marks = np.searchsorted(np.array(schedule.marks, np.int64), seconds, side="right")
    cells = group([starts, marks], [len(schedule.starts) + 1, len(schedule.marks) + 1])
    for cell, first in enumerate(cells.firsts):
        tiers = schedule.price_at(int(starts[first]), int(marks[first]))
        if tiers is None:
            index[rows[cells.ids == cell]] = -1
            continue
        within = rows if len(cells) == 1 else rows[cells.ids == cell]
        size = _size(calls, within)
        index[within] = add(tiers) + np.searchsorted(np.array(tiers.above, np.int64), size, side="left")


def _size(calls: _Calls, rows: Ints) -> Ints:
    """Input tokens of a call, of which the cached ones are a part."""
    plain, _, read, write, _ = calls.tokens
    size: Ints = np.maximum(plain[rows], read[rows] + write[rows])
    return size


def _amounts(calls: _Calls, rates: _Rates) -> tuple[Floats, Bools]:
    """The hub's price of every call, and whether it has one."""
    plain, out, read, write, reasoning = calls.tokens
    parts = {
        INPUT: np.maximum(plain - read - write, 0),
        OUTPUT: np.maximum(out - reasoning, 0),
        CACHE_READ: read,
        CACHE_WRITE: write,
        REASONING: reasoning,
    }
    amount = np.zeros(len(calls.rows))
    for kind, tokens in parts.items():
        if tokens.any():
            amount += rates.rates[kind][rates.index] * tokens
    usable = calls.counted.copy()
    if rates.rates[REQUEST].any():
        amount += rates.rates[REQUEST][rates.index]
        usable |= rates.rates[REQUEST][rates.index] > 0
    if rates.rates[HOUR].any():
        hourly = rates.rates[HOUR][rates.index]
        amount += hourly * calls.duration / _MS_PER_HOUR
        # An hourly price of a call of unknown duration is no price, whatever its tokens.
        usable = np.where(hourly > 0, calls.timed, usable)
    return amount, usable & (rates.index >= 0)


def _exact(calls: _Calls, details: Details, prices: PriceTable, amount: Floats, known: Bools) -> None:
    """Calls with audio, images or searches: the public table's own calculation, once for each distinct usage."""
    memory: dict[Any, Any] = {}
    for row, usage in details.usage:
        call = calls.calls[calls.groups.ids[row]]
        base = {name: int(values[row]) for name, values in zip(_USAGE, calls.tokens, strict=True) if values[row]}
        moment = datetime.fromtimestamp(int(calls.time[row]) // 10**6, UTC)
        key = (call, int(calls.time[row]) // 10**6, tuple(base.items()), usage)
        if key not in memory:
            memory[key] = prices.exact_cost(call, moment, {**base, **dict(usage)})
        if memory[key] is not None:
            amount[row], known[row] = float(memory[key]), True


_USAGE: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "output_reasoning_tokens")


def _estimates(
    table: pa.Table, calls: _Calls, rates: _Rates, amount: Floats, known: Bools, origin: npt.NDArray[Any]
) -> None:
    """Calls of known models without token counts, of which the text is there."""
    lacking = (rates.index >= 0) & ~calls.counted & ~known & ~_failed(table)
    for row, (asked, answered) in estimate_tokens(table, np.flatnonzero(lacking)):
        rate = rates.rates[:, rates.index[row]]
        amount[row] = asked * rate[INPUT] + answered * rate[OUTPUT]
        known[row], origin[row] = True, _ESTIMATED


def _unpriced(calls: _Calls, rates: _Rates, missing: Bools) -> list[Unpriced]:
    counts = np.bincount(calls.groups.ids[missing], minlength=len(calls.calls))
    priced = np.bincount(calls.groups.ids[missing & (rates.index >= 0)], minlength=len(calls.calls))
    found = []
    for number in np.flatnonzero(counts):
        call, without_usage = calls.calls[number], int(priced[number])
        item = Unpriced(call.tenant, call.provider or "", call.model or "", "no_price", int(counts[number]))
        if item.calls > without_usage:
            found.append(replace(item, calls=item.calls - without_usage))
        if without_usage:
            found.append(replace(item, calls=without_usage, reason="no_usage"))
    return found


def _written(
    table: pa.Table,
    prices: PriceTable,
    source: npt.NDArray[Any],
    reported: Floats,
    has_report: Bools,
    hub: Floats,
    has_hub: Bools,
    version: npt.NDArray[Any],
) -> pa.Table:
    if not source.any():
        return table
    by_report = source == _REPORTED
    table = put(
        table, "cost_usd", money(np.where(by_report, reported, hub), by_report | (has_hub & (source != _UNPRICED)))
    )
    if has_report.any():
        table = put(table, "reported_cost_usd", money(reported, has_report))
        table = put(table, "hub_cost_usd", money(hub, by_report & has_hub))
    table = put(table, "cost_source", text(source, _SOURCES))
    return put(table, "price_version", text(version, (None, prices.version, "tenant")))
