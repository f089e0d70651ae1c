"""A real PostgreSQL: one cluster on loopback, by the binaries of Debian's ``postgresql`` package."""

import atexit
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.servers.process import Program, Unavailable, free_ports

SETTING = "LLM_HUB_TEST_POSTGRES"
_ADDRESS = "postgresql://postgres@127.0.0.1:{port}"


class Postgres:
    """A cluster of its own; stopped or killed, it can be started again on what it has, at the same address.

    Parameters
    ----------
    folder
        Where the cluster keeps its data and its log. PostgreSQL refuses to run as root, and another user may not
        enter root's folders: then the data are in a folder of the user ``postgres`` under /tmp until the end of this
        program, and ``folder/data`` points to it.
    port
        Of loopback; a free one unless given.
    """

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        self.folder, self.port = folder, free_ports() if port is None else port
        folder.mkdir(parents=True, exist_ok=True)
        self._program = Program(folder / "postgres.log")

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return self._program.pid

    def start(self) -> None:
        """Start and wait until it answers; ``Unavailable`` where PostgreSQL is not installed."""
        user, data = _unprivileged(), self.folder / "data"
        if not data.exists():
            self._make(user, data)
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 200,
            "fsync": "off",  # survives a kill all the same, only not a power cut
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._program.start([_binary("postgres"), "-D", data.resolve(), *options], self._ready, user=user)

    def _make(self, user: str | None, data: Path) -> None:
        place = data
        if user is not None:
            place = Path(tempfile.mkdtemp(prefix="llm-hub-postgres-", dir="/tmp"))
            atexit.register(shutil.rmtree, place, ignore_errors=True)
            shutil.chown(place, user)
            data.symlink_to(place)
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        _run([_binary("initdb"), "-D", place, *options], user=user, cwd="/")

    def _ready(self) -> bool:
        command = [_binary("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def stop(self) -> None:
        """Shut down in order, without waiting for clients to leave: SIGINT, PostgreSQL's "fast" way."""
        self._program.stop(signal.SIGINT)

    def kill(self) -> None:
        """End it and its children at once (SIGKILL)."""
        self._program.kill()

    def url(self, database: str = "postgres") -> str:
        """The address of a database, which is made where it is missing."""
        return database_url(_ADDRESS.format(port=self.port), database)


def database_url(server: str, database: str, template: str = "template1") -> str:
    """The address of a database of the server at ``server`` (``postgresql://…``); made where it is missing.

    ``template`` is another database, that nobody is connected to now: the new one begins as its copy.
    """
    base = urlsplit(server)._replace(path="/postgres").geturl()
    try:
        _psql(base, f"CREATE DATABASE {_quoted(database)} TEMPLATE {_quoted(template)}")
    except RuntimeError as error:
        if "already exists" not in str(error):
            raise
    return urlsplit(server)._replace(path=f"/{database}").geturl()


def new_database(server: str, template: str = "template1") -> str:
    """The address of a database that was not there before."""
    return database_url(server, f"test_{uuid.uuid4().hex}", template)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _psql(url: str, statement: str) -> str:
    return _run([_binary("psql"), "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", statement])


def _run(command: list[str | Path], *, user: str | None = None, cwd: str | None = None) -> str:
    groups = None if user is None else ()
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, user=user, group=user, extra_groups=groups, cwd=cwd
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.strip()[-2000:]}")
    return done.stdout


def _binary(name: str) -> Path:
    """A program of PostgreSQL: Debian keeps the server's own outside the search path, by version."""
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    if debian:
        return debian[-1]
    if found := shutil.which(name):
        return Path(found)
    raise Unavailable(f"needs PostgreSQL's {name} (Debian: postgresql)")


def _unprivileged() -> str | None:
    """The user to run as where this one is root."""
    if os.geteuid():
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        raise Unavailable("needs the user postgres, since PostgreSQL does not run as root") from None


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``postgresql://…`` of a real server, one for all tests: ``LLM_HUB_TEST_POSTGRES``, or one of this session.

    ``database_url(postgres, name)`` makes a database of it.
    """
    if named := os.environ.get(SETTING):
        yield named
        return
    server = Postgres(tmp_path_factory.mktemp("postgres"))
    try:
        server.start()
    except Unavailable as missing:
        pytest.skip(f"{missing}; or set {SETTING}=postgresql://…")
    try:
        yield server.url()
    finally:
        server.kill()
