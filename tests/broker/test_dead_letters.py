"""Reading dead letters back: pages, conditions, states, and letters of another log."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from broker import dead_letters
from broker.dead_letters import DeadLetters, Wanted
from broker.factory import open_log
from broker.log import Log, NewRecord
from broker.topics import DEAD_LETTERS, hub_topics
from core.clock import ManualClock
from core.errors import NotFound, Poison

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SEAL = b"\x01"


def unseal(value: bytes) -> bytes:
    if not value.startswith(SEAL):
        raise Poison("sealed with another key")
    return value[13:]


class Box:
    """Letters in a log of its own."""

    def __init__(self, log: Log, clock: ManualClock) -> None:
        self.log, self.clock = log, clock
        self.letters = DeadLetters(log, clock, unseal)
        self._seals = 0

    async def put(self, tenant: str | None, *rows: dict[str, Any], **told: Any) -> None:
        self._seals += 1
        if tenant is not None:
            whole = [
                {"index": 0, "id": None, "field": "type", "reason": "is required", "kind": "type", **r} for r in rows
            ]
            told = {"tenant": tenant, "door": "events", "stage": "ingest", "rows": whole, **told}
        value = orjson.dumps({"time": self.clock.now(), **told})
        sealed = SEAL + self._seals.to_bytes(12, "little") + value
        key = None if tenant is None else tenant.encode()
        stamp = int(self.clock.now().timestamp() * 1000)
        await self.log.append([NewRecord(DEAD_LETTERS, 0, key, sealed, timestamp_ms=stamp)])

    async def all(self, **wanted: Any) -> list[tuple[str, str]]:
        """Reason and state of every letter, by small pages."""
        found, cursor = [], None
        while True:
            page = await self.letters.page(Wanted(**{"tenants": {"a", "b", None}, **wanted}), cursor, 2)
            found += [(letter.reason, state) for letter, state in page.letters]
            if (cursor := page.cursor) is None:
                return found


def record(**told: Any) -> dict[str, Any]:
    """What is told of a record that is poison."""
    return {"stage": "decode", "reason": "no stream", "topic": "hub.events", "partition": 3, "offset": 9, **told}


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    clock = ManualClock(NOW)
    log = open_log(f"sqlite:///{tmp_path}/log.db", clock=clock)
    await log.start()
    for topic in hub_topics(1):
        await log.create_topic(topic)
    yield Box(log, clock)
    await log.stop()


def reasons(*rows: str) -> list[dict[str, str]]:
    return [{"reason": reason, "original": f"bytes of {reason}"} for reason in rows]


async def test_pages_newest_first(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "_STEP", 3)
    for number in range(5):
        await box.put("a", *reasons(f"{number}.0", f"{number}.1", f"{number}.2"))
    expected = [f"{number}.{row}" for number in reversed(range(5)) for row in reversed(range(3))]
    assert [reason for reason, _ in await box.all()] == expected
    monkeypatch.setattr(dead_letters, "_MOST_RECORDS", 2)
    assert [reason for reason, _ in await box.all()] == expected
    assert [reason for reason, _ in await box.all(reason="0.1")] == ["0.1"]
    monkeypatch.setattr(dead_letters, "_MOST_BYTES", 1)
    assert [reason for reason, _ in await box.all()] == expected


async def test_conditions(box: Box) -> None:
    await box.put("a", {"reason": "must be a number", "field": "data.input_tokens", "original": "x"})
    box.clock.advance(60)
    await box.put("b", *reasons("of b"))
    await box.put(None, **record(original_base64="AAH/"))
    box.clock.advance(60)
    await box.put(None, **record(stage="store", reason="no column", original_base64=None))
    later = NOW + timedelta(seconds=60)
    assert [reason for reason, _ in await box.all()] == ["no column", "no stream", "of b", "must be a number"]
    assert await box.all(tenants={"a"}) == [("must be a number", "waiting")]
    assert await box.all(tenants={None}, stage="decode") == [("no stream", "waiting")]
    assert await box.all(reason="INPUT_tokens") == [("must be a number", "waiting")]
    assert [reason for reason, _ in await box.all(start=later)] == ["no column", "no stream", "of b"]
    assert [reason for reason, _ in await box.all(end=later)] == ["must be a number"]
    page = await box.letters.page(Wanted({None}, stage="decode"))
    ((letter, _),) = page.letters
    assert (letter.topic, letter.partition, letter.offset, letter.original) == ("hub.events", 3, 9, b"\x00\x01\xff")
    assert letter.tenant is None


async def test_states_are_seen_by_other_processes_and_after_a_restart(box: Box) -> None:
    await box.put("a", *reasons("one", "two", "three"))
    other = DeadLetters(box.log, box.clock, unseal)
    page = await other.page(Wanted({"a"}))
    ids = {letter.reason: letter.id for letter, _ in page.letters}
    await box.letters.settle([ids["one"]], "replayed")
    await other.settle([ids["two"]], "purged")
    for letters in (box.letters, other, DeadLetters(box.log, box.clock, unseal)):
        states = [(await letters.get(ids[reason], {"a"}))[1] for reason in ("one", "two", "three")]
        assert states == ["replayed", "purged", "waiting"]
    assert await box.all() == [("three", "waiting")]
    assert await box.all(states=("purged", "replayed")) == [("two", "purged"), ("one", "replayed")]


async def test_only_whose_letter_it_is_gets_it(box: Box) -> None:
    await box.put("a", *reasons("mine"))
    ((letter, _),) = (await box.letters.page(Wanted({"a"}))).letters
    assert (await box.letters.get(letter.id, {"a"}))[0].original == b"bytes of mine"
    wrong_stamp = letter.id[:-16] + "0" * 16
    for letter_id, tenants in (
        (letter.id, {"b", None}),
        (wrong_stamp, {"a"}),
        ("7-0-" + "0" * 16, {"a"}),
        ("0-9-" + letter.id[-16:], {"a"}),
        ("../etc", {"a"}),
        ("9" * 19 + "-0-" + "0" * 16, {"a"}),
    ):
        with pytest.raises(NotFound):
            await box.letters.get(letter_id, tenants)
    with pytest.raises(NotFound):
        await box.letters.page(Wanted({"a"}), "nonsense")


async def test_what_was_sealed_with_another_key_is_passed_over(box: Box) -> None:
    await box.log.append([NewRecord(DEAD_LETTERS, 0, b"a", b"\x02 of another hub")])
    await box.put("a", *reasons("mine"))
    assert await box.all() == [("mine", "waiting")]


async def test_another_log_begins_anew(box: Box, tmp_path: Path) -> None:
    await box.put("a", *reasons("one"))
    ((letter, _),) = (await box.letters.page(Wanted({"a"}))).letters
    await box.letters.settle([letter.id], "purged")
    fresh = open_log(f"sqlite:///{tmp_path}/restored.db", clock=box.clock)
    await fresh.start()
    for topic in hub_topics(1):
        await fresh.create_topic(topic)
    box.letters._log = box.log = fresh
    await box.put("a", *reasons("two"))
    assert await box.all() == [("two", "waiting")]
    await fresh.stop()
