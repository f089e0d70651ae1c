"""Sharing a log between the parts of a Faust app, and with the hub when it runs in the same process."""

from pathlib import Path
from typing import Any

from broker.embedded.log import SqliteLog
from broker.embedded.registry import shared_log
from broker.embedded.url import sqlite_path
from core.clock import SystemClock

#: Logs that were opened here, with the number of parts that use each.
_leased: dict[Path, tuple[SqliteLog, int]] = {}


async def lease(path: Path) -> SqliteLog:
    """The started log of a file (resolved): the process's own if it has one, else one that is opened now.

    Every lease must be given back with :func:`give_back`.
    """
    log, users = _leased.get(path, (None, 0))
    if log is None:
        shared = shared_log(path)
        if shared is not None:
            return shared
        log = SqliteLog(path, SystemClock())
    _leased[path] = (log, users + 1)
    await log.start()
    return log


async def give_back(log: SqliteLog) -> None:
    """The part does not need the log any more; the last one closes what was opened here."""
    leased, users = _leased.get(log.path, (None, 0))
    if leased is not log:
        return
    if users > 1:
        _leased[log.path] = (log, users - 1)
        return
    del _leased[log.path]
    await log.stop()


def log_path(transport: Any) -> Path:
    """The file that a Faust transport's URL names."""
    return sqlite_path(str(transport.url[0])).resolve()
