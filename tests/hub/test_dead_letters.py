"""Dead letters of a whole hub, over HTTP and by the command: seen, sent again, put away, each by whom it concerns."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from broker.factory import open_log
from broker.log import NewRecord
from broker.topics import EVENTS
from core.clock import SystemClock
from hub.cli import execute
from ingest.encode import ipc_bytes
from tests.hub.running import PATIENCE, Opened, an_event, count, opened, served, settings_of
from tests.streams.blocks import make_table

OLD = {"time": "2020-01-01T00:00:00Z"}
KEEP = {"settings": {"retention_days": {"events": 3650}}}


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Opened]:
    async with opened(settings_of(tmp_path, dedupe_seconds=1)) as hub:
        yield hub


async def until(ask: Callable[[], Awaitable[httpx.Response]], good: Callable[[Any], Any]) -> Any:
    """Ask until the answer is as it should be."""
    async with asyncio.timeout(PATIENCE):
        while True:
            if good(told := (await ask()).json()):
                return told
            await asyncio.sleep(0.05)


async def keys_of_another(hub: Opened) -> Any:
    """A client of another tenant's admin."""
    assert (await hub.client.post("/v1/tenants", json={"id": "other"})).status_code == 201
    body = {"tenant": "other", "role": "admin", "scopes": ["ingest", "query", "admin"]}
    return hub.as_somebody((await hub.client.post("/v1/keys", json=body)).json()["key"])


async def test_rows_are_shown_replayed_and_purged(hub: Opened) -> None:
    await hub.send(an_event(**OLD, id="e-1", user_id="u"), an_event(**OLD), an_event(type="llm.reqest"))
    page = (await hub.client.get("/v1/dead-letters")).json()
    assert [letter["field"] for letter in page["letters"]] == ["type", "time", "time"]
    first = page["letters"][2]
    assert (first["tenant"], first["stage"], first["door"], first["event_id"]) == ("default", "ingest", "events", "e-1")
    whole = (await hub.client.get(f"/v1/dead-letters/{first['id']}")).json()
    assert json.loads(whole["original"])["user_id"] == "u"
    assert whole["content_type"] == "application/json"

    refused = (await hub.client.post(f"/v1/dead-letters/{first['id']}/replay")).json()
    assert (refused["replayed"], refused["rejected"], refused["errors"][0]["field"]) == (0, 1, "time")
    assert (await hub.client.patch("/v1/tenants/default", json=KEEP)).status_code == 200
    done = (await hub.client.post("/v1/dead-letters/replay", json={"reason": "retention"})).json()
    assert (done["replayed"], done["accepted"], done["rejected"], done["cursor"]) == (2, 2, 0, None)
    assert (await hub.client.post(f"/v1/dead-letters/{first['id']}/replay")).json()["duplicates"] == 1
    everything = {"measures": ["events"], "time": {"from": "2019-01-01T00:00:00Z", "to": "now"}}
    await until(lambda: hub.client.post("/v1/query", json=everything), lambda told: told["rows"] == [[2]])

    assert (await hub.client.delete("/v1/dead-letters")).status_code == 422
    assert (await hub.client.delete("/v1/dead-letters?stage=ingest")).json() == {"purged": 1, "cursor": None}
    states = (await hub.client.get("/v1/dead-letters?state=all")).json()["letters"]
    assert [letter["state"] for letter in states] == ["purged", "replayed", "replayed"]
    purged = (await hub.client.get(f"/v1/dead-letters/{states[0]['id']}")).json()
    assert purged["original"] is purged["original_base64"] is None
    assert (await hub.client.delete(f"/v1/dead-letters/{states[0]['id']}")).json()["purged"] == 0
    actions = [entry["action"] for entry in (await hub.client.get("/v1/audit")).json()["entries"]]
    assert {"dead_letter.show", "dead_letter.replay", "dead_letter.purge"} <= set(actions)
    metrics = (await hub.client.get("/metrics")).text
    assert 'llm_hub_dead_letters_settled_total{outcome="replayed"} 2.0' in metrics
    assert 'llm_hub_dead_letters_settled_total{outcome="purged"} 1.0' in metrics


