"""Dead letters once more: their bytes take the way that they took when they came, for the tenant they came from.

A letter counts once. Its rows get the ids that they had, or one from the letter; each letter's mark is written with its
rows, and its state after them: whatever dies in between, the next replay finds the mark. A row whose event is stored
already, because its sender has put it right in the meantime, is a duplicate.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

import pyarrow as pa

from broker.dead_letters import DeadLetters, Letter, State
from broker.log import Log, Mark, NewRecord
from core.clock import Clock
from core.errors import Conflict, HubError, Poison
from core.metrics import Metrics
from ingest import forms
from ingest.batch import Arrival, Batch, Decoded
from ingest.decode.cloudevents import decode_events
from ingest.decode.finish import finish
from ingest.decode.rows import decode_rows, read_row
from ingest.decode.tables import together
from ingest.doors.adapters import adapter_for, decode_module_rows
from ingest.intake import Intake
from ingest.limits import Limits

DOOR: Final = "dead-letters"

#: A mark bridges the moment between a letter's rows and its state.
_MARK_TTL: Final = timedelta(hours=24)

#: The ids among those given that are stored already, of a tenant.
Known = Callable[[str, Collection[bytes]], Awaitable[Collection[bytes]]]


class Again(Protocol):
    """A record of ``hub.events`` as it is appended again; raises :class:`Poison` where it still cannot be read."""

    def __call__(self, value: bytes, now: datetime) -> bytes: ...


async def nothing_known(tenant: str, ids: Collection[bytes]) -> Collection[bytes]:  # noqa: ARG001 - for hubs that store nothing
    """Where nobody can be asked: the streams still know what came in the last minutes."""
    return ()


@dataclass(frozen=True, slots=True)
class Refused:
    """A letter that stays: ``reason`` says why, and what to do."""

    id: str
    field: str
    reason: str


@dataclass(slots=True)
class Outcome:
    """What came of a replay.

    Parameters
    ----------
    replayed
        Letters that are done with now; ``accepted`` events of them, and ``records`` that were appended whole.
    duplicates
        Events that are stored already, and letters that were replayed before.
    refused
        Letters that are refused again, and stay.
    """

    replayed: int = 0
    accepted: int = 0
    records: int = 0
    duplicates: int = 0
    refused: list[Refused] = field(default_factory=list)


@dataclass(slots=True)
class _Rows:
    """The rows of a tenant's letters."""

    letters: list[Letter] = field(default_factory=list)
    tables: list[pa.Table] = field(default_factory=list)


