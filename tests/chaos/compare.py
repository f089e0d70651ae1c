"""Is everything there that was acknowledged, once? ``python -m tests.chaos.compare WAREHOUSE_URL LEDGER`` says.

Three comparisons, all exact. The raw rows are compared with the ledger one by one: type, model, status, time, tokens,
cost. Each rollup together with the raw rows behind its mark, which is what a question reads, is compared with the raw
rows: every count and sum of every group, quantiles and distinct values too. Then what is behind is folded, as the hub
itself would do next, and each rollup alone is compared in the same way.

A process of its own because one process opens one embedded warehouse, and that one belongs to the hub while it runs.
"""

import json
import math
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, Final

import orjson

from core.clock import SystemClock
from storage.warehouse.client import Warehouse
from storage.warehouse.roller import Roller
from storage.warehouse.rollups import ACCURACY, LANE_BITS, LEVELS, ROLLUPS, Kept, Rollup, behind, mark
from tests.chaos.ledger import Ledger, Row, written

ROOT: Final = Path(__file__).parents[2]
_SHOWN: Final = 5

_RAW: Final = """
SELECT tenant, lower(hex(span_id)), type, model, status, toUnixTimestamp64Micro(time), input_tokens, output_tokens,
    cost_usd
FROM events
"""
_CONTENTS: Final = "SELECT tenant, count(), uniqExact(id) FROM payloads GROUP BY tenant"
_LANES: Final = f"SELECT DISTINCT intDiv(position, {1 << LANE_BITS}) FROM events"


