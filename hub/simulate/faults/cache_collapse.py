"""The prefix cache stops serving: the same prompts cost more and start later."""

from collections.abc import Iterator
from typing import ClassVar

from hub.simulate.columns import Columns
from hub.simulate.config import Event
from hub.simulate.faults.base import Fault, deployment, project_named
from hub.simulate.platform import PROJECTS

_PROJECT = "code-assistant"
_CONFIG = "prefix-cache"


class CacheCollapse(Fault):
    """After a change of the gateway's configuration no prompt of a project is read from the cache."""

    KIND: ClassVar[str] = "cache_collapse"
    MEASURES: ClassVar[tuple[str, ...]] = ("cache_read_input_tokens", "cost_usd", "ttft_p95")

    @property
    def series(self) -> dict[str, str]:
        return {"project": _PROJECT}

    @property
    def cause(self) -> dict[str, str]:
        return {"kind": "deployment", "name": f"{_CONFIG}@2"}

    def apply(self, columns: Columns) -> None:
        rows = self.within(columns.at) & (columns.project == project_named(_PROJECT))
        columns.cached_share[rows] = 0.0

    def changes(self) -> Iterator[tuple[int, Event]]:
        service = PROJECTS[project_named(_PROJECT)].name
        yield self.start_us, deployment("config", _CONFIG, "2", "1", "deployed", service)
        yield self.end_us, deployment("config", _CONFIG, "1", "2", "rolled_back", service)
