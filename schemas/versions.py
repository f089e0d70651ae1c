"""Versions of event types side by side: which are read as they are, which are brought up to date first, which not.

A type's model is its newest version. A minor version adds optional fields, so events of another minor version of the
same major one are read as they are, whatever they add. What an older version says otherwise is brought up to date at
the door by a *step*: a pure function over columns of ``data``, from one version to the next. Events of an unknown major
version are refused.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.catalogue import EVENT_TYPES
from schemas.custom import parse_version
from schemas.envelope import VERSION

#: Fields of ``data`` by name, each a value for every row, None where a row has none.
Columns = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Step:
    """How events of a version become events of a later one.

    Parameters
    ----------
    event_type, version, to
        Of which type, from which version to which.
    upcast
        Gets the columns of all rows of a body that are of this version, and gives those of the later one. Must not
        change what it is given, nor depend on anything else.
    names
        Field of the later version → field of this one that it was taken from: errors name what the sender wrote.
    """

    event_type: str
    version: str
    to: str
    upcast: Callable[[Columns], Columns]
    names: Mapping[str, str] = field(default_factory=dict)


def renamed(**names: str) -> Callable[[Columns], Columns]:
    """An ``upcast`` that gives fields other names: ``renamed(old="new")``; a new name that is given already wins.

    Examples
    --------
    >>> renamed(took="duration_ms")({"took": [3.5, 1.0], "duration_ms": [None, 2.0], "x": [1, 1]})
    {'duration_ms': [3.5, 2.0], 'x': [1, 1]}
    """

    def upcast(columns: Columns) -> Columns:
        found = {name: list(values) for name, values in columns.items() if name not in names}
        for old, new in names.items():
            if old in columns:
                given = found.get(new, [None] * len(columns[old]))
                found[new] = [a if b is None else b for a, b in zip(columns[old], given, strict=True)]
        return found

    return upcast


#: Every step of every type. There is none yet: all published versions are of one major version, without renamed fields.
STEPS: Final[list[Step]] = []


def steps(event_type: str, version: str | None) -> Sequence[Step] | None:
    """What brings an event of a version up to date: nothing where it is read as it is; None where it cannot be read."""
    now, at = VERSION if version is None else version, []
    while (step := _step(event_type, now)) is not None:
        at.append(step)
        now = step.to
    known, given = parse_version(EVENT_TYPES[event_type].VERSION), parse_version(now)
    return at if known is not None and given is not None and known[0] == given[0] else None


def as_is(event_type: str, version: str | None) -> bool:
    """Whether events of a version are read as they are."""
    return (version == EVENT_TYPES[event_type].VERSION and not STEPS) or steps(event_type, version) == []


def readable(event_type: str) -> str:
    """The versions that are read, for whoever sent another one: ``1.x, 2.x``."""
    older = [step.version for step in STEPS if step.event_type == event_type]
    majors = {parse_version(version) for version in (EVENT_TYPES[event_type].VERSION, *older)}
    return ", ".join(f"{major}.x" for major in sorted({version[0] for version in majors if version}))


def _step(event_type: str, version: str) -> Step | None:
    return next((one for one in STEPS if (one.event_type, one.version) == (event_type, version)), None)