def compare(warehouse_url: str, ledger: Ledger, folder: Path) -> dict[str, Any]:
    """Run the comparison; what it reports has ``trouble``, an empty list when all is well, and the counts."""
    told = folder / "ledger.json"
    ledger.save(told)
    command = [sys.executable, "-m", "tests.chaos.compare", warehouse_url, str(told)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def report(
    warehouse: Warehouse,
    acknowledged: Mapping[str, Mapping[str, Row]],
    perhaps: Mapping[str, Mapping[str, Row]],
    *,
    fold: bool = True,
) -> dict[str, Any]:
    """Compare, see the module; without ``fold`` it only looks."""
    trouble = [*_rows(warehouse, acknowledged, perhaps), *_contents(warehouse, acknowledged, perhaps)]
    lanes = [int(row[0]) for row in warehouse.query(_LANES).rows]
    trouble += [one for rollup in ROLLUPS for one in _rollup(warehouse, rollup, _with_behind(rollup, lanes), "behind")]
    if fold:
        roller = Roller(warehouse, SystemClock())
        for lane in lanes:
            roller.resume(lane, complete=True)
        roller.roll()
        trouble += [one for rollup in ROLLUPS for one in _rollup(warehouse, rollup, _folded(rollup), "folded")]
    return {"trouble": trouble, "events": sum(map(len, acknowledged.values())), "rollups": len(ROLLUPS)}


def _rows(
    warehouse: Warehouse, acknowledged: Mapping[str, Mapping[str, Row]], perhaps: Mapping[str, Mapping[str, Row]]
) -> Iterator[str]:
    stored: Counter[tuple[str, str]] = Counter()
    wrong, strange = [], []
    for tenant, span_id, *values, cost in warehouse.query(_RAW, settings={"max_result_rows": 0}).rows:
        stored[tenant, span_id] += 1
        wanted = acknowledged.get(tenant, {}).get(span_id) or perhaps.get(tenant, {}).get(span_id)
        if wanted is None:
            strange.append(span_id)
        elif (*values, None if cost is None else written(Decimal(cost))) != tuple(wanted)[:-1]:
            wrong.append(f"{tenant}/{span_id} is {values} {cost} and not {wanted}")
    wanted_ids = {(tenant, span_id) for tenant, rows in acknowledged.items() for span_id in rows}
    yield from _some("lost", (f"{tenant}/{span_id}" for tenant, span_id in wanted_ids - stored.keys()))
    yield from _some("counted twice", (f"{key} ×{times}" for key, times in stored.items() if times > 1))
    yield from _some("wrong", wrong)
    yield from _some("never sent", strange)


def _contents(
    warehouse: Warehouse, acknowledged: Mapping[str, Mapping[str, Row]], perhaps: Mapping[str, Mapping[str, Row]]
) -> Iterator[str]:
    stored = {tenant: (count, different) for tenant, count, different in warehouse.query(_CONTENTS).rows}
    for tenant, rows in acknowledged.items():
        least = sum(row.contents for row in rows.values())
        most = least + sum(row.contents for row in perhaps.get(tenant, {}).values())
        count, different = stored.get(tenant, (0, 0))
        if count != different or not least <= count <= most:
            yield f"contents of {tenant}: {count} rows of {different} events, wanted {least} to {most}"


def _rollup(warehouse: Warehouse, rollup: Rollup, sql: str, stage: str) -> Iterator[str]:
    """Differences between a rollup and the raw rows, group by group."""
    raw, rolled = (_groups(warehouse, rollup, text) for text in (_states(rollup), sql))
    differ = [key for key in raw.keys() | rolled.keys() if not _same(raw.get(key), rolled.get(key))]
    names = [kept.column for kept in rollup.kept]
    shown = (f"{key}: {_apart(names, raw.get(key), rolled.get(key))}" for key in differ)
    yield from _some(f"{rollup.name} ({stage})", shown)


def _apart(names: list[str], raw: Sequence[Any] | None, rolled: Sequence[Any] | None) -> str:
    """What of a group differs."""
    if raw is None or rolled is None:
        return "not in the rollup" if rolled is None else f"only in the rollup, {names[0]} {rolled[0]}"
    values = zip(names, raw, rolled, strict=True)
    return ", ".join(f"{name} {one} is {other}" for name, one, other in values if not _same(one, other))


def _groups(warehouse: Warehouse, rollup: Rollup, sql: str) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    groups = ", ".join(_keys(rollup))
    values = ", ".join(_final(kept) for kept in rollup.kept)
    text = f"SELECT {groups}, {values} FROM ({sql}) AS s GROUP BY {groups}"
    width = len(_keys(rollup))
    found = warehouse.query(text, settings={"max_result_rows": 0, "max_memory_usage": 0}).rows
    return {row[:width]: row[width:] for row in found}


def _keys(rollup: Rollup) -> tuple[str, ...]:
    return ("time", *_texts(rollup))


def _texts(rollup: Rollup) -> tuple[str, ...]:
    return ("tenant", *sorted(rollup.dimensions))


def _states(rollup: Rollup, where: str = "1") -> str:
    """Mergeable states of raw rows in the rollup's buckets."""
    bucket = f"toDateTime(intDiv(toUnixTimestamp(e.time), {rollup.seconds}) * {rollup.seconds}, 'UTC') AS time"
    texts = ", ".join(f"e.{name} AS {name}" for name in _texts(rollup))
    states = ", ".join(f"{kept.sql} AS {kept.column}" for kept in rollup.kept)
    return f"SELECT {bucket}, {texts}, {states} FROM events AS e WHERE {where} GROUP BY {', '.join(_keys(rollup))}"


def _folded(rollup: Rollup) -> str:
    columns = ", ".join((*_keys(rollup), *(kept.column for kept in rollup.kept)))
    return f"SELECT {columns} FROM {rollup.name} WHERE tenant != ''"


def _with_behind(rollup: Rollup, lanes: Iterable[int]) -> str:
    """What a question reads: the rollup, and of the raw rows those behind its mark."""
    where = behind({lane: mark(rollup.name, lane) for lane in lanes})
    return f"{_folded(rollup)} UNION ALL {_states(rollup, where)}"


def _final(kept: Kept) -> str:
    if kept.function in ("count", "sum"):
        return f"sum(s.{kept.column})"
    if kept.function == "quantiles":
        return f"quantilesDDMerge({ACCURACY}, {', '.join(map(str, LEVELS))})(s.{kept.column})"
    return f"uniqMerge(s.{kept.column})"


def _same(left: Any, right: Any) -> bool:
    """Equal; floating sums up to the order in which they were added."""
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9) or (math.isnan(left) and math.isnan(right))
    if isinstance(left, tuple | list) and isinstance(right, tuple | list):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)


def _some(what: str, found: Iterable[str]) -> Iterator[str]:
    """One line for a kind of trouble, with the first of it."""
    all_ = list(found)
    if all_:
        yield f"{what}: {len(all_)}: " + "; ".join(islice(sorted(all_), _SHOWN))


def main(warehouse_url: str, path: Path) -> None:
    told = orjson.loads(path.read_bytes())
    acknowledged, perhaps = (
        {tenant: {span_id: Row(*row) for span_id, row in rows.items()} for tenant, rows in told[name].items()}
        for name in ("acknowledged", "perhaps")
    )
    with Warehouse(warehouse_url) as warehouse:
        print(json.dumps(report(warehouse, acknowledged, perhaps)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
