"""The command line without a running hub: usage, exit statuses, and what works on a folder that nobody has open."""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.common import ROOT
from core.errors import HubError
from hub import cli
from hub.cli import COMMANDS, execute
from tests.hub.running import PATIENCE

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in a folder of its own; the status and what was printed."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        try:
            status = execute([str(argument) for argument in arguments])
        except SystemExit as error:
            status = int(error.code or 0)
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


def one_line(text: str) -> str:
    """What failed, in one line."""
    assert text.count("\n") == 1, text
    assert text.startswith("llm-hub ")
    return text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run: Run, command: str) -> None:
    status, out, _ = run(command, "--help")
    assert status == 0
    assert out.startswith("usage: llm-hub " + command)


def test_the_help_names_every_command(run: Run) -> None:
    status, out, _ = run("--help")
    assert status == 0
    assert all(re.search(rf"^    {command}\s", out, re.MULTILINE) for command in COMMANDS)


def test_the_version(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    status, out, _ = run("--version")
    assert status == 0
    assert re.fullmatch(r"llm-hub \S+\n", out)
    from importlib.metadata import PackageNotFoundError

    def unknown(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("hub.release.version", unknown)
    assert run("--version")[1] == "llm-hub 0+checkout\n"
    monkeypatch.setattr("hub.release.version", lambda _: "1.2.3")
    assert run("--version")[1] == "llm-hub 1.2.3\n"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("dance",),
        ("up", "--port", "many"),
        ("run",),
        ("run", "everything"),
        ("keys",),
        ("keys", "rotate"),
        ("keys", "create", "--role", "king"),
        ("query",),
        ("query", "events", "--json", "--csv"),
        ("replay",),
        ("simulate", "--rate", "fast"),
        ("migrate", "--warehouse-to", "newest"),
    ],
)
def test_wrong_usage_exits_2(run: Run, arguments: tuple[str, ...]) -> None:
    status, out, err = run(*arguments)
    assert status == 2
    assert "usage: llm-hub" in out + err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("query", "events last 1h"), "no hub is running"),
        (("query", "events last 1h", "--url", "http://127.0.0.1:1"), "--url needs --key"),
        (("query", "events last 1h", "--url", "http://127.0.0.1:1", "--key", "lh_x"), "no answer from"),
        (("query", "evnts last 1h"), "evnts"),
        (("doctor", "--url", "http://127.0.0.1:1", "--key", "lh_x"), "no answer from"),
        (("keys", "list", "--url", "http://127.0.0.1:1", "--key", "lh_x"), "no answer from"),
        (("replay", "absent.ndjson"), "no hub is running"),
        (("simulate",), "no hub is running"),
        (("simulate", "--rate", "0"), "above 0"),
        (("simulate", "--rate", "nan", "--out", "x"), "above 0"),
        (("simulate", "--out", "x", "--scenario", "dance"), "dance"),
        (("run", "detectors"), "no detectors yet"),
        (("run", "alerts"), "no alerts yet"),
        (("run", "ingest"), "LLM_HUB_BROKER_URL"),
        (("up", "--port", "70000"), "port"),
        (("up", "--host", "203.0.113.7", "--port", "0"), "cannot listen on 203.0.113.7"),
        (("up", "--data-dir", "/dev/null/hub", "--port", "0"), "/dev/null"),
        (("migrate", "--warehouse-to", "9999"), "9999"),
        (("migrate", "--metadata-to", "nowhere"), "nowhere"),
        (("keys", "rotate", "0123456789abcdef"), "404"),
        (("keys", "create", "--tenant", "nobody"), "nobody"),
        (("keys", "create", "--scopes", "dance"), "422"),
        (("keys", "create", "--expires", "2020-01-01T00:00:00Z"), "passed already"),
    ],
)
def test_what_fails_says_so_in_one_line_and_exits_1(run: Run, arguments: tuple[str, ...], says: str) -> None:
    status, out, err = run(*arguments)
    assert status == 1, out + err
    assert says in one_line(err)
    assert out == ""


@pytest.mark.parametrize("name", ["LLM_HUB_DATABASE_URL", "LLM_HUB_WAREHOUSE_URL", "LLM_HUB_BROKER_URL"])
@pytest.mark.parametrize("url", ["nonsense", "mysql://root:geheim@127.0.0.1/x"])
def test_a_wrong_url_stops_the_start_and_its_password_is_not_shown(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str, url: str
) -> None:
    monkeypatch.setattr("hub.logs.configure", lambda *_: None)
    monkeypatch.setenv(name, url)
    status, _, err = run("up", "--port", "0")
    assert status == 1
    assert "geheim" not in one_line(err)


