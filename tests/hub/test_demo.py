"""The demo: a sign-in link that works once, two tenants with a history, and an end with the hub."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from hub.compose import Hub
from hub.demo import COMING_FAULTS, PAST_FAULTS, TENANTS, Demo
from hub.serve import QuietServer, listen, url_of
from tests.hub.running import PATIENCE, settings_of


@pytest.fixture
async def served_hub(tmp_path: Path) -> AsyncIterator[tuple[Hub, str]]:
    """A hub on a socket, in this loop: the demo speaks HTTP to it."""
    hub = Hub(settings_of(tmp_path))
    listener = listen("127.0.0.1", 0)
    server = QuietServer(await hub.start())
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    yield hub, url_of(listener)
    await hub.stop()
    server.should_exit = True
    await serving
    listener.close()


def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten minutes of history instead of two days; the faults keep their order."""
    faults = [type(fault)(fault.kind, 60 * i, 60) for i, fault in enumerate(PAST_FAULTS)]
    monkeypatch.setattr("hub.demo.HISTORY", timedelta(minutes=10))
    monkeypatch.setattr("hub.demo.PAST_FAULTS", tuple(faults))


async def told(capsys: pytest.CaptureFixture[str], text: str) -> str:
    """What was printed, once ``text`` is in it."""
    out = ""
    async with asyncio.timeout(PATIENCE):
        while text not in out:
            out += capsys.readouterr().out
            await asyncio.sleep(0.05)
    return out


async def test_a_demo(
    served_hub: tuple[Hub, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    short(monkeypatch)
    hub, url = served_hub
    demo = Demo(rate=20, seed=7)
    await demo.start(hub, url)
    out = await told(capsys, "of history in")
    link = next(line for line in out.splitlines() if line.startswith("Sign in here: ")).split(": ", 1)[1]
    history = int(out.rpartition(" events of history")[0].rsplit("\n", 1)[-1].replace(",", ""))
    assert history > 300

    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as browser:
        entered = await browser.get(link)
        assert entered.status_code == 303
        page = {"X-Requested-With": "llm-hub"}
        await settled(browser, url, page, history)
        assert (await browser.get(f"{url}/")).status_code == 200
    async with httpx.AsyncClient(trust_env=False) as other:
        assert (await other.get(link)).status_code == 401
        assert urlsplit(link).path == "/sign-in"

    feeding = demo._feeding
    assert feeding is not None
    assert not feeding.done()
    await hub.stop()
    assert feeding.done()


async def settled(browser: httpx.AsyncClient, url: str, page: dict[str, str], history: int) -> None:
    """Return once a good part of the history is visible to the first tenant."""
    question = {"measures": ["events"], "time": {"from": "now-1h", "to": "now+1h"}}
    async with asyncio.timeout(PATIENCE):
        while True:
            rows = (await browser.post(f"{url}/v1/query", json=question, headers=page)).json()["rows"]
            if rows and rows[0][0] > history / 3:
                return
            await asyncio.sleep(0.05)


async def test_both_tenants_have_traffic_and_a_second_start_adds_no_second_history(
    served_hub: tuple[Hub, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    short(monkeypatch)
    hub, url = served_hub
    first = Demo(rate=5, seed=7)
    await first.start(hub, url)
    await told(capsys, "of history in")
    await first._stop()
    async with asyncio.timeout(PATIENCE):
        while True:
            rows = await asyncio.to_thread(hub.warehouse.query, "SELECT tenant, count() FROM events GROUP BY tenant")
            if {tenant for tenant, _ in rows.rows} == set(TENANTS):
                break

    def no_history(*_: object) -> None:
        raise AssertionError("the history is there already")

    monkeypatch.setattr(Demo, "_history", no_history)
    second = Demo(rate=5, seed=7)
    await second.start(hub, url)
    await told(capsys, "Sign in here")
    assert second._feeding is not None
    assert not second._feeding.done()


async def test_when_the_traffic_is_refused_the_hub_goes_on_and_says_why(
    served_hub: tuple[Hub, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def no_key(*_: object) -> str:
        return "lh_wrong"

    monkeypatch.setattr("hub.demo._tenant_key", no_key)
    hub, url = served_hub
    demo = Demo(rate=1, seed=7)
    await demo.start(hub, url)
    assert demo._feeding is not None
    await asyncio.wait_for(demo._feeding, PATIENCE)
    assert "the demo's traffic has ended" in caplog.text
    await Demo(rate=1, seed=7)._stop()


def test_there_is_something_to_find() -> None:
    kinds = {fault.kind for fault in (*PAST_FAULTS, *COMING_FAULTS)}
    assert len(kinds) >= 5