async def test_whoever_a_letter_does_not_concern_does_not_see_it(hub: Opened) -> None:
    async with await keys_of_another(hub) as other:
        await hub.send({"type": "nothing"})
        answer = await other.post("/v1/events", json=[{"type": "other's"}])
        assert answer.json()["rejected"] == 1
        (mine,) = (await hub.client.get("/v1/dead-letters")).json()["letters"]
        (theirs,) = (await other.get("/v1/dead-letters")).json()["letters"]
        assert (mine["tenant"], theirs["tenant"]) == ("default", "other")
        assert (await other.get(f"/v1/dead-letters/{mine['id']}")).status_code == 404
        assert (await hub.client.get(f"/v1/dead-letters/{theirs['id']}")).status_code == 404
        for query in ("tenant=default", "tenant="):
            assert (await other.get(f"/v1/dead-letters?{query}")).status_code == 403
        viewer = {"tenant": "other", "role": "viewer", "scopes": ["query"]}
        key = (await hub.client.post("/v1/keys", json=viewer)).json()["key"]
        async with hub.as_somebody(key) as nobody:
            assert (await nobody.get("/v1/dead-letters")).status_code == 403


async def test_a_whole_record_comes_back_once(hub: Opened) -> None:
    """A record that the engine refused is appended again, and its events are there, each once."""
    log = hub.app.state.log
    from access.service import Access
    from streams.dead_letters import dead_letters

    access: Access = hub.app.state.access
    value = ipc_bytes(make_table([{"tenant": "default", "model": f"m{n}"} for n in range(3)]))
    await log.append([NewRecord(EVENTS, 0, None, b"garbage")])
    told = await until(lambda: hub.client.get("/v1/dead-letters?stage=decode"), lambda told: told["letters"])
    (garbage,) = told["letters"]
    assert (garbage["tenant"], garbage["topic"], garbage["partition"], garbage["offset"]) == (None, EVENTS, 0, 0)

    (record,) = await log.read(EVENTS, 0, 0)
    buried = type(record)(EVENTS, 0, 0, None, value, (), 0)
    seal = lambda plain: access.box.seal(plain, "dead-letters")  # noqa: E731
    await log.append(dead_letters([(buried, "refused")], "store", seal, hub.hub.clock.now()))
    (one,) = (await hub.client.get("/v1/dead-letters?stage=store&tenant=")).json()["letters"]
    early = (await hub.client.post(f"/v1/dead-letters/{one['id']}/replay")).json()
    assert early["rejected"] == 1
    again = lambda: hub.client.post("/v1/dead-letters/replay", json={"tenant": ""})  # noqa: E731
    done = await until(again, lambda told: told["records"])
    assert (done["records"], done["rejected"]) == (1, 1)
    assert "no Arrow stream" in done["errors"][0]["reason"]
    assert (await hub.client.post(f"/v1/dead-letters/{one['id']}/replay")).json()["duplicates"] == 1
    assert await count(hub.client, 3) == 3


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """The command; its status and what it printed."""
    status = execute(["dead-letters", *arguments])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_the_command_over_a_running_and_a_stopped_hub(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = ("--data-dir", str(tmp_path))
    with served(tmp_path) as url:
        key = (tmp_path / "admin.key").read_text().strip()
        with httpx.Client(base_url=url, headers={"X-API-Key": key}, trust_env=False, timeout=PATIENCE) as client:
            client.post("/v1/events", json=[an_event(**OLD, id=f"e-{n}") for n in range(3)])
            status, out, _ = run(capsys, "list", *here)
            assert (status, out.count("is older than the retention")) == (0, 3)
            assert "default events" in out
            status, out, err = run(capsys, "replay", *here)
            assert (status, err.count("is older than the retention")) == (1, 3)
            assert out == "0 replayed (0 events, 0 records accepted, 0 known already), 3 rejected again\n"
            assert client.patch("/v1/tenants/default", json=KEEP).status_code == 200
    # The same on the folder of the hub that has stopped.
    status, out, _ = run(capsys, "list", "--json", "--limit", "2", *here)
    letters = [json.loads(line) for line in out.splitlines()]
    assert (status, len(letters)) == (0, 2)
    status, out, _ = run(capsys, "show", letters[0]["id"], "--raw", *here)
    assert json.loads(out)["id"] == "e-2"
    status, out, _ = run(capsys, "purge", letters[0]["id"], *here)
    assert (status, out) == (0, "1 purged\n")
    assert run(capsys, "purge", *here)[0] == 1
    status, out, _ = run(capsys, "replay", "--reason", "retention", *here)
    assert (status, out.split(" (")[0]) == (0, "2 replayed")
    assert json.loads(run(capsys, "show", letters[1]["id"], *here)[1])["state"] == "replayed"
    assert run(capsys, "purge", "--all", *here)[1] == "0 purged\n"

    async def appended() -> int:
        log = open_log(settings_of(tmp_path).broker_url, clock=SystemClock())
        await log.start()
        try:
            return len(await log.read(EVENTS, 0, 0))
        finally:
            await log.stop()

    assert asyncio.run(appended()) == 1
