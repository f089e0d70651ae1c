"""A model becomes slower and slower."""

from typing import ClassVar

from hub.simulate.columns import Columns
from hub.simulate.faults.base import Fault
from hub.simulate.platform import MODEL_INDEX

_VICTIMS = ("gpt-4o-mini", "claude-sonnet-4-5", "gemini-2.5-flash")


class LatencyCreep(Fault):
    """One model's time grows steadily to four times the ordinary."""

    KIND: ClassVar[str] = "latency_creep"
    SEVERITY: ClassVar[str] = "medium"
    MEASURES: ClassVar[tuple[str, ...]] = ("latency_p95", "ttft_p95", "tokens_per_second")

    @property
    def model(self) -> str:
        """The model that slows down."""
        return _VICTIMS[int(self.choice * len(_VICTIMS))]

    @property
    def series(self) -> dict[str, str]:
        return {"model": self.model}

    @property
    def cause(self) -> dict[str, str]:
        return {"kind": "model", "name": self.model}

    def apply(self, columns: Columns) -> None:
        rows = self.within(columns.at) & (columns.model == MODEL_INDEX[self.model])
        columns.slow[rows] *= 1 + 3 * self.progress(columns.at[rows])

    def pressure(self, at_us: int) -> float:
        if not self.start_us <= at_us < self.end_us:
            return 0.0
        return (at_us - self.start_us) / (self.end_us - self.start_us)
