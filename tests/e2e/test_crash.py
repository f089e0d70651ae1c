"""Killed with SIGKILL right after an answer, again and again: whatever was acknowledged is there, once."""

import concurrent.futures
import time
import uuid
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from benchmarks.common import Hub

pytestmark = [pytest.mark.chaos, pytest.mark.slow]

PATIENCE = 120.0


def event(name: str) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
        "type": "product.event",
        "source": "test",
        "time": datetime.now(UTC).isoformat(),
        "data": {"name": name},
    }


def post(hub: Hub, events: Any, **headers: str) -> dict[str, Any]:
    """One request; anything but a 202 raises."""
    headers |= {"Authorization": f"Bearer {hub.key}"}
    answer = httpx.post(f"{hub.url}/v1/events", json=events, headers=headers, timeout=PATIENCE, trust_env=False)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def feed(hub: Hub, sender: str, size: int) -> tuple[set[str], set[str]]:
    """Send until the hub is gone: the names that were acknowledged, and those whose answer never came."""
    taken: set[str] = set()
    for number in range(100_000):
        names = {f"{sender}-{number}-{row}" for row in range(size)}
        body = [event(name) for name in sorted(names)]
        try:
            answer = post(hub, body if size > 1 else body[0])
        except httpx.TransportError:
            return taken, names
        assert answer["accepted"] == size
        taken |= names
    raise AssertionError("the hub was never killed")


def names_in(hub: Hub) -> Counter[str]:
    """How often each name is stored."""
    answer = httpx.get(
        f"{hub.url}/v1/exports",
        params={"format": "csv", "columns": "name", "from": "now-1h", "to": "now+1h"},
        headers={"Authorization": f"Bearer {hub.key}"},
        timeout=PATIENCE,
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text
    return Counter(answer.text.replace('"', "").split()[1:])


def settled(hub: Hub, wanted: set[str]) -> Counter[str]:
    """What is stored once all of ``wanted`` is, or after :data:`PATIENCE`."""
    until = time.monotonic() + PATIENCE
    while True:
        found = names_in(hub)
        if wanted <= found.keys() or time.monotonic() > until:
            return found


def test_what_was_acknowledged_survives_kills_and_counts_once(hub: Hub) -> None:
    keyed, same = [event("keyed-0"), event("keyed-1")], event("same-id")
    assert post(hub, keyed, **{"Idempotency-Key": "k-1"})["accepted"] == 2
    assert post(hub, same)["accepted"] == 1
    acknowledged, perhaps = {"keyed-0", "keyed-1", "same-id"}, set[str]()

    for turn in range(2):
        with concurrent.futures.ThreadPoolExecutor() as pool:
            senders = [pool.submit(feed, hub, f"{turn}-{kind}", size) for kind, size in (("one", 1), ("many", 200))]
            time_of_death = time.monotonic() + 1 + turn * 0.37
            while time.monotonic() < time_of_death:
                post(hub, event(f"{turn}-steady"))
            acknowledged.add(f"{turn}-steady")
            hub.kill()
            for sender in senders:
                taken, lost = sender.result()
                acknowledged |= taken
                perhaps |= lost
        hub.start(PATIENCE)

        repeated = post(hub, keyed, **{"Idempotency-Key": "k-1"})
        assert (repeated["accepted"], repeated["duplicates"]) == (0, 2)
        post(hub, same, **{"Idempotency-Key": f"another-{turn}"})

    # Behind everything else: once it is visible, so is all that came before.
    post(hub, event("the-last"))
    found = settled(hub, acknowledged | {"the-last"})
    assert acknowledged - found.keys() == set()
    assert {name for name, count in found.items() if count != 1} == set()
    assert found.keys() - acknowledged - perhaps == {"the-last"}
    assert hub.visible() == len(found), "the rollups and what is behind them are all there is"
    assert hub.stop(PATIENCE) == 0


def spans(sender: str, number: int, rows: int = 8) -> tuple[set[str], dict[str, Any]]:
    """Names, and a request of spans that are called so."""
    names = [f"{sender}-{number}-{row}" for row in range(rows)]
    now = str(time.time_ns())
    made = [
        {"traceId": uuid.uuid5(uuid.NAMESPACE_URL, name).hex, "spanId": uuid.uuid5(uuid.NAMESPACE_URL, name).hex[:16]}
        | {"name": name, "startTimeUnixNano": now, "endTimeUnixNano": now}
        for name in names
    ]
    return set(names), {"resourceSpans": [{"scopeSpans": [{"spans": made}]}]}


def post_spans(hub: Hub, request: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {hub.key}"}
    answer = httpx.post(f"{hub.url}/v1/traces", json=request, headers=headers, timeout=PATIENCE, trust_env=False)
    assert (answer.status_code, answer.json()) == (200, {})


def feed_spans(hub: Hub, sender: str) -> list[tuple[set[str], dict[str, Any]]]:
    """Send until the hub is gone: what was sent, of which only the last was not acknowledged."""
    sent = []
    for number in range(100_000):
        sent.append(spans(sender, number))
        try:
            post_spans(hub, sent[-1][1])
        except httpx.TransportError:
            return sent
    raise AssertionError("the hub was never killed")


def test_spans_of_many_senders_count_once_when_they_come_again_after_a_kill(hub: Hub) -> None:
    wanted: set[str] = set()
    for turn in range(2):
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            senders = [pool.submit(feed_spans, hub, f"{turn}-{number}") for number in range(12)]
            # Not before their bodies have met in the doors.
            until = time.monotonic() + 1 + turn * 0.37
            while time.monotonic() < until:
                post(hub, event(f"{turn}-steady"))
            hub.kill()
            sent = [sender.result() for sender in senders]
        wanted |= {f"{turn}-steady"}.union(*(names for one in sent for names, _ in one))
        hub.start(PATIENCE)
        # Exporters repeat what was not answered; those whose answer was lost, what was. In other company than before.
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            again = [request for one in reversed(sent) for _, request in one[-3:]]
            for done in [pool.submit(post_spans, hub, request) for request in again]:
                done.result()
    found = settled(hub, wanted)
    assert wanted - found.keys() == set()
    assert {name for name, count in found.items() if count != 1} == set()
    assert hub.visible() == len(found)
    assert hub.stop(PATIENCE) == 0
