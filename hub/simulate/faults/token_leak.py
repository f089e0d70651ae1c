"""A feature never trims its history: prompts grow and grow."""

from typing import ClassVar

import numpy as np

from hub.simulate.columns import Columns
from hub.simulate.faults.base import Fault, project_named
from hub.simulate.platform import PROJECTS

_PROJECT = "support-bot"


class TokenLeak(Fault):
    """Prompts of one feature grow steadily to eight times their length."""

    KIND: ClassVar[str] = "token_leak"
    SEVERITY: ClassVar[str] = "medium"
    MEASURES: ClassVar[tuple[str, ...]] = ("input_tokens", "cost_usd", "ttft_p95")

    @property
    def feature(self) -> int:
        """Index of the feature among the project's."""
        return int(self.choice * len(PROJECTS[project_named(_PROJECT)].features))

    @property
    def series(self) -> dict[str, str]:
        return {"project": _PROJECT, "feature": PROJECTS[project_named(_PROJECT)].features[self.feature]}

    @property
    def cause(self) -> dict[str, str]:
        return {"kind": "feature", "name": self.series["feature"]}

    def apply(self, columns: Columns) -> None:
        index = project_named(_PROJECT)
        features = len(PROJECTS[index].features)
        rows = self.within(columns.at) & (columns.project == index) & (columns.feature % features == self.feature)
        longer = columns.input_tokens[rows] * (1 + 7 * self.progress(columns.at[rows]))
        columns.input_tokens[rows] = np.minimum(longer, 120_000).astype(np.int64)
