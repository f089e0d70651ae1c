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
_held = False
_PATIENCE_S: Final = 5.0
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


def before_fork() -> None:
    """Wait for a transport that is being made; not for ever, whatever its making waits for."""
    global _held
    _held = CONNECTING.acquire(timeout=_PATIENCE_S)


def after_fork_in_parent() -> None:
    """Let transports be made again."""
    if _held:
        CONNECTING.release()


def after_fork_in_child() -> None:
    """Begin anew: the lock's holder, if there was another one, is not here."""
    if CONNECTING.locked():
        CONNECTING.release()
    for client in [*_living]:
        client.renew()


atexit.register(end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=before_fork, after_in_parent=after_fork_in_parent, after_in_child=after_fork_in_child)


def watch_multiprocessing() -> None:
    """Children of multiprocessing skip ``atexit``, but run its finalizers; called when a thread starts."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None and os.getpid() not in _children:
        _children.add(os.getpid())
        util.Finalize(None, end_all, exitpriority=0)
