"""One call that was reported twice: by a wrapper's span, and by the provider's span below it.

An instrumentation of a framework and one of the provider's client both write a span of the same call. Counting both
doubles tokens, costs and requests. The outer one becomes a ``span`` of the kind ``llm``, which counts nothing, and is
marked with ``llm_hub.reconciled`` and the inner span's id; the inner one counts, because it is nearest to the wire and
sees every retry. Only where the inner one has no tokens, and the outer one does, the outer counts.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

#: Types whose tokens count.
COUNTED: Final = frozenset({"llm.request", "llm.embedding"})

#: How many spans may stand between the two.
_FARTHEST: Final = 8


@dataclass(frozen=True, slots=True)
class Call:
    """What is compared of a call: ``tokens`` are those in and out, None where they were not said."""

    span_id: bytes
    type: str
    models: frozenset[str]
    tokens: tuple[int | None, int | None]
    scope: str
    start: int
    end: int

    @property
    def counted(self) -> bool:
        """Whether it says how many tokens."""
        return self.tokens != (None, None)


@dataclass(frozen=True, slots=True)
class Repeat:
    """A row that is no call of its own: ``of`` is the span that counts."""

    row: int
    of: bytes


def repeats(counted: Sequence[bool], parents: Sequence[int], call_of: Callable[[int], Call]) -> Iterator[Repeat]:
    """The rows that report a call which another row reports as well.

    Parameters
    ----------
    counted
        Which rows are calls.
    parents
        The row of each row's parent, −1 where that is not there.
    call_of
        The call of a row; asked for only where there are two, one below the other.
    """
    pairs = [(row, nearest_above(row, counted, parents)) for row, one in enumerate(counted) if one]
    calls = {row: call_of(row) for pair in pairs if pair[1] >= 0 for row in pair}
    inner: dict[int, list[int]] = {}
    for row, above in pairs:
        if above >= 0 and same_call(calls[above], calls[row]):
            inner.setdefault(above, []).append(row)
    # The innermost first; what is a repeat itself is stood for by what counts instead of it.
    counting: dict[int, list[int]] = {}
    for outer in sorted(inner, key=lambda row: -_depth(row, parents)):
        within = [one for row in inner[outer] for one in counting.get(row, [row])]
        found = list(_repeats_of(outer, within, calls))
        for repeat in found:
            counting[repeat.row] = within if repeat.row == outer else []
        yield from found


def _repeats_of(outer: int, within: Sequence[int], calls: Mapping[int, Call]) -> Iterator[Repeat]:
    """Of an outer row and the rows within it: those that do not count."""
    telling = [row for row in within if calls[row].counted]
    if within and not telling and calls[outer].counted:
        yield from (Repeat(row, calls[outer].span_id) for row in within)
        return
    counts = telling or within
    if counts and _explains(calls[outer], [calls[row] for row in counts]):
        yield Repeat(outer, calls[counts[0]].span_id)


def reports_again(outer: Call, earlier: Sequence[Call]) -> bool:
    """Whether an outer span reports calls that came, and were counted, before it."""
    inner = [call for call in earlier if same_call(outer, call)]
    if not inner or (outer.counted and not any(call.counted for call in inner)):
        return False
    return _explains(outer, inner)


def same_call(outer: Call, inner: Call) -> bool:
    """Whether an inner span may be the call that an outer one is about: the same model, within its time."""
    if outer.type != inner.type or not _within(outer, inner):
        return False
    return not outer.models or not inner.models or any(_alike(a, b) for a in outer.models for b in inner.models)


def _within(outer: Call, inner: Call, slack: int = 5_000_000) -> bool:
    return outer.start - slack <= inner.start and inner.end <= outer.end + slack


def _alike(one: str, other: str) -> bool:
    """``gpt-4o``, ``openai/gpt-4o`` and ``gpt-4o-2024-08-06`` are one model."""
    one, other = one.lower().rsplit("/", 1)[-1], other.lower().rsplit("/", 1)[-1]
    short, long = sorted((one, other), key=len)
    rest = long.removeprefix(short)
    return rest != long and (not rest or (rest[0] in "-@:" and rest[1:2].isdigit()))


def _explains(outer: Call, inner: Sequence[Call]) -> bool:
    """Whether the inner calls are all that the outer one counts."""
    if not outer.counted or not any(call.counted for call in inner):
        return True
    if any(call.scope != outer.scope for call in inner):
        return True  # two instrumentations; that they count differently does not make two calls
    for place in (0, 1):
        mine = outer.tokens[place]
        theirs = [call.tokens[place] for call in inner]
        given = [tokens for tokens in theirs if tokens is not None]
        if mine is not None and given and mine not in (sum(given), *given):
            return False
    return True


def nearest_above(row: int, counted: Sequence[bool], parents: Sequence[int]) -> int:
    """The row of the nearest call above, −1 where there is none."""
    for _ in range(_FARTHEST):
        row = parents[row]
        if row < 0 or counted[row]:
            return row
    return -1


def _depth(row: int, parents: Sequence[int]) -> int:
    depth = 0
    while (row := parents[row]) >= 0 and depth < 1000:
        depth += 1
    return depth
