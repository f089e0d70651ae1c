"""Which models have no price: counted and shown, never a silent zero."""

from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock
from typing import Final

#: Distinct models remembered; of further ones only the sum is known.
_MOST_MODELS: Final = 1000


@dataclass(frozen=True, slots=True)
class Unpriced:
    """Calls of one model that could not be priced.

    ``reason`` is ``no_price`` (the model is unknown) or ``no_usage`` (neither tokens nor text to estimate them from).
    """

    tenant: str
    provider: str
    model: str
    reason: str
    calls: int


@dataclass(frozen=True, slots=True)
class UnpricedModel:
    """What is known of an unpriced model since the process started."""

    tenant: str
    provider: str
    model: str
    reason: str
    calls: int
    first_seen: datetime
    last_seen: datetime


class UnpricedModels:
    """The unpriced models of all tenants since the start; safe for threads."""

    def __init__(self) -> None:
        self._models: dict[tuple[str, str, str, str], UnpricedModel] = {}
        self._lock = Lock()
        self.beyond = 0

    def add(self, found: list[Unpriced], now: datetime) -> None:
        """Count the unpriced calls of a block."""
        with self._lock:
            for item in found:
                key = (item.tenant, item.provider, item.model, item.reason)
                known = self._models.get(key)
                if known is not None:
                    self._models[key] = replace(known, calls=known.calls + item.calls, last_seen=now)
                elif len(self._models) < _MOST_MODELS:
                    self._models[key] = UnpricedModel(*key, item.calls, now, now)
                else:
                    self.beyond += item.calls

    def forget(self, tenant: str) -> None:
        """A tenant is gone: whoever gets its name must not find its models."""
        with self._lock:
            self._models = {key: model for key, model in self._models.items() if model.tenant != tenant}

    def of(self, tenant: str) -> list[UnpricedModel]:
        """A tenant's unpriced models, most calls first."""
        with self._lock:
            mine = [model for model in self._models.values() if model.tenant == tenant]
        return sorted(mine, key=lambda model: -model.calls)
