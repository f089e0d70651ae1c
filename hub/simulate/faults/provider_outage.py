"""A provider answers with errors, slowly; the gateway retries and falls back."""

from typing import ClassVar

import numpy as np

from hub.simulate.columns import Columns
from hub.simulate.faults.base import Fault
from hub.simulate.platform import MODELS

_VICTIMS = ("openai", "anthropic", "google")


class ProviderOutage(Fault):
    """Three of four attempts at one provider fail, with 503s and timeouts."""

    KIND: ClassVar[str] = "provider_outage"
    SEVERITY: ClassVar[str] = "critical"
    MEASURES: ClassVar[tuple[str, ...]] = ("error_rate", "errors", "latency_p95")

    @property
    def provider(self) -> str:
        """Whose outage it is."""
        return _VICTIMS[int(self.choice * len(_VICTIMS))]

    @property
    def series(self) -> dict[str, str]:
        return {"provider": self.provider}

    @property
    def cause(self) -> dict[str, str]:
        return {"kind": "provider", "name": self.provider}

    def apply(self, columns: Columns) -> None:
        mine = np.array([model.provider == self.provider for model in MODELS])
        fallback = np.array([model.fallback for model in MODELS])
        falls_to_mine = np.array([_provider(name) == self.provider for name in fallback])
        window = self.within(columns.at)
        asked = window & mine[columns.model]
        columns.error_rate[asked] = 0.75
        columns.slow[asked] *= 1.8
        columns.fallback_error_rate[window & falls_to_mine[columns.model]] = 0.75


def _provider(name: str) -> str:
    return next(model.provider for model in MODELS if model.name == name)
