"""A real Apache Kafka: one broker on loopback, by ``deploy/kafka/start``."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.process import Program, Unavailable, free_ports, listens

DEPLOY = Path(__file__).resolve().parents[2] / "deploy" / "kafka"
SETTING = "LLM_HUB_TEST_KAFKA"


class Kafka:
    """A broker of its own; stopped or killed, it can be started again on what it has, at the same address.

    Parameters
    ----------
    folder
        Where the broker keeps its data and its log.
    port
        Of loopback, with the next one for the controller; a free pair unless given.
    properties
        Lines of ``server.properties`` that win over the defaults.
    scram
        Users to make when it is formatted, by name.
    heap_mb
        Memory of the Java heap.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        properties: dict[str, str] | None = None,
        scram: dict[str, str] | None = None,
        heap_mb: int = 256,
    ) -> None:
        self.folder, self.port = folder, free_ports(2) if port is None else port
        self.servers = f"127.0.0.1:{self.port}"
        self._properties = properties or {}
        self._env = {"KAFKA_HEAP_OPTS": f"-Xms{heap_mb}m -Xmx{heap_mb}m"}
        if scram:
            ((name, password),) = scram.items()
            self._env["KAFKA_SCRAM"] = f"SCRAM-SHA-256=[name={name},password={password}]"
        folder.mkdir(parents=True, exist_ok=True)
        self._program = Program(folder / "kafka.log")

    @property
    def pid(self) -> int:
        """The broker's process id."""
        return self._program.pid

    def start(self) -> None:
        """Start and wait until the broker answers; ``Unavailable`` where Java or Maven is missing."""
        resolved()
        lines = [f"{name}={value}" for name, value in self._properties.items()]
        command = [DEPLOY / "start", self.folder, str(self.port), *lines]
        self._program.start(command, self._ready, env=self._env)

    def _ready(self) -> bool:
        # the ports open as the last step of a broker's start, after it has joined and is unfenced
        named = self._properties.get("listeners", "").split(",")
        return all(listens(port) for port in (self.port, *(int(one.rpartition(":")[2]) for one in named if one)))

    def stop(self) -> None:
        """Shut down in order (SIGTERM)."""
        self._program.stop()

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self._program.kill()


def resolved(profile: str | None = None) -> Path:
    """The folder with Kafka's jars; with the profile ``mirror`` MirrorMaker 2's too."""
    if shutil.which("java") is None:
        raise Unavailable("needs Java 17 (Debian: default-jre-headless) for a real Kafka")
    found = subprocess.run(
        [DEPLOY / "resolve", *([profile] if profile else [])], capture_output=True, text=True, check=False
    )
    if found.returncode:
        raise Unavailable(f"Kafka's jars cannot be had: {found.stderr.strip()[-1000:]}")
    return Path(found.stdout.strip())


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``host:port`` of a real Kafka, one for all tests: ``LLM_HUB_TEST_KAFKA``, or a broker of this session."""
    if named := os.environ.get(SETTING):
        yield named
        return
    broker = Kafka(tmp_path_factory.mktemp("kafka"))
    try:
        broker.start()
    except Unavailable as missing:
        pytest.skip(f"{missing}; or set {SETTING}=host:port")
    try:
        yield broker.servers
    finally:
        broker.kill()
