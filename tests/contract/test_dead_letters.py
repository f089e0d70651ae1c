"""Dead letters need nothing of a log but its contract: they are found, and their states are, on each."""

import os
from datetime import UTC, datetime

import orjson

from broker.dead_letters import DeadLetters, Wanted
from broker.log import Log, NewRecord
from broker.topics import DEAD_LETTER_STATES, DEAD_LETTERS, hub_topics
from core.clock import SystemClock
from core.errors import Poison


def unseal(value: bytes) -> bytes:
    """Letters of other tests, on a Kafka that outlives them, were sealed in another way."""
    if value[:1] != b"\x07":
        raise Poison("not sealed by this test")
    return value[13:]


async def test_letters_are_found_by_every_process_and_settled_for_all(log: Log, topic: str) -> None:
    for one in hub_topics(1):
        if one.name in (DEAD_LETTERS, DEAD_LETTER_STATES):
            await log.create_topic(one)
    clock, tenant = SystemClock(), topic
    sealed = []
    for number in range(150):
        rows = [{"id": None, "field": "f", "reason": f"{number}.{row}", "kind": "field"} for row in range(2)]
        letter = {"tenant": tenant, "door": "events", "stage": "ingest", "time": datetime.now(UTC), "rows": rows}
        sealed.append(b"\x07" + os.urandom(12) + orjson.dumps(letter))
    await log.append([NewRecord(DEAD_LETTERS, 0, tenant.encode(), value) for value in sealed])
    one, other = DeadLetters(log, clock, unseal), DeadLetters(log, clock, unseal)
    found, cursor = [], None
    while True:
        page = await one.page(Wanted({tenant}), cursor, 70)
        found += [letter for letter, _ in page.letters]
        if (cursor := page.cursor) is None:
            break
    assert [letter.reason for letter in found] == [f"{n}.{row}" for n in reversed(range(150)) for row in (1, 0)]
    await one.settle([letter.id for letter in found[:200]], "replayed")
    await other.settle([letter.id for letter in found[200:299]], "purged")
    for letters in (one, other, DeadLetters(log, clock, unseal)):
        ((last, state),) = (await letters.page(Wanted({tenant}))).letters
        assert (last.id, state) == (found[299].id, "waiting")
        assert [(await letters.get(found[at].id, {tenant}))[1] for at in (0, 250)] == ["replayed", "purged"]
