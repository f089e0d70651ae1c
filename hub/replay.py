"""Sends recorded traffic to a hub, with its own timing or as fast as the hub takes it."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from heapq import merge
from pathlib import Path

from core.clock import Clock, SystemClock
from core.errors import BadRequest, NotFound
from hub.recordings import Counted, Cut, Piece, last_time, read_pieces
from hub.sender import HubSender, Totals
from hub.simulate.config import to_us

#: Rows of file number n are counted from n << this, so that a refused row is found in its file again.
_FILE_BITS = 40
#: A paced piece holds at most this much of the recorded time, as it passes on the clock.
_STEP_S = 0.25

Progress = Callable[[int, float], None]
"""Told after each piece: rows sent, and the share of the files' bytes that has been read, 0–1."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row the hub refused: file, line (or row of an Arrow file) from 1, field and reason."""

    path: Path
    line: int
    field: str
    reason: str


@dataclass(slots=True)
class Replayed:
    """What a replay has come to; ``bad_rows`` are the first of the refused ones, ``reasons`` counts them all."""

    rows: int
    totals: Totals
    bad_rows: list[BadRow] = field(default_factory=list)

    def summary(self) -> list[str]:
        """Lines for people: the counts, then the reasons with their numbers and the first places."""
        totals = self.totals
        lines = [f"{totals.accepted} accepted, {totals.rejected} rejected, {totals.duplicates} duplicates"]
        places = {(bad.field, bad.reason): f" (first at {bad.path}:{bad.line})" for bad in reversed(self.bad_rows)}
        for (name, reason), count in totals.reasons.most_common():
            lines.append(f"{count} × {name or 'row'}: {reason}{places.get((name, reason), '')}")
        return lines


async def replay(
    files: Sequence[Path],
    *,
    sender: HubSender,
    speed: float | None = None,
    shift_to_now: bool = False,
    progress: Progress | None = None,
    clock: Clock | None = None,
    batch_size: int = 5000,
) -> Replayed:
    """Send recordings to a hub.

    Parameters
    ----------
    files
        NDJSON, OTLP JSON or Arrow IPC, plain, gzip or zstd. Paced, several files are merged by their times; unpaced
        they follow each other.
    sender
        An open :class:`hub.sender.HubSender`.
    speed
        1 for the recorded timing, 10 for ten times as fast; none for as fast as the hub takes it.
    shift_to_now
        Shift all times alike, so that the last event of all files is now. Reads the files twice.
    progress
        Told after each piece, for example what :func:`hub.progress.progress_bar` gives.
    clock
        Paces, and says what now is.
    batch_size
        Most rows of a request.

    Raises
    ------
    BadRequest, NotFound
        A file is missing, damaged, or in no form that is read here; or the hub has no door for its form.
    HubError
        The hub refused a whole request, or was away for too long.
    """
    if speed is not None and speed <= 0:
        raise BadRequest("speed must be above 0")
    clock = clock or SystemClock()
    shift = await asyncio.to_thread(_shift_us, files, clock.now()) if shift_to_now else 0
    step = None if speed is None else max(1, round(_STEP_S * speed * 1e6))
    cut = Cut(batch_size, step, shift)
    counted = [Counted(path, (await asyncio.to_thread(path.stat)).st_size if path.is_file() else 0) for path in files]
    pieces = _in_order([_numbered(number, count, cut) for number, count in enumerate(counted)], paced=step is not None)
    result = Replayed(0, sender.totals)
    pace = _Pace(clock, speed)
    try:
        while (found := await asyncio.to_thread(next, pieces, None)) is not None:
            number, piece = found
            await pace.wait_for(piece)
            await sender.submit(
                piece.body,
                path=piece.path,
                content_type=piece.content_type,
                first_row=(number << _FILE_BITS) + piece.first_row,
                items=piece.items,
            )
            result.rows += piece.rows
            if progress:
                progress(
                    result.rows, sum(count.read for count in counted) / max(1, sum(count.size for count in counted))
                )
        await sender.drain()
    except NotFound as error:
        raise _no_door(error) from error
    finally:
        result.bad_rows = [_bad_row(files, row.row, row.field, row.reason) for row in sender.totals.examples]
    return result


class _Pace:
    """Holds pieces back until their recorded time has passed, scaled by the speed."""

    def __init__(self, clock: Clock, speed: float | None) -> None:
        self._clock = clock
        self._speed = speed
        self._began = clock.monotonic()
        self._first: int | None = None

    async def wait_for(self, piece: Piece) -> None:
        if self._speed is None or piece.last_us is None:
            return
        if self._first is None:
            self._first = piece.last_us
        due = self._began + (piece.last_us - self._first) / 1e6 / self._speed
        if (wait := due - self._clock.monotonic()) > 0:
            await self._clock.sleep(wait)


def _shift_us(files: Iterable[Path], now: datetime) -> int:
    latest = [at for at in map(last_time, files) if at is not None]
    if not latest:
        raise BadRequest("no event of these files has a time to shift")
    return to_us(now.astimezone(UTC)) - max(latest)


def _numbered(number: int, counted: Counted, cut: Cut) -> Iterator[tuple[int, Piece]]:
    for piece in read_pieces(counted.path, cut, counted):
        yield number, piece


def _in_order(files: Sequence[Iterator[tuple[int, Piece]]], *, paced: bool) -> Iterator[tuple[int, Piece]]:
    if paced:
        yield from merge(*files, key=lambda found: found[1].last_us or 0)
        return
    for file in files:
        yield from file


def _no_door(error: NotFound) -> NotFound:
    if "/v1/events" in error.detail or " answered " not in error.detail:
        return error
    return NotFound(f"{error.detail}. This hub has no such door: OTLP recordings need one that has")


def _bad_row(files: Sequence[Path], row: int, name: str, reason: str) -> BadRow:
    number, line = row >> _FILE_BITS, row & (1 << _FILE_BITS) - 1
    return BadRow(files[number], line + 1, name, reason)
