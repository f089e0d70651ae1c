"""An index finds little and slowly: answers lose their ground."""

from typing import ClassVar

from hub.simulate.columns import Columns
from hub.simulate.faults.base import Fault, project_named
from hub.simulate.platform import PROJECTS

_VICTIMS = ("rag-search", "support-bot")


class RetrievalDegradation(Fault):
    """Relevance halves, a query takes four times as long, scores of answers that lean on it fall."""

    KIND: ClassVar[str] = "retrieval_degradation"
    MEASURES: ClassVar[tuple[str, ...]] = ("retrieval_score", "retrieval_latency_p95", "evaluation_score")

    @property
    def project(self) -> int:
        """Index of the project that asks the index."""
        return project_named(_VICTIMS[int(self.choice * len(_VICTIMS))])

    @property
    def series(self) -> dict[str, str]:
        return {"project": PROJECTS[self.project].name, "index": PROJECTS[self.project].index}

    @property
    def cause(self) -> dict[str, str]:
        return {"kind": "index", "name": PROJECTS[self.project].index}

    def apply(self, columns: Columns) -> None:
        rows = self.within(columns.at) & (columns.project == self.project)
        columns.relevance[rows] *= 0.5
        columns.retrieval_slow[rows] *= 4
        columns.quality[rows & columns.retrieved] -= 0.25
