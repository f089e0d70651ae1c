"""What an answer of the hub means for the batch, and how long to wait for the next try."""

import json
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final, NamedTuple

from llm_hub.transport import Answer

#: In flight, too slow, over the limit, or something in between is: the same request is right later.
_LATER: Final = frozenset({408, 409, 425, 429})
_LONGEST_WAIT: Final = 3_600.0


class Verdict(Enum):
    """What to do with the batch."""

    TAKEN = "taken"
    LATER = "later"
    SMALLER = "smaller"
    REFUSED = "refused"


class Receipt(NamedTuple):
    """The hub's answer to a batch it took; ``rows`` are the numbers and reasons of the rejected rows that it named."""

    accepted: int
    rejected: int
    duplicates: int
    rows: tuple[tuple[int, str], ...]


def judge(answer: Answer) -> Verdict:
    """The verdict on a status."""
    if answer.status == 202:
        return Verdict.TAKEN
    if answer.status == 413:
        return Verdict.SMALLER
    return Verdict.LATER if answer.status >= 500 or answer.status in _LATER else Verdict.REFUSED


def receipt_of(answer: Answer, count: int) -> Receipt:
    """The receipt of ``count`` events; an answer that cannot be read still took them."""
    try:
        told = json.loads(answer.body)
        rows = tuple((int(error["index"]), _reason(error)) for error in told.get("errors", ()))
        return Receipt(int(told["accepted"]), int(told["rejected"]), int(told["duplicates"]), rows)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Receipt(count, 0, 0, ())


def _reason(error: dict[str, Any]) -> str:
    return f"{error.get('field') or 'row'} {error.get('reason')}"


def retry_after(text: str, now: datetime | None = None) -> float:
    """Seconds of a ``Retry-After``: a number or an HTTP date; 0 for anything else.

    Examples
    --------
    >>> retry_after("1.5"), retry_after("soon"), retry_after("-1")
    (1.5, 0.0, 0.0)
    >>> retry_after("Fri, 20 Nov 2026 12:00:30 GMT", datetime(2026, 11, 20, 12, tzinfo=UTC))
    30.0
    """
    try:
        seconds = float(text)
    except ValueError:
        from email.utils import parsedate_to_datetime  # httpx has it by then; the host's start need not wait for it

        try:
            date = parsedate_to_datetime(text)
        except (ValueError, IndexError):
            return 0.0
        aware = date if date.tzinfo else date.replace(tzinfo=UTC)
        seconds = (aware - (now or datetime.now(UTC))).total_seconds()
    return min(max(seconds, 0.0), _LONGEST_WAIT) if seconds == seconds else 0.0


def backoff(attempt: int, first: float, most: float, chance: float) -> float:
    """Seconds before retry ``attempt`` (from 1): exponential, with full jitter; ``chance`` is random, in [0, 1).

    Examples
    --------
    >>> [backoff(attempt, 0.25, 30, 0.5) for attempt in (1, 2, 3, 99)]
    [0.125, 0.25, 0.5, 15.0]
    """
    return chance * min(most, first * 2.0 ** min(attempt - 1, 60))
