"""A new version of a prompt goes out and answers get worse and longer."""

from collections.abc import Iterator
from typing import ClassVar

from hub.simulate.columns import Columns
from hub.simulate.config import Event
from hub.simulate.faults.base import Fault, deployment, project_named
from hub.simulate.platform import PROJECTS

_VICTIMS = ("support-bot", "rag-search", "prompt-assistant")


class PromptRegression(Fault):
    """From a deployment until its rollback: scores fall by a third, thumbs go down, answers get twice as long."""

    KIND: ClassVar[str] = "prompt_regression"
    MEASURES: ClassVar[tuple[str, ...]] = ("evaluation_score", "feedback_score", "output_tokens")

    @property
    def project(self) -> int:
        """Index of the project whose prompt it is."""
        return project_named(_VICTIMS[int(self.choice * len(_VICTIMS))])

    @property
    def versions(self) -> tuple[str, str]:
        """The version before, and the bad one."""
        version = PROJECTS[self.project].version
        return f"v{version}", f"v{version + 1}"

    @property
    def series(self) -> dict[str, str]:
        return {"project": PROJECTS[self.project].name, "prompt_version": self.versions[1]}

    @property
    def cause(self) -> dict[str, str]:
        return {"kind": "deployment", "name": f"{PROJECTS[self.project].prompt}@{self.versions[1]}"}

    def apply(self, columns: Columns) -> None:
        rows = self.within(columns.at) & (columns.project == self.project)
        columns.version[rows] += 1
        columns.quality[rows] -= 0.3
        columns.output_tokens[rows] *= 2

    def changes(self) -> Iterator[tuple[int, Event]]:
        project, (good, bad) = PROJECTS[self.project], self.versions
        yield self.start_us, deployment("prompt", project.prompt, bad, good, "deployed", project.name)
        yield self.end_us, deployment("prompt", project.prompt, good, bad, "rolled_back", project.name)
