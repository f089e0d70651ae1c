"""Dead letters: what was written into their topic, read back, newest first, and what has become of each.

A letter is one rejected row (stage ``ingest``) or one record of ``hub.events`` that could not be processed (``decode``,
``store``). Letters are sealed and leave with the topic's retention. A log is only ever added to: that a letter was
replayed or purged is written into a companion topic, which lives a day longer.
"""

import asyncio
import re
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

import orjson

from broker.log import Log, NewRecord, Record
from broker.topics import DEAD_LETTER_STATES, DEAD_LETTER_STATES_KEPT, DEAD_LETTERS
from core.clock import Clock
from core.errors import NotFound, Poison

#: Decrypts what a letter was sealed with; raises :class:`core.errors.Poison`.
Unseal = Callable[[bytes], bytes]
State = Literal["waiting", "replayed", "purged"]

#: What one call looks through at most: whoever filters for what is rare goes on with the cursor.
_MOST_RECORDS: Final = 5_000
_MOST_BYTES: Final = 64 << 20
_STEP: Final = 64
#: Letters whose state is written into one record.
_LETTERS_OF_RECORD: Final = 5_000
_ID: Final = re.compile(r"(\d{1,19})-(\d{1,9})-([0-9a-f]{16})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Letter:
    """What could not be processed, and where it comes from.

    Parameters
    ----------
    id
        ``OFFSET-ROW-STAMP``: its place in the topic, and part of the seal, so that no other letter is taken for it.
    tenant
        None where it belongs to no tenant alone: a record of ``hub.events`` holds events of several.
    stage
        ``ingest``, ``decode`` or ``store``.
    reason, field, kind
        What is wrong, with which field of a row, and a word for it.
    event_id
        Of a row, as the sender wrote it.
    door, content_type
        Where a row came in, and how its bytes are to be read.
    topic, partition, offset
        Of a record.
    original
        The bytes; None where there were none.
    """

    id: str
    tenant: str | None
    stage: str
    time: datetime
    reason: str
    field: str = ""
    kind: str = ""
    event_id: str | None = None
    door: str = ""
    content_type: str = ""
    topic: str = ""
    partition: int | None = None
    offset: int | None = None
    original: bytes | None = None

    @property
    def name(self) -> str:
        """The id without the offset, which another log may give anew: what its state goes by, and ids of its rows."""
        return _name(self.id)

    @property
    def place(self) -> tuple[int, int]:
        """Offset in the topic of the letters, and row there."""
        offset, row, _ = self.id.split("-")
        return int(offset), int(row)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters are looked for.

    Parameters
    ----------
    tenants
        Whose letters may be seen at all; None among them stands for those of no tenant.
    stage, reason
        Exactly this stage; this text in the reason, the kind or the name of the field.
    start, end
        Letters of [start, end).
    states
        Letters that are in one of these states.
    """

    tenants: Collection[str | None]
    stage: str | None = None
    reason: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    states: tuple[State, ...] = ("waiting",)

    def takes(self, letter: Letter) -> bool:
        """Whether a letter is one of them, its state aside."""
        if letter.tenant not in self.tenants or self.stage not in (None, letter.stage):
            return False
        if (self.start and letter.time < self.start) or (self.end and letter.time >= self.end):
            return False
        told = f"{letter.field} {letter.reason} {letter.kind}".lower()
        return self.reason is None or self.reason.lower() in told

    def may_hold(self, record: Record) -> bool:
        """Whether a record of the topic is worth being opened; its key is the tenant."""
        return (None if record.key is None else record.key.decode(errors="replace")) in self.tenants


@dataclass(frozen=True, slots=True)
class Page:
    """Letters with their states, newest first; ``cursor`` asks for those that follow, None at the end."""

    letters: Sequence[tuple[Letter, State]]
    cursor: str | None


class DeadLetters:
    """The letters of a log.

    Construction starts nothing; there is nothing to stop. Belongs to one event loop.

    Parameters
    ----------
    log
        Started; its topics exist.
    clock
        Stamps the states.
    unseal
        Decrypts letters.
    """

    def __init__(self, log: Log, clock: Clock, unseal: Unseal) -> None:
        self._log, self._clock, self._unseal = log, clock, unseal
        self._states: dict[str, tuple[State, int]] = {}
        self._read_to = 0
        self._reading = asyncio.Lock()

    async def page(self, wanted: Wanted, cursor: str | None = None, limit: int = 100) -> Page:
        """Some letters.

        Raises
        ------
        NotFound
            ``cursor`` is none of the hub's.
        """
        place = None if cursor is None else _parsed(cursor)[:2]
        await self._follow()
        found: list[tuple[Letter, State]] = []
        records = size = 0
        async for record in self._backwards(None if place is None else place[0] + (place[1] > 0)):
            records, size = records + 1, size + len(record.value or b"")
            if wanted.start is not None and record.timestamp_ms < wanted.start.timestamp() * 1000:
                return Page(found, None)
            letters = await asyncio.to_thread(self._letters, record) if wanted.may_hold(record) else []
            for letter in filter(wanted.takes, reversed(letters)):
                state = self._state(letter)
                if (place is not None and letter.place >= place) or state not in wanted.states:
                    continue
                if len(found) == limit:
                    return Page(found, found[-1][0].id)
                found.append((letter, state))
            if records >= _MOST_RECORDS or size >= _MOST_BYTES:
                return Page(found, f"{record.offset}-0-{_stamp(record)}")
        return Page(found, None)

    async def get(self, letter_id: str, tenants: Collection[str | None]) -> tuple[Letter, State]:
        """One letter; raises :class:`NotFound` also where it is not the caller's."""
        offset, row, stamp = _parsed(letter_id)
        await self._follow()
        earliest, following = await self._log.range(DEAD_LETTERS, 0)
        records = await self._log.read(DEAD_LETTERS, 0, offset, max_records=1) if earliest <= offset < following else []
        for record in records:
            if record.offset == offset and _stamp(record) == stamp:
                for letter in self._letters(record):
                    if letter.place == (offset, row) and letter.tenant in tenants:
                        return letter, self._state(letter)
        raise NotFound(f"There is no dead letter {letter_id[:60]!r}; they are kept for seven days.")

    async def settle(self, letter_ids: Sequence[str], state: State) -> None:
        """Write down what has become of letters; returns when that is durable."""
        for start in range(0, len(letter_ids), _LETTERS_OF_RECORD):
            ids = list(letter_ids[start : start + _LETTERS_OF_RECORD])
            value = orjson.dumps({"state": state, "time": self._clock.now(), "letters": ids})
            await self._log.append([NewRecord(DEAD_LETTER_STATES, 0, None, value)])
            self._learn(ids, state, int(self._clock.now().timestamp() * 1000))

    def _state(self, letter: Letter) -> State:
        return self._states.get(letter.name, ("waiting", 0))[0]

    def _learn(self, ids: Sequence[str], state: State, at_ms: int) -> None:
        self._states.update((_name(one), (state, at_ms)) for one in ids)

    async def _follow(self) -> None:
        """Learn the states that were written since the last look, by whichever process."""
        async with self._reading:
            earliest, following = await self._log.range(DEAD_LETTER_STATES, 0)
            if self._read_to > following:  # another log: the hub was restored
                self._read_to, self._states = 0, {}
            self._read_to = max(self._read_to, earliest)
            while self._read_to < following:
                records = await self._log.read(DEAD_LETTER_STATES, 0, self._read_to)
                if not records:
                    break
                for record in records:
                    told = orjson.loads(record.value or b"")
                    self._learn(told["letters"], told["state"], record.timestamp_ms)
                self._read_to = records[-1].offset + 1
                self._forget()

    def _forget(self) -> None:
        """Letters that have left need no state."""
        oldest = (self._clock.now() - DEAD_LETTER_STATES_KEPT).timestamp() * 1000
        self._states = {name: told for name, told in self._states.items() if told[1] >= oldest}

    async def _backwards(self, before: int | None) -> AsyncIterator[Record]:
        """Records before an offset, or the end, back to the beginning."""
        earliest, end = await self._log.range(DEAD_LETTERS, 0)
        end = end if before is None else min(end, before)
        while end > earliest:
            start = max(earliest, end - _STEP)
            records: list[Record] = []
            while (at := records[-1].offset + 1 if records else start) < end:
                more = await self._log.read(DEAD_LETTERS, 0, at, max_records=end - at)
                records += [record for record in more if record.offset < end]
                if not more or more[-1].offset >= end:
                    break
            for record in reversed(records):
                yield record
            end = start

    def _letters(self, record: Record) -> list[Letter]:
        """The letters of a record; none where it was sealed with another key, which nobody can open any more."""
        try:
            told = orjson.loads(self._unseal(record.value or b""))
        except (Poison, orjson.JSONDecodeError):
            return []
        stamp = _stamp(record)
        if "rows" not in told:
            return [_of_record(f"{record.offset}-0-{stamp}", told)]
        return [_of_row(f"{record.offset}-{at}-{stamp}", told, row) for at, row in enumerate(told["rows"])]


def _name(letter_id: str) -> str:
    return letter_id.partition("-")[2]


def _stamp(record: Record) -> str:
    """Part of what a seal begins with and no other one does: offsets alone begin anew in another log."""
    return (record.value or b"")[1:9].ljust(8, b"\0").hex()


def _parsed(letter_id: str) -> tuple[int, int, str]:
    match = _ID.fullmatch(letter_id)
    if match is None or int(match[1]) >= 1 << 62:
        raise NotFound(f"{letter_id[:60]!r} is no dead letter; take the id from the list.")
    return int(match[1]), int(match[2]), match[3]


def _of_row(letter_id: str, told: Mapping[str, Any], row: Mapping[str, Any]) -> Letter:
    return Letter(
        letter_id,
        told["tenant"],
        told["stage"],
        _moment(told["time"]),
        row["reason"],
        row["field"],
        row["kind"],
        row["id"],
        told["door"],
        row.get("content_type", ""),
        original=_original(row),
    )


def _of_record(letter_id: str, told: Mapping[str, Any]) -> Letter:
    return Letter(
        letter_id,
        None,
        told["stage"],
        _moment(told["time"]),
        told["reason"],
        kind="record",
        content_type="application/vnd.apache.arrow.stream",
        topic=told["topic"],
        partition=told["partition"],
        offset=told["offset"],
        original=_original(told),
    )


def _original(told: Mapping[str, Any]) -> bytes | None:
    if "original" in told:
        return str(told["original"]).encode()
    sealed = told.get("original_base64")
    return None if sealed is None else b64decode(sealed)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