class Replay:
    """Sends dead letters again. Construction starts nothing.

    Parameters
    ----------
    intake
        Whose rules hold, and who appends rows.
    letters
        Where states are written down.
    log
        Takes whole records.
    clock, metrics
        Of the process.
    again
        Makes a record anew.
    remembered
        How long the streams remember an event's id: a record that comes again sooner would be taken for a repetition.
    known
        Tells which events are stored already.
    """

    def __init__(
        self,
        intake: Intake,
        letters: DeadLetters,
        log: Log,
        clock: Clock,
        metrics: Metrics,
        *,
        again: Again,
        remembered: timedelta,
        known: Known = nothing_known,
    ) -> None:
        self._intake, self._letters, self._log, self._clock = intake, letters, log, clock
        self._metrics, self._again, self._remembered, self._known = metrics, again, remembered, known
        self._one_at_a_time = asyncio.Lock()

    async def replay(self, letters: Sequence[tuple[Letter, State]]) -> Outcome:
        """Send letters again; what was appended is durable, and written down, when this returns.

        Raises
        ------
        HubError
            The log takes nothing now; what was not told of may be replayed again, and counts once.
        """
        async with self._one_at_a_time:
            outcome = Outcome()
            waiting = []
            for letter, state in letters:
                if state != "waiting" or await self._log.lookup_mark(_mark_key(letter)) is not None:
                    outcome.duplicates += state != "purged"
                    if state == "waiting":  # a process died between the rows and the state
                        await self._letters.settle([letter.id], "replayed")
                else:
                    waiting.append(letter)
            await self._records([letter for letter in waiting if letter.tenant is None], outcome)
            await self._rows([letter for letter in waiting if letter.tenant is not None], outcome)
            self._metrics.dead_letters_settled.labels("replayed").inc(outcome.replayed)
            self._metrics.dead_letters_settled.labels("refused").inc(len(outcome.refused))
            return outcome

    # --- records of the log

    async def _records(self, letters: Sequence[Letter], outcome: Outcome) -> None:
        """Whole records go back to the partition that they were in."""
        for letter in letters:
            now = self._clock.now()
            if now - letter.time <= self._remembered:
                ready = letter.time + self._remembered
                reason = f"came less than {self._remembered} ago: its events would be taken for repetitions; come again"
                outcome.refused.append(Refused(letter.id, "", f"{reason} at {ready.isoformat(timespec='seconds')}"))
                continue
            try:
                value = await asyncio.to_thread(self._again, letter.original or b"", now)
            except Poison as error:
                outcome.refused.append(Refused(letter.id, "", error.detail))
                continue
            record = NewRecord(letter.topic, letter.partition or 0, None, value)
            with suppress(Conflict):  # another process is at it
                await self._log.append([record], self._mark(letter))
                await self._letters.settle([letter.id], "replayed")
                outcome.records += 1
                outcome.replayed += 1

    # --- rows

    async def _rows(self, letters: Sequence[Letter], outcome: Outcome) -> None:
        by_tenant: defaultdict[str, list[Letter]] = defaultdict(list)
        for letter in letters:
            by_tenant[letter.tenant or ""].append(letter)
        for tenant, own in by_tenant.items():
            arrival = self._intake.arrival(tenant, DOOR)
            good = await asyncio.to_thread(_decode_all, own, arrival, self._intake.limits, outcome)
            if good.letters:
                await self._append(tenant, good, arrival, outcome)

    async def _append(self, tenant: str, good: _Rows, arrival: Arrival, outcome: Outcome) -> None:
        table = together(good.tables)
        ids = table.column("id").to_pylist()
        stored = set(await self._known(tenant, ids))
        fresh = table.filter(pa.array([one not in stored for one in ids])) if stored else table
        marks = [mark for letter in good.letters for mark in self._mark(letter)]
        try:
            await self._intake.publisher.publish(Batch(tenant, DOOR, arrival.received_at, fresh, (), marks))
        except Conflict:  # another process is at one of them: it tells of it
            return
        await self._letters.settle([letter.id for letter in good.letters], "replayed")
        outcome.replayed += len(good.letters)
        outcome.accepted += fresh.num_rows
        outcome.duplicates += table.num_rows - fresh.num_rows

    def _mark(self, letter: Letter) -> tuple[Mark, ...]:
        return (Mark(_mark_key(letter), b"", 1, b"", self._clock.now() + _MARK_TTL),)


def _mark_key(letter: Letter) -> bytes:
    return b"dead-letter\0" + letter.name.encode()


def _decode_all(letters: Sequence[Letter], arrival: Arrival, limits: Limits, outcome: Outcome) -> _Rows:
    """Each letter for itself: what the others are must not change the ids that its rows get."""
    good = _Rows()
    for letter in letters:
        of_letter = _of_letter(arrival, letter)
        try:
            decoded = _decode(letter, of_letter, limits)
        except HubError as error:
            outcome.refused.append(Refused(letter.id, letter.field, error.detail))
            continue
        if decoded.rejected:
            (row, *_) = decoded.rejected
            outcome.refused.append(Refused(letter.id, row.field, row.reason))
            continue
        good.letters.append(letter)
        good.tables.append(decoded.table)
    return good


def _of_letter(arrival: Arrival, letter: Letter) -> Arrival:
    """Rows without an id get the same one whenever the letter is replayed."""
    return replace(arrival, key=f"dead letter {letter.name}")


def _decode(letter: Letter, arrival: Arrival, limits: Limits) -> Decoded:
    if not letter.original:
        raise Poison("nothing of this row was kept: its tenant keeps no contents")
    row = read_row(0, letter.original)
    if letter.content_type in ("", forms.EVENT):
        return finish(decode_rows([row], arrival, limits.row_bytes), arrival)
    if letter.content_type == forms.CLOUDEVENT:
        return decode_events([row], arrival, limits)
    if (module := forms.module_of(letter.content_type)) is not None:
        return decode_module_rows([row], arrival, limits, *adapter_for(*module))
    raise Poison(_ALONE.get(letter.content_type, f"is of a form that is not read here: {letter.content_type}"))


_ALONE: Final[Mapping[str, str]] = {
    forms.OTLP: "cannot be sent again without the OTLP request that it was part of; let its exporter send it",
    forms.LANGFUSE: "cannot be sent again without the batch that it was part of; let Langfuse's client send it",
    forms.BYTES: "is no event, nor a list of events, that can be read",
}
