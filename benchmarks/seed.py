"""Fills a warehouse with realistic events inside the engine, for benchmarks that ask rather than send.

Ten million events over thirty days take one to two minutes, rollups included. Traces of six events (route, retrieval,
guardrail, model call, span and one more), users with a favourite project, tokens and durations log-normal, three in a
hundred calls fail. Everything follows from the row number: the same call makes the same events.
"""

import argparse
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.clock import SystemClock
from storage.warehouse.client import Warehouse
from storage.warehouse.config import WarehouseConfig
from storage.warehouse.migrations import migrate
from storage.warehouse.roller import Roller
from storage.warehouse.rollups import LANE_BITS

#: Rows of one insert into ``events``.
CHUNK = 250_000

#: Events of one position, so of one fold of the finer rollups: history is spread so wide that nearly every event begins
#: a group of its own in them, and groups need memory.
FOLD = 20_000

#: A partition that no log has: the hub that opens the folder counts its own events from the beginning.
LANE = 255

_COLUMNS = """
    tenant, received_at, id, type, source, time, schema_version, project, environment, trace_id, span_id,
    parent_span_id, session_id, user_id, attributes, provider, model, operation, response_model, input_tokens,
    output_tokens, cache_read_input_tokens, duration_ms, time_to_first_token_ms, status, error_type, http_status_code,
    finish_reason, stream, cost_usd, verdict, score, rating, returned, name, cost_source, price_version,
    tokens_per_second, error_class, expires_at, position
"""

_SELECT = """
WITH
    ['gateway.route', 'retrieval.query', 'guardrail.check', 'llm.request', 'span', 'other'] AS kinds,
    ['evaluation.score', 'tool.call', 'llm.request', 'agent.run', 'feedback.rating'] AS others,
    ['gpt-4o', 'gpt-4o-mini', 'claude-sonnet-4-5', 'claude-haiku-4-5', 'gemini-2.5-flash', 'llama-3.3-70b'] AS models,
    ['openai', 'openai', 'anthropic', 'anthropic', 'google', 'groq'] AS providers,
    [2.5, 0.15, 3.0, 1.0, 0.3, 0.6] AS prices,
    number AS n,
    intDiv(n, 6) AS t,
    cityHash64(n) AS h,
    cityHash64(t, 'trace') AS ht,
    toUInt32(3000 * pow((ht % 1000003) / 1000003, 3)) AS who,
    if(n % 6 = 5, others[1 + h % 5], kinds[1 + n % 6]) AS kind,
    kind = 'llm.request' AS call,
    1 + toUInt8(6 * pow((intDiv(ht, 7) % 10007) / 10007, 2)) AS m,
    sqrt(-2 * log((1 + h % 999983) / 999984)) * cos(6.2831853 * (intDiv(h, 999983) % 999979) / 999979) AS normal,
    kind NOT IN ('evaluation.score', 'feedback.rating') AND intDiv(h, 11) % 100 < 3 AS failed,
    toUInt32(exp(6.5 + normal)) AS prompt,
    toUInt32(1 + exp(5 + 0.9 * normal)) AS completion,
    toFloat32(exp(6.6 + 0.8 * normal)) AS took,
    {start:Int64} + toInt64((n - {first:UInt64}) * {step:Float64}) AS micro,
    fromUnixTimestamp64Micro(micro, 'UTC') AS moment,
    ['rate_limit', 'timeout', 'server'][1 + h % 3] AS problem,
    if(call, prompt * prices[m] / 1e6 + completion * 4 * prices[m] / 1e6, NULL) AS price
SELECT
    {tenant:String}, moment + toIntervalMillisecond(5 + h % 90), generateUUIDv4(n), kind,
    ['gateway', 'retrieval', 'guardrails', 'gateway', 'observatory', 'evaluation'][1 + n % 6], moment, '1.0',
    ['support-bot', 'search', 'copilot'][1 + who % 3], if(ht % 10 < 8, 'production', 'staging'),
    sipHash128(t), reinterpretAsFixedString(cityHash64(n, 's')),
    if(n % 6 = 0, toFixedString('', 8), reinterpretAsFixedString(cityHash64(t * 6, 's'))),
    concat('s-', toString(who * 8 + ht % 4 + intDiv(micro, 86400000000) * 100000)), concat('user-', toString(who)),
    if(h % 10 < 6, map('region', ['eu-west-1', 'us-east-1', 'ap-south-1'][1 + ht % 3]), map()),
    if(call OR n % 6 = 0, providers[m], ''), if(call OR n % 6 = 0, models[m], ''), if(call, 'chat', ''),
    if(call, models[m], ''), if(call, prompt, NULL), if(call AND NOT failed, completion, NULL),
    if(call, toUInt32(prompt * (h % 4) / 8), NULL), if(kind = 'feedback.rating', NULL, took),
    if(call AND NOT failed, took / 5, NULL), if(failed, 'error', 'ok'), if(failed, problem, ''),
    if(call, if(failed, 429, 200), NULL), if(call, ['stop', 'stop', 'stop', 'length', 'tool_calls'][1 + h % 5], ''),
    if(call, h % 3 < 2, NULL), toDecimal64(price, 10),
    if(n % 6 = 2, ['pass', 'flag', 'block'][1 + least(2, h % 41)], ''),
    if(kind = 'evaluation.score' OR n % 6 = 2, (h % 1000) / 1000, NULL), if(kind = 'feedback.rating', h % 5, NULL),
    if(n % 6 = 1, h % 9, NULL),
    multiIf(n % 6 = 2, ['pii', 'toxicity'][1 + h % 2], n % 6 = 4, ['handle', 'render', 'rerank'][1 + h % 3],
        kind = 'tool.call', 'search', kind = 'evaluation.score', 'faithfulness', kind = 'agent.run', 'planner', ''),
    if(call, 'price', ''), if(call, '0.2.3', ''), if(call AND NOT failed, completion / took * 1250, NULL),
    if(failed, problem, ''), toDateTime(moment + toIntervalDay(120)),
    {lane:UInt64} + 1 + intDiv(n, {fold:UInt64})
FROM numbers({first:UInt64}, {rows:UInt64})
"""


