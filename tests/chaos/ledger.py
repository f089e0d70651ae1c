"""What was sent and what was acknowledged: a seeded maker of events whose every count, token and cost is known."""

import random
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

#: US dollars per million tokens in and out, as the public table has them; a model that nobody has a price for.
PRICES: Final = {"gpt-4o": (Decimal("2.5"), Decimal(10)), "gpt-4o-mini": (Decimal("0.15"), Decimal("0.6"))}
UNPRICED: Final = "a-model-of-the-house"

_MICRO: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Row(NamedTuple):
    """What the warehouse must have of an event, once."""

    type: str
    model: str
    status: str
    time: int  # microseconds
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: str | None  # as `Decimal(18, 10)` is written
    contents: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that are sent in one request: what is said, and what must come of it by span id."""

    tenant: str
    events: list[dict[str, Any]]
    rows: dict[str, Row]


@dataclass
class Ledger:
    """Makes events, and keeps what must be stored.

    The same seed makes the same events in the same order, except for their times: those lie around now.

    Parameters
    ----------
    seed
        Of everything that is chosen by chance.
    late
        Share of batches whose events happened within the last three hours instead of the last seconds: the rollups fold
        them in another way.
    contents
        Characters of the contents that every request has; few of them have some otherwise.
    """

    seed: int
    late: float = 0.1
    contents: int = 0
    acknowledged: dict[str, dict[str, Row]] = field(default_factory=dict)
    perhaps: dict[str, dict[str, Row]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self._made = 0

    def batch(self, tenant: str, size: int, *, ids: bool = True) -> Batch:
        """The next events of a tenant, with ids of their own or without."""
        reach = 3 * 3600.0 if self.random.random() < self.late else 20.0
        trace = uuid.UUID(int=self.random.getrandbits(128)).hex
        events: list[dict[str, Any]] = []
        rows: dict[str, Row] = {}
        for _ in range(size):
            self._made += 1
            if self.random.random() < 0.3:
                trace = uuid.UUID(int=self.random.getrandbits(128)).hex
            event = self._event(f"{self.seed & 0xFFFF:04x}{self._made:012x}", trace, reach)
            if ids:
                event["id"] = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.seed}/{self._made}"))
            events.append(event)
            rows[event["span_id"]] = _row(event)
        return Batch(tenant, events, rows)

    def sent(self, batch: Batch) -> None:
        """As long as nobody answers, its events may be stored or not."""
        self.perhaps.setdefault(batch.tenant, {}).update(batch.rows)

    def took(self, batch: Batch) -> None:
        """The hub has acknowledged it: from now on all of it is to be there."""
        for span_id in batch.rows:
            self.perhaps.get(batch.tenant, {}).pop(span_id, None)
        self.acknowledged.setdefault(batch.tenant, {}).update(batch.rows)

    def count(self, tenant: str | None = None) -> int:
        """How many events were acknowledged."""
        return sum(len(rows) for name, rows in self.acknowledged.items() if tenant in (None, name))

    def rows(self, tenant: str) -> Iterable[Row]:
        """What is to be there of a tenant."""
        return self.acknowledged.get(tenant, {}).values()

    def save(self, path: Path) -> None:
        """For :mod:`tests.chaos.compare` in a process of its own."""
        path.write_bytes(orjson.dumps({"acknowledged": self.acknowledged, "perhaps": self.perhaps}, default=list))

    def _event(self, span_id: str, trace: str, reach: float) -> dict[str, Any]:
        type_, data = self._data()
        happened = datetime.now(UTC) - timedelta(seconds=self.random.uniform(0, reach))
        return {
            "type": type_,
            "source": "chaos",
            "time": happened.isoformat(timespec="microseconds"),
            "project": self.random.choice(("bot", "search")),
            "environment": "production",
            "trace_id": trace,
            "span_id": span_id,
            "user_id": f"u-{self.random.randrange(40)}",
            "session_id": f"s-{self.random.randrange(400)}",
            "data": data,
        }

    def _data(self) -> tuple[str, dict[str, Any]]:
        chance = self.random
        type_ = chance.choices(("llm.request", "llm.embedding", "guardrail.check", "product.event"), (6, 1, 1, 1))[0]
        if type_ == "guardrail.check":
            return type_, {"policy": "pii", "verdict": chance.choice(("pass", "block")), "duration_ms": self._whole()}
        if type_ == "product.event":
            return type_, {"name": chance.choice(("opened", "closed"))}
        model = chance.choice((*PRICES, UNPRICED))
        data = {
            "provider": "openai" if model in PRICES else "house",
            "model": model,
            "input_tokens": chance.randrange(1, 5000),
            "duration_ms": self._whole(),
            "status": chance.choices(("ok", "error"), (9, 1))[0],
        }
        if type_ == "llm.request":
            data |= {"operation": "chat", "output_tokens": chance.randrange(1, 1000)}
            if chance.random() < 0.2:
                data["cost_usd"] = chance.randrange(1, 10**6) / 10**6
            if self.contents or chance.random() < 0.2:
                text = chance.randbytes(max(8, self.contents // 2)).hex()
                data["input_messages"] = [{"role": "user", "content": text}]
        return type_, data

    def _whole(self) -> int:
        """A duration whose sums are the same in any order."""
        return self.random.randrange(1, 8000)


def _row(event: dict[str, Any]) -> Row:
    data = event["data"]
    time = (datetime.fromisoformat(event["time"]) - _EPOCH) // _MICRO
    return Row(
        event["type"],
        data.get("model", ""),
        data.get("status", ""),
        time,
        data.get("input_tokens"),
        data.get("output_tokens"),
        _cost(data),
        "input_messages" in data,
    )


def _cost(data: dict[str, Any]) -> str | None:
    if "cost_usd" in data:
        return written(Decimal(str(data["cost_usd"])))
    if data.get("model") not in PRICES:
        return None
    into, out = PRICES[data["model"]]
    return written((data["input_tokens"] * into + data.get("output_tokens", 0) * out) / 10**6)


def written(money: Decimal) -> str:
    """As the warehouse writes an amount: without zeros at its end.

    Examples
    --------
    >>> written(Decimal("2.500000")), written(Decimal("100"))
    ('2.5', '100')
    """
    text = f"{money:.10f}".rstrip("0")
    return text.removesuffix(".")
