"""The command line over a running hub, which it finds by the folder's ``hub.json``."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from hub.cli import execute
from tests.hub.running import EVERYTHING, PATIENCE, an_event

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], running_folder: Path) -> Run:
    """Runs a command over the hub; the status and what was printed."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        status = execute([*map(str, arguments), "--data-dir", str(running_folder)])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


@pytest.fixture
def client(running_folder: Path) -> Iterator[httpx.Client]:
    """A client with the first key."""
    entry = json.loads((running_folder / "hub.json").read_text())
    key = (running_folder / "admin.key").read_text().strip()
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=entry["url"], headers=headers, timeout=PATIENCE, trust_env=False) as client:
        yield client


def until(client: httpx.Client, events: int) -> None:
    """Return once a question sees so many events."""
    deadline = datetime.now(UTC) + timedelta(seconds=PATIENCE)
    while datetime.now(UTC) < deadline:
        rows = client.post("/v1/query", json=EVERYTHING).json()["rows"]
        if rows and rows[0][0] >= events:
            return
    raise AssertionError(f"{events} events are not there")


def test_replay_query_and_simulate(run: Run, client: httpx.Client, tmp_path: Path) -> None:
    file = tmp_path / "recorded.ndjson"
    rows = [
        an_event(id=f"event-{i}", data={"model": f"m{i % 2}", "input_tokens": i, "output_tokens": 1}) for i in range(4)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    status, out, err = run("replay", file)
    assert (status, out, err) == (0, "4 accepted, 0 rejected, 0 duplicates\n", "")
    until(client, 4)

    question = "events, input_tokens by model last 1h"
    status, table, _ = run("query", question)
    assert status == 0
    assert table.splitlines()[0].split()[0] == "model"
    assert {line.split()[0] for line in table.splitlines()[1:]} == {"m0", "m1"}
    answer = json.loads(run("query", question, "--json")[1])
    assert sorted(answer["rows"]) == [["m0", 2, 2], ["m1", 2, 4]]
    told = list(csv.reader(io.StringIO(run("query", question, "--csv")[1])))
    assert told[0] == ["model", "events", "input_tokens"]
    assert sorted(told[1:]) == [["m0", "2", "2"], ["m1", "2", "4"]]

    file.write_text('{"type": "llm.request"}\n')
    status, out, _ = run("replay", file)
    assert status == 1
    assert "1 rejected" in out
    assert run("replay", tmp_path / "absent.ndjson")[0] == 1

    labels = tmp_path / "labels.json"
    status, out, _ = run("simulate", "--history", "--rate", "5", "--duration", "60", "--labels", labels)
    assert status == 0, out
    until(client, 4 + int(out.split()[0]))
    assert json.loads(labels.read_text()) == []


@pytest.mark.parametrize("door", ["otlp", "cloudevents", "adapters", "sdk"])
def test_simulate_via_another_door(run: Run, client: httpx.Client, door: str) -> None:
    status, out, err = run("simulate", "--history", "--rate", "5", "--duration", "20", "--via", door)
    assert (status, err) == (0, "")
    until(client, int(out.split()[0]))


def test_a_door_that_the_simulator_does_not_know(run: Run) -> None:
    status, _, err = run("simulate", "--history", "--duration", "5", "--via", "fax")
    assert status == 1
    assert "the doors are events, otlp, cloudevents, adapters, sdk" in err


def test_keys_over_http(run: Run, client: httpx.Client) -> None:
    soon = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    status, secret, _ = run("keys", "create", "--scopes", "ingest", "--expires", soon)
    assert status == 0
    key_id = secret.split("_")[1]
    as_new = {"Authorization": f"Bearer {secret.strip()}"}
    assert client.post("/v1/events", json=[an_event()], headers=as_new).status_code == 202
    assert key_id in run("keys", "list")[1]
    rotated = run("keys", "rotate", key_id)[1]
    assert client.post("/v1/events", json=[an_event()], headers=as_new).status_code == 401
    new_id = rotated.split("_")[1]
    assert run("keys", "revoke", new_id)[1] == f"{new_id} is revoked\n"
    status, _, err = run("keys", "revoke", "0000000000000000")
    assert (status, err[:24]) == (1, "llm-hub keys: 404 There ")


def test_the_doctor_asks_the_hub_itself(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    status, out, _ = run("doctor")
    assert status == 0, out
    told = {line.split()[1] for line in out.splitlines()}
    assert told >= {
        *("hub:", "process:", "warehouse:", "disk:", "streams:", "questions:", "clock:", "lag:", "dead", "files:"),
        "queues:",
    }


def test_a_hub_is_not_migrated_under_its_feet(run: Run, running_folder: Path) -> None:
    status, _, err = run("migrate")
    assert status == 1
    assert "stop it before" in err
    url = json.loads((running_folder / "hub.json").read_text())["url"]
    status, _, err = run("query", "events", "--url", url + "/", "--key", "lh_wrong")
    assert (status, "401" in err) == (1, True)


def test_what_answers_is_not_always_a_hub(running_folder: Path) -> None:
    from core.errors import HubError
    from hub.client import HubClient
    from hub.target import Running

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(502, text="<html>bad gateway</html>")

    with HubClient(Running("http://elsewhere", "lh_x"), httpx.MockTransport(answer)) as hub:
        with pytest.raises(HubError, match="502 <html>bad gateway"):
            hub.get("/v1/keys")
        with pytest.raises(HubError, match="no answer"):
            hub.get_whatever("/health/ready")
