"""One process from start to drained stop, its log and its progress bar."""

import asyncio
import io
import json
import logging
import os
import signal
import socket
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from core.errors import HubError
from hub import logs, process
from hub.compose import Hub
from hub.progress import progress_bar
from hub.serve import announced, listen, url_of
from tests.hub.running import an_event, settings_of


@pytest.fixture
def _logging_as_it_was() -> Iterator[None]:
    root, levels = logging.getLogger(), {name: logging.getLogger(name).level for name in logs._QUIET}
    handlers, level, shown = root.handlers[:], root.level, warnings.showwarning
    root.handlers = []
    yield
    logging.captureWarnings(False)
    root.handlers, root.level, warnings.showwarning = handlers, level, shown
    for name, was in levels.items():
        logging.getLogger(name).setLevel(was)


@pytest.fixture
def _signals_as_they_were() -> Iterator[None]:
    handlers = {name: signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGINT)}
    yield
    for name, handler in handlers.items():
        signal.signal(name, handler)


@pytest.mark.usefixtures("_signals_as_they_were")
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_sigterm_drains_and_ends_with_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], loop: str
) -> None:
    monkeypatch.setattr("hub.logs.configure", lambda *_: None)
    if loop == "asyncio":
        monkeypatch.setitem(sys.modules, "uvloop", None)
    seen: list[int] = []

    async def started(hub: Hub, url: str) -> None:
        entry = json.loads((tmp_path / "hub.json").read_text())
        assert entry == {"url": url, "pid": os.getpid()}
        key = (tmp_path / "admin.key").read_text().strip()
        async with httpx.AsyncClient(trust_env=False) as client:
            headers = {"Authorization": f"Bearer {key}"}
            answer = await client.post(f"{url}/v1/events", json=an_event(), headers=headers)
            seen.append(answer.status_code)
        os.kill(os.getpid(), signal.SIGTERM)

    assert process.run_hub(settings_of(tmp_path), started=started) == 0
    out = capsys.readouterr().out.splitlines()
    assert seen == [202]
    assert out[0].startswith("LLM Analytics Hub is ready at http://127.0.0.1:")
    assert out[-1] == "stopped"
    assert not (tmp_path / "hub.json").exists()


def test_a_start_that_fails_frees_the_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.logs.configure", lambda *_: None)
    with pytest.raises(HubError):
        process.run_hub(settings_of(tmp_path, warehouse_url="nonsense"))
    with pytest.raises(OSError, match="/dev/null"):
        process.run_hub(settings_of(tmp_path, database_url="sqlite:////dev/null/hub.db"))
    assert not (tmp_path / "hub.json").exists()


def test_an_address_that_is_taken_is_named() -> None:
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    try:
        with pytest.raises(HubError, match="choose another --port"):
            listen("127.0.0.1", port)
        assert url_of(listener) == f"http://127.0.0.1:{port}"
    finally:
        listener.close()
    with socket.socket() as anywhere:
        anywhere.bind(("0.0.0.0", 0))
        assert url_of(anywhere).startswith("http://127.0.0.1:")
    with listen("::1", 0) as six:
        assert url_of(six).startswith("http://[::1]:")


def test_hub_json_goes_even_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), announced(tmp_path, "http://127.0.0.1:1"):
        (tmp_path / "hub.json").rename(tmp_path / "absent" / "hub.json")
    assert list(tmp_path.iterdir()) == []


async def test_who_waits_for_a_start_that_never_comes_ends() -> None:
    from types import SimpleNamespace

    from hub.serve import _announce

    async def never() -> None:
        raise AssertionError

    server = SimpleNamespace(started=False, should_exit=False)
    waiting = asyncio.create_task(_announce(server, never))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    server.should_exit = True
    await waiting


@pytest.mark.usefixtures("_logging_as_it_was")
@pytest.mark.parametrize("form", ["text", "json"])
def test_the_log(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    logs.configure("info", form)  # type: ignore[arg-type]
    logging.getLogger("uvicorn").info("chatter")
    logger = logging.getLogger("llm_hub")
    logger.info("one %s", "thing")
    try:
        int("inside")
    except ValueError:
        logger.exception("broken")
    lines = out.getvalue().splitlines()
    if form == "text":
        assert lines[0].endswith("INFO    llm_hub: one thing")
        assert lines[-1].startswith("ValueError: ")
    else:
        first, second = map(json.loads, lines)
        assert (first["level"], first["logger"], first["message"]) == ("info", "llm_hub", "one thing")
        assert "ValueError: " in second["exception"]


def test_a_progress_bar_is_silent_where_nobody_looks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with progress_bar("sending") as tell:
        tell(10, 0.5)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress_bar("sending") as tell:
        tell(1234, 1.0)
    assert "1,234 events" in capsys.readouterr().err


@pytest.mark.usefixtures("_signals_as_they_were")
def test_a_signal_during_the_start_ends_it_with_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.logs.configure", lambda *_: None)
    stopped: list[Hub] = []

    async def start(self: Hub) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()

    async def stop(self: Hub) -> None:
        stopped.append(self)

    monkeypatch.setattr(Hub, "start", start)
    monkeypatch.setattr(Hub, "stop", stop)
    assert process.run_hub(settings_of(tmp_path)) == 0
    assert len(stopped) == 1
