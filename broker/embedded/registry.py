"""The logs that are open in this process, so that the Faust transport shares the hub's own."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from broker.embedded.log import SqliteLog

_open: dict[Path, "SqliteLog"] = {}


def register(log: "SqliteLog") -> None:
    """The log has been started."""
    _open[log.path] = log


def unregister(log: "SqliteLog") -> None:
    """The log has been stopped."""
    if _open.get(log.path) is log:
        del _open[log.path]


def shared_log(path: Path) -> "SqliteLog | None":
    """The started log of a file, if this process has one."""
    return _open.get(path.resolve())