def test_a_hub_json_of_a_dead_process_is_no_running_hub(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for text in ('{"url": "http://127.0.0.1:1", "pid": 4194305}', '{"url": 3}', "[]", "{"):
        (folder / "hub.json").write_text(text)
        assert "no hub is running" in one_line(run("query", "events", "--data-dir", folder)[2])
    import os

    (folder / "hub.json").write_text(json.dumps({"url": "http://127.0.0.1:1", "pid": os.getpid()}))
    assert "admin.key" in one_line(run("query", "events", "--data-dir", folder)[2])


def test_interrupted_and_broken_pipes_are_no_tracebacks(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for error, wanted in ((KeyboardInterrupt(), 130), (BrokenPipeError(), 0), (OSError(28, "No space left", "f"), 1)):

        def broken(_: argparse.Namespace, error: BaseException = error) -> int:
            raise error

        monkeypatch.setattr("hub.cli.doctor.run", broken)
        status, _, err = run("doctor")
        assert status == wanted
    assert err == "llm-hub doctor: No space left: f\n"
    with pytest.raises(SystemExit) as ended:
        cli.main(["doctor"])
    assert ended.value.code == 1


def test_the_help_imports_nothing_heavy_and_is_quick() -> None:
    heavy = "polars numpy pandas chdb clickhouse_connect pyarrow fastapi starlette faust pydantic sqlalchemy httpx rich"
    script = (
        "import sys, time; began = time.process_time()\n"
        "from hub.cli import execute\n"
        "try: execute(['--help'])\n"
        "except SystemExit: pass\n"
        f"print([name for name in {heavy.split()!r} if name in sys.modules], time.process_time() - began)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    found, seconds = done.stdout.splitlines()[-1].rsplit(" ", 1)
    assert found == "[]"
    assert float(seconds) < 0.3


def test_keys_of_a_stopped_hub(run: Run, tmp_path: Path) -> None:
    folder = ("--data-dir", tmp_path / "data")
    status, secret, err = run("keys", "create", *folder, "--role", "viewer", "--scopes", "query")
    assert (status, err) == (0, "")
    assert re.fullmatch(r"lh_[0-9a-f]{16}_[0-9a-f]{64}\n", secret)
    key_id = secret.split("_")[1]
    status, rotated, _ = run("keys", "rotate", key_id, *folder)
    assert status == 0
    new_id = rotated.split("_")[1]
    assert run("keys", "revoke", new_id, *folder)[1] == f"{new_id} is revoked\n"
    status, listed, _ = run("keys", "list", "--tenant", "default", *folder)
    lines = {line.split()[0]: line for line in listed.splitlines()}
    assert status == 0
    assert lines["id"].split() == ["id", "tenant", "role", "scopes", "expires", "last_used_at", "revoked_at"]
    assert {key_id, new_id} < lines.keys()
    assert "viewer" in lines[new_id]
    assert (tmp_path / "data" / "admin.key").stat().st_mode & 0o777 == 0o600


def test_keys_of_a_broken_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "hub.db").write_bytes(b"this is no database, but it is long enough to be one" * 100)
    status, out, err = run("keys", "list", "--data-dir", tmp_path)
    assert (status, out) == (1, "")
    assert "metadata database" in one_line(err)


def test_a_table_has_numbers_on_the_right_and_dashes_for_nothing() -> None:
    from hub.cli.query import table

    rows = [["a", 1234, 0.000123456, None, True], ["bcd", 5, 1234.5678, 1, False]]
    assert table(["x", "n", "share", "empty", "flag"], ["", "", "usd", "", ""], rows).splitlines() == [
        "x        n  share (usd)  empty  flag",
        "a    1,234  0.000123456      –  True",
        "bcd      5     1,234.57      1  False",
    ]


def test_the_schemas_go_forward_and_backward(run: Run, tmp_path: Path) -> None:
    folder = ("--data-dir", tmp_path / "data")
    status, out, _ = run("migrate", "--check", *folder)
    assert status == 1
    assert "metadata: empty" in out
    status, out, _ = run("migrate", *folder)
    assert status == 0
    assert "warehouse migrations run: [1" in out
    assert run("migrate", "--check", *folder)[0] == 0
    status, out, _ = run("migrate", *folder)
    assert (status, out.rsplit(" ", 1)[1]) == (0, "none\n")
    assert "ok    metadata: at" in run("doctor", *folder)[1]
    status, out, _ = run("migrate", "--warehouse-to", "1", "--metadata-to", "base", *folder)
    assert status == 0
    assert run("migrate", "--check", *folder)[0] == 1
    status, out, _ = run("doctor", *folder)
    assert status == 1
    assert "FAIL  warehouse: migrations" in out
    assert "llm-hub migrate" in out


#: What the doctor tells of, by its first word.
PARTS = ("settings:", "clock:", "files:", "disk:", "keys:", "metadata:", "log:", "lag:", "dead", "warehouse:")


def test_the_doctor_on_an_empty_folder(run: Run, tmp_path: Path) -> None:
    status, out, err = run("doctor", "--data-dir", tmp_path / "data")
    assert (status, err) == (0, "")
    assert [line.split()[:2] for line in out.splitlines()] == [["ok", part] for part in PARTS]


def test_the_doctor_finds_what_is_broken(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("hub.db", "log.db", "warehouse"):
        (folder / name).write_bytes(b"this is no database, but it is long enough to be one\n" * 100)
    monkeypatch.setenv("LLM_HUB_MIN_FREE_DISK_MB", str(1 << 40))
    monkeypatch.setenv("LLM_HUB_HOST", "0.0.0.0")
    from datetime import UTC, datetime

    monkeypatch.setattr("hub.doctor.machine.BUILT", datetime(2999, 1, 1, tzinfo=UTC))
    status, out, err = run("doctor", "--data-dir", folder)
    assert (status, err) == (1, "")
    bad = [line.split()[1] for line in out.splitlines() if line.startswith("FAIL")]
    assert bad == ["clock:", "disk:", "metadata:", "log:", "lag:", "dead", "warehouse:"]
    assert "listens beyond this machine" in out


def test_the_doctor_on_a_folder_that_cannot_be(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    status, out, _ = run("doctor", "--data-dir", "/dev/null/hub")
    assert status == 1
    assert "FAIL  disk: Not a directory: /dev/null" in out
    monkeypatch.setattr("hub.doctor.machine.os.access", lambda path, _: path != tmp_path / "data")
    assert "cannot be written" in run("doctor", "--data-dir", tmp_path / "data")[1]


def test_old_metadata_and_records_of_the_future_are_found(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    assert run("migrate", "--data-dir", folder)[0] == 0
    import asyncio
    from datetime import UTC, datetime, timedelta

    from broker.factory import open_log
    from broker.log import NewRecord
    from broker.topics import EVENTS, hub_topics
    from core.clock import ManualClock

    async def tomorrow() -> None:
        log = open_log(f"sqlite:///{folder}/log.db", clock=ManualClock(datetime.now(UTC) + timedelta(days=1)))
        await log.start()
        for topic in hub_topics(1):
            await log.create_topic(topic)
        await log.append([NewRecord(EVENTS, 0, None, b"x")])
        await log.stop()

    asyncio.run(tomorrow())
    monkeypatch.setattr("storage.metadata.database.Metadata.head", property(lambda _: "9999"), raising=True)
    status, out, _ = run("doctor", "--data-dir", folder)
    assert status == 1
    assert "clock was set back" in out
    assert "this release has 9999: run `llm-hub migrate`" in out


def test_simulated_files_and_their_truth(run: Run, tmp_path: Path) -> None:
    out, labels = tmp_path / "out.ndjson", tmp_path / "labels.json"
    arguments = ("simulate", "--rate", "20", "--duration", "60", "--seed", "3", "--scenario", "token_leak")
    status, said, _ = run(*arguments, "--out", out, "--labels", labels)
    assert status == 0
    lines = out.read_bytes().splitlines()
    assert said == f"{len(lines):,} events\n"
    assert [label["kind"] for label in json.loads(labels.read_text())] == ["token_leak"]
    again = tmp_path / "again.ndjson"
    run(*arguments, "--out", again)
    assert again.read_bytes() == out.read_bytes()


def test_how_to_start_reaches_the_hub(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def started(*arguments: Any, **named: Any) -> int:
        calls.append((arguments, named))
        return 0

    monkeypatch.setattr("hub.process.run_hub", started)
    folder = tmp_path / "data"
    assert run("up", "--data-dir", folder, "--host", "::1", "--port", "0")[0] == 0
    assert run("demo", "--data-dir", folder, "--rate", "3")[0] == 0
    monkeypatch.setenv("LLM_HUB_BROKER_URL", "kafka://127.0.0.1:9092")
    monkeypatch.setenv("LLM_HUB_WAREHOUSE_URL", "clickhouse://127.0.0.1:8123/db")
    assert run("run", "api", "--data-dir", folder)[0] == 0
    (up, _), (_, demo), (role, _) = calls
    assert (up[0].data_dir, up[0].host, up[0].port) == (folder, "::1", 0)
    assert demo["started"].__self__._rate == 3
    assert role[1] == "api"


def test_errors_of_a_hub_have_a_detail() -> None:
    assert HubError("what and what to do").detail == "what and what to do"