def fill(
    folder: Path, events: int, *, tenant: str = "default", days: float = 30, warehouse: Warehouse | None = None
) -> float:
    """Store ``events`` events, evenly over the last ``days`` days.

    Parameters
    ----------
    folder
        The warehouse's folder; unused with ``warehouse``.
    tenant
        Whose events they are.

    Returns
    -------
    float
        Seconds it took.
    """
    began = time.monotonic()
    house = warehouse or Warehouse(
        f"chdb:////{str(folder.resolve()).lstrip('/')}", WarehouseConfig(memory_bytes=8 << 30)
    )
    house.open()
    migrate(house)
    end = datetime.now(UTC)
    start = end - timedelta(days=days)
    _events(house, events, tenant, start, end)
    roller = Roller(house, SystemClock())
    roller.resume(LANE, complete=True)
    roller.roll()
    if warehouse is None:
        house.close()
    return time.monotonic() - began


def _events(house: Warehouse, events: int, tenant: str, start: datetime, end: datetime) -> None:
    step = (end - start).total_seconds() * 1e6 / events
    for first in range(0, events, CHUNK):
        values = {
            "tenant": tenant,
            "first": first,
            "rows": min(CHUNK, events - first),
            "step": step,
            "start": int(start.timestamp() * 1e6 + first * step),
            "lane": LANE << LANE_BITS,
            "fold": FOLD,
        }
        house.command(f"INSERT INTO events ({_COLUMNS}) {_SELECT}", values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--events", type=int, default=10_000_000)
    args = parser.parse_args()
    print(f"{fill(args.folder, args.events):.1f} s")


if __name__ == "__main__":
    main()
