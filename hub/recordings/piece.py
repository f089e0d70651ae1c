"""What a recording is cut into, and how a reader is asked to cut."""

from dataclasses import dataclass
from pathlib import Path

#: A piece is cut here at the latest, well under what a door takes.
PIECE_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Piece:
    """The body of one request.

    Parameters
    ----------
    path, content_type
        Which door, and in which form.
    body
        What to post.
    rows
        How many rows it has.
    first_row
        Number of its first row (a line, or a row of an Arrow table) in the file, from 0.
    last_us
        Time of its last event in microseconds of the epoch, as recorded; none where times were not asked for.
    items
        How many events it has, where its door does not say in its answer (OTLP's does not).
    """

    path: str
    content_type: str
    body: bytes
    rows: int
    first_row: int
    last_us: int | None
    items: int = 0


@dataclass(frozen=True, slots=True)
class Cut:
    """How to cut a recording.

    Parameters
    ----------
    rows
        The most rows of a piece.
    step_us
        Begin a new piece with each step of recorded time; none to cut by size alone and leave times unread.
    shift_us
        Add this to every time.
    """

    rows: int = 5000
    step_us: int | None = None
    shift_us: int = 0

    @property
    def timed(self) -> bool:
        """Whether a reader must look at times at all."""
        return self.step_us is not None or self.shift_us != 0


@dataclass(slots=True)
class Counted:
    """How far a file has been read, for the progress bar: bytes on disk of ``size``."""

    path: Path
    size: int
    read: int = 0
