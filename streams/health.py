"""How the streams are."""

from dataclasses import dataclass
from typing import Literal

State = Literal["starting", "running", "waiting", "stalled", "given_up", "stopped"]


@dataclass(frozen=True, slots=True)
class Health:
    """``waiting``: the warehouse or the log does not take anything at the moment, and it is tried again.

    ``stalled``: nothing moves although records wait.
    """

    state: State
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether blocks are being stored."""
        return self.state == "running"
