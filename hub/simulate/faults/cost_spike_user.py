"""One user's script asks far more, and far longer, than everybody else."""

from typing import ClassVar

import numpy as np

from hub.simulate.columns import Columns
from hub.simulate.faults.base import Fault, project_named
from hub.simulate.platform import MODEL_INDEX, PROJECTS

_PROJECT = "support-bot"
_MODEL = "gpt-4o"


class CostSpikeUser(Fault):
    """A user adds a third to the tenant's requests, with prompts eight times as long, to a dear model."""

    KIND: ClassVar[str] = "cost_spike_user"
    MEASURES: ClassVar[tuple[str, ...]] = ("cost_usd", "input_tokens", "requests")

    def __init__(self, tenant: str, start_us: int, end_us: int, choice: float) -> None:
        super().__init__(tenant, start_us, end_us, choice)
        self.extra_project = project_named(_PROJECT)
        # Neither a heavy nor a rare user before.
        self.extra_user = 40 + int(choice * 100)

    @property
    def series(self) -> dict[str, str]:
        return {"user_id": user_name(self.extra_project, self.extra_user)}

    @property
    def cause(self) -> dict[str, str]:
        return {"kind": "user", "name": user_name(self.extra_project, self.extra_user)}

    def extra_requests(self, requests_per_second: float) -> float:
        return requests_per_second / 3

    def apply(self, columns: Columns) -> None:
        mine = (columns.user == self.extra_user) & (columns.project == self.extra_project)
        rows = self.within(columns.at) & mine
        columns.model[rows] = MODEL_INDEX[_MODEL]
        columns.input_tokens[rows] = np.minimum(columns.input_tokens[rows] * 8, 120_000)
        columns.cached_share[rows] = 0.0


def user_name(project: int, rank: int) -> str:
    """A user's name as events carry it."""
    return f"{PROJECTS[project].name.split('-')[0]}-u{rank:04d}"
