"""Forks and the end of the process: what every open client needs to be told of."""

import atexit
import os
import sys
import threading
import time
from typing import Final, Protocol


class Living(Protocol):
    """A client, as far as it is known here."""

    def renew(self) -> None:
        """In a forked child: begin anew; the parent's thread and connection are not here."""
        ...

    def hasten(self, deadline: float) -> None:
        """The process ends at ``deadline`` (monotonic): retries had better be quick."""
        ...

    def end(self, deadline: float) -> None:
        """Wait until what is left has been sent, or until ``deadline``; raise nothing."""
        ...

    @property
    def exit_timeout(self) -> float:
        """Seconds that the end of the process may take."""
        ...


_living: Final[set[Living]] = set()
#: Held while a transport is made. A fork waits for it: a child would find the modules that its parent's thread was
#: importing half made, and locked for ever.
CONNECTING: Final = threading.Lock()
_children: Final[set[int]] = set()


def begin(client: Living) -> None:
    """Remember an open client."""
    _living.add(client)


def forget(client: Living) -> None:
    """It is closed."""
    _living.discard(client)


def end_all() -> None:
    """Let all clients send what they have, at the same time."""
    now = time.monotonic()
    for client in [*_living]:  # each thread is told first, so that none waits for another
        client.hasten(now + client.exit_timeout)
    for client in [*_living]:
        client.end(now + client.exit_timeout)


def _renew_all() -> None:
    CONNECTING.release()
    for client in [*_living]:
        client.renew()


atexit.register(end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=CONNECTING.acquire, after_in_parent=CONNECTING.release, after_in_child=_renew_all)


def watch_multiprocessing() -> None:
    """Children of multiprocessing skip ``atexit``, but run its finalizers; called when a thread starts."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None and os.getpid() not in _children:
        _children.add(os.getpid())
        util.Finalize(None, end_all, exitpriority=0)
