"""What the servers share: a program in a session of its own, free ports, waiting with a deadline."""

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_FIRST, _LAST = 20_000, 32_000
_turns = itertools.count(os.getpid() * 16)


class Unavailable(RuntimeError):
    """What a server needs is not on this machine; the message says what to install."""


def free_ports(count: int = 1) -> int:
    """The first of so many neighbouring ports of loopback that nobody has now.

    They lie below the range that the system gives to outgoing connections: a server that is down for a moment finds
    its port free again. No two calls of a process get the same.
    """
    for _ in range((_LAST - _FIRST) // count):
        first = _FIRST + next(_turns) * count % (_LAST - _FIRST)
        with contextlib.ExitStack() as held:
            try:
                for port in range(first, first + count):
                    taken = held.enter_context(socket.socket())
                    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    taken.bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise Unavailable("no free port on loopback")


class Program:
    """One child process that writes into a log file, and can be started again after its end.

    Parameters
    ----------
    log
        Where its output goes, one run after the other.
    """

    def __init__(self, log: Path) -> None:
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id while it runs."""
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(
        self,
        command: Sequence[str | Path],
        ready: Callable[[], bool],
        *,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        timeout_s: float = 120.0,
    ) -> None:
        """Start the command and return once ``ready`` says so; what it wrote is in the error otherwise."""
        assert not self.running, "it runs already"
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **(env or {})},
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
            )
        deadline = time.monotonic() + timeout_s
        while not ready():
            if not self.running or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{command[0]} did not start:\n{self.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.05)

    def stop(self, sent: signal.Signals = signal.SIGTERM, timeout_s: float = 60.0) -> None:
        """Ask it to end and wait until it has; harmless when it has not been started."""
        self._end(sent, timeout_s)

    def kill(self) -> None:
        """End it at once, and everything that it started."""
        self._end(signal.SIGKILL, 60.0)

    def _end(self, sent: signal.Signals, timeout_s: float) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        # PostgreSQL's children are in sessions of their own: a kill must reach them, and wait for them
        children = _children(process.pid) if sent is signal.SIGKILL else []
        for pid in (process.pid, *children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sent)
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        deadline = time.monotonic() + timeout_s
        while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < deadline:
            time.sleep(0.02)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:  # it has ended already, or this is no Linux
        return []


def listens(port: int) -> bool:
    """Whether somebody takes connections on a port of loopback."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
