"""A wave of attacks on one application: its guardrail blocks and flags everywhere."""

from typing import ClassVar

from hub.simulate.columns import Columns
from hub.simulate.faults.base import Fault, project_named
from hub.simulate.platform import PROJECTS

_VICTIMS = ("support-bot", "prompt-assistant")
#: The policy that checks inputs.
INPUT_POLICY = "prompt-injection"


class GuardrailStorm(Fault):
    """Two of five inputs of a project are blocked, each of them checked."""

    KIND: ClassVar[str] = "guardrail_storm"
    MEASURES: ClassVar[tuple[str, ...]] = ("guardrail_block_rate", "guardrail_blocks")

    @property
    def project(self) -> int:
        """Index of the project that is attacked."""
        return project_named(_VICTIMS[int(self.choice * len(_VICTIMS))])

    @property
    def series(self) -> dict[str, str]:
        return {"project": PROJECTS[self.project].name, "policy": INPUT_POLICY}

    @property
    def cause(self) -> dict[str, str]:
        return {"kind": "policy", "name": INPUT_POLICY}

    def apply(self, columns: Columns) -> None:
        rows = self.within(columns.at) & (columns.project == self.project)
        columns.guarded[rows] = True
        columns.blocked_rate[rows] = 0.4
