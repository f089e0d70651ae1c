"""``llm-hub backup`` and ``restore`` as somebody types them."""

import asyncio
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from hub.backup.command import NAME
from hub.cli import execute
from tests.hub.running import an_event, opened, served, settings_of

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command; the status and what was printed."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        status = execute([*map(str, arguments)])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


async def a_hub(folder: Path) -> None:
    async with opened(settings_of(folder)) as hub:
        await hub.send(an_event())
        await hub.count(1)


def test_by_hand(tmp_path: Path, run: Run) -> None:
    folder, file = tmp_path / "data", tmp_path / "hub.backup"
    asyncio.run(a_hub(folder))
    status, _, error = run("backup", file, "--data-dir", tmp_path / "nothing")
    assert (status, error.count("There is no hub")) == (1, 1)
    with served(folder):
        status, out, _ = run("backup", file, "--data-dir", folder)
        assert (status, "1 events of 1 tenants" in out, str(file) in out) == (0, True, True)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert "is there already" in run("backup", file, "--data-dir", folder)[2]
        assert "is running" in run("restore", file, "--data-dir", folder)[2]
    assert run("backup", "--verify", file)[1].startswith(f"{file} is whole")
    status, out, _ = run("restore", file, "--data-dir", tmp_path / "new")
    assert (status, out[:27]) == (0, "restored 1 events of 1 tena")
    assert "empty hub only" in run("restore", file, "--data-dir", folder)[2]
    file.write_bytes(file.read_bytes()[:-5000])
    assert run("backup", "--verify", file)[0] == 1
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []
    for wrong in ((), (file, "--dir", tmp_path), (file, "--keep", "1"), ("--dir", tmp_path, "--keep", "0")):
        assert "name a FILE" in run("backup", *wrong)[2]


async def test_by_schedule(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, kept = tmp_path / "data", tmp_path / "backups"
    await a_hub(folder)
    kept.mkdir()
    for name in ("llm-hub-20200101T000000Z.backup", "llm-hub-20200102T000000Z.backup", "mine.backup"):
        (kept / name).write_bytes(b"old")
    arguments = ("backup", "--dir", kept, "--keep", "2", "--data-dir", folder)
    status, out, error = await asyncio.to_thread(run, *arguments, "--verify")
    assert (status, error) == (0, "")
    assert "tried: restored 1 events of 1 tenants" in out
    names = sorted(one.name for one in kept.iterdir())
    assert names[0] == "llm-hub-20200102T000000Z.backup"
    assert names[2] == "mine.backup"
    assert NAME.fullmatch(names[1])

    (kept / names[1]).unlink()
    monkeypatch.setattr("hub.backup.command.sys.executable", "/bin/false")
    status, _, error = await asyncio.to_thread(run, *arguments, "--verify")
    assert (status, "older backups are kept" in error) == (1, True)
    left = sorted(one.name for one in kept.iterdir())
    assert left[0] == "llm-hub-20200102T000000Z.backup"
    assert left[1].endswith(".refused")
