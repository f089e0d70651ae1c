"""A hub talks to nobody: whatever it tries beyond loopback is refused here and written down."""

import ast
import json
import textwrap
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from benchmarks.common import ROOT, Hub

PATIENCE = 120.0

#: Loaded by every Python that has its folder on the path, before anything else. Sockets that compiled code opens by
#: itself pass it by; those are looked for in /proc.
GUARD = """
    import ipaddress, os, socket, sys

    sys.modules["uvloop"] = None  # its connections are compiled code's; asyncio's are Python's

    def _note(what):
        with open(os.environ["GUARD_FILE"], "a") as file:
            file.write(repr(what) + "\\n")

    def _near(host):
        if host in (None, "", "localhost", b"localhost"):
            return True
        try:
            return ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host).is_loopback
        except ValueError:
            return False

    def _guarded(name, host_of):
        plain = getattr(socket.socket, name)
        def guarded(self, *arguments):
            if self.family in (socket.AF_INET, socket.AF_INET6) and not _near(host_of(arguments)):
                _note((name, arguments[-1]))
                raise OSError("no way out of here")
            return plain(self, *arguments)
        return guarded

    class Guarded(socket.socket):
        connect = _guarded("connect", lambda arguments: arguments[0][0])
        connect_ex = _guarded("connect_ex", lambda arguments: arguments[0][0])
        sendto = _guarded("sendto", lambda arguments: arguments[-1][0])

    _lookup = socket.getaddrinfo
    def getaddrinfo(host, *arguments, **named):
        if not _near(host):
            _note(("getaddrinfo", host))
            raise socket.gaierror("no way out of here")
        return _lookup(host, *arguments, **named)

    socket.socket, socket.getaddrinfo = Guarded, getaddrinfo
    for name in ("gethostbyname", "gethostbyname_ex"):
        def refuse(host, name=name):
            _note((name, host))
            raise socket.gaierror("no way out of here")
        setattr(socket, name, refuse)

    import threading
    _start = threading.Thread.start
    def start(self):
        with open(os.environ["GUARD_FILE"] + ".threads", "a") as file:
            file.write(self.name + "\\n")
        _start(self)
    threading.Thread.start = start
"""


@pytest.fixture
def guard(tmp_path: Path) -> dict[str, str]:
    """The environment of a hub that is watched."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(textwrap.dedent(GUARD))
    (tmp_path / "attempts").touch()
    return {"PYTHONPATH": str(tmp_path / "site"), "GUARD_FILE": str(tmp_path / "attempts")}


def ask(hub: Hub, path: str, body: Any = None) -> bytes:
    """A request with the first key; the answer, whatever its status."""
    headers = {"Authorization": f"Bearer {hub.key}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(hub.url + path, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        return error.read()


def far_ends(pid: int) -> set[str]:
    """Addresses beyond loopback that the process is connected to, as the kernel tells them (hexadecimal)."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        name = str(link.readlink()) if link.is_symlink() else ""
        if name.startswith("socket:["):
            inodes.add(name[8:-1])
    found = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            far = fields[2].partition(":")[0]
            near = far.strip("0") == "" or far.endswith("7F") or far == "0" * 24 + "01000000"
            if fields[9] in inodes and not near and not far.endswith("FFFF00000100007F"):
                found.add(far)
    return found


def test_nothing_leaves_the_machine(tmp_path: Path, guard: dict[str, str]) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    hub = Hub(folder, guard)
    hub.start(PATIENCE)
    try:
        now = json.loads(ask(hub, "/v1/query/catalog")) and {"from": "now-1h", "to": "now+1h"}
        models = ["gpt-4o", "claude-sonnet-4-5", "never-heard-of"]
        events = [
            {"type": "llm.request", "source": "gateway", "time": _now(), "data": {"model": model, "input_tokens": 9}}
            for model in models
        ]
        assert json.loads(ask(hub, "/v1/events", events))["accepted"] == 3
        while hub.visible() < 3:
            pass
        ask(hub, "/v1/query", {"measures": ["cost_usd", "users"], "dimensions": ["model"], "time": now})
        for path in (
            "/",
            "/docs",
            "/openapi.json",
            "/metrics",
            "/health/ready",
            "/v1/prices",
            "/v1/traces",
            "/sign-in",
        ):
            assert ask(hub, path)
        for path in ("/v1/prices/lookup?model=gpt-4o", "/v1/exports?format=parquet", "/v1/analytics/costs"):
            assert ask(hub, path)
        assert hub.process is not None
        assert far_ends(hub.process.pid) == set()
        assert hub.stop(PATIENCE) == 0
    finally:
        hub.kill()
    assert (tmp_path / "attempts").read_text() == ""
    threads = (tmp_path / "attempts.threads").read_text().lower()
    assert not [word for word in ("update", "telemetry", "posthog", "sentry", "analytics") if word in threads]


def _now() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).isoformat()


def test_the_guard_would_notice(tmp_path: Path, guard: dict[str, str]) -> None:
    import subprocess
    import sys

    script = (
        "import socket, urllib.request\n"
        "for one in (lambda: urllib.request.urlopen('http://example.com/', timeout=5),\n"
        "            lambda: socket.socket().connect(('192.0.2.1', 80)),\n"
        "            lambda: socket.gethostbyname('example.com')):\n"
        "    try: one()\n"
        "    except OSError: pass\n"
        "    else: raise SystemExit(3)\n"
    )
    environment = {**guard, "no_proxy": "*"}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, check=False, timeout=PATIENCE)
    assert done.returncode == 0
    told = [ast.literal_eval(line)[0] for line in (tmp_path / "attempts").read_text().splitlines()]
    assert set(told) == {"getaddrinfo", "connect", "gethostbyname"}
