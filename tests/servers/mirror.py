"""MirrorMaker 2 between brokers of tests, by ``deploy/kafka/mirror``."""

from collections.abc import Mapping
from pathlib import Path

from tests.servers.kafka import DEPLOY, resolved
from tests.servers.process import Program

#: Looks for topics, and writes down where it is, more often than in production.
QUICK = ("refresh.topics.interval.seconds=1", "offset.flush.interval.ms=500")


class Mirror:
    """Copies the events of other regions into one; stopped or killed, it can be started again and goes on.

    Parameters
    ----------
    folder
        Where its settings and its log are.
    target
        The region that is written to.
    servers
        ``host:port`` of every region's broker, by name.
    """

    def __init__(self, folder: Path, target: str, servers: Mapping[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        others = [name for name in servers if name != target]
        self._clusters = [f"{name}={servers[name]}" for name in (target, *others)]
        self._program = Program(folder / "mirror.log")
        self._runs = 0

    @property
    def pid(self) -> int:
        """The process id while it runs."""
        return self._program.pid

    def start(self) -> None:
        """Start and wait until it copies; the brokers must be there."""
        resolved("mirror")
        self._runs += 1
        command = [DEPLOY / "mirror", self.folder, *self._clusters, *QUICK]
        self._program.start(command, self._ready, timeout_s=300.0)

    def _ready(self) -> bool:
        return self._program.log.read_text(errors="replace").count("Started MirrorSourceConnector") >= self._runs

    def stop(self) -> None:
        """Stop in order (SIGTERM)."""
        self._program.stop()

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self._program.kill()
