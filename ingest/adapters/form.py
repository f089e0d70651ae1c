"""Forms: how a module's own row becomes an event, as data.

A form names, for each field of the row, the field of the event it becomes. What a form does not name is kept as
``data.more_attributes``, beside the contents: nobody knows what a foreign field holds.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Protocol

from ingest.decode.explain import RowInvalid, nearest
from ingest.decode.translated import Translated


class Reader(Protocol):
    """Turns rows of a module into events."""

    def read(self, row: dict[str, Any]) -> Iterator[Translated]:
        """The events of one row, in the hub's form; their fields are checked later, like everybody's.

        Pure: no clock, no input or output, called in a thread. Raises only :class:`RowInvalid`, naming the row's own
        field.
        """
        ...


@dataclass(frozen=True, slots=True)
class Convert:
    """A value of a row ↔ a value of an event; ``read`` raises ``ValueError`` with what would be right.

    ``text`` says it to people, in docs/adapters.md.
    """

    read: Callable[[Any], Any]
    write: Callable[[Any], Any]
    text: str


def _scaled(factor: float, text: str) -> Convert:
    def read(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError("must be a number")  # noqa: TRY004 - told to the sender
        return value * factor

    return Convert(read, lambda value: value / factor, text)


SECONDS: Final = _scaled(1000.0, "seconds")
"""Seconds in the row, milliseconds in the event."""

PERCENT: Final = _scaled(0.01, "percent")
"""0–100 in the row, 0–1 in the event."""


def words(**pairs: str) -> Convert:
    """Each word of the module's and the hub's word for it; another word is refused with the known ones.

    Examples
    --------
    >>> words(allow="pass", deny="block").read("deny")
    'block'
    """
    back = {ours: theirs for theirs, ours in reversed(pairs.items())}

    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in pairs:
            raise ValueError(f"must be one of {', '.join(pairs)}")
        return pairs[value]

    text = ", ".join(f"{theirs} → {ours}" if theirs != ours else ours for theirs, ours in pairs.items())
    return Convert(read, lambda value: back.get(value, value), text)


Target = str | tuple[str, Convert]

#: What the modules' rows have in common: who, where, when, and the names every event may carry.
COMMON: Final[Mapping[str, Target]] = {
    "id": "id",
    "timestamp": "time",
    "project": "project",
    "environment": "environment",
    "trace_id": "trace_id",
    "span_id": "span_id",
    "parent_span_id": "parent_span_id",
    "session_id": "session_id",
    "user_id": "user_id",
    "labels": "attributes",
    **{
        name: f"data.{name}"
        for name in ("feature", "prompt_id", "prompt_version", "technique", "intent", "experiment_id", "variant")
    },
}


@dataclass(frozen=True)
class Form:
    """Rows that become events of one type.

    Parameters
    ----------
    type, source
        Of the event.
    fields
        Path in the row (``usage.prompt``) → field of the event (``data.input_tokens``), perhaps with a conversion.
        :data:`COMMON` is added.
    constants
        Fields of the event that are the same for every row.
    """

    type: str
    source: str
    fields: Mapping[str, Target]
    constants: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def _takes(self) -> list[tuple[tuple[str, ...], tuple[str, ...], Convert | None]]:
        takes = []
        for path, target in {**COMMON, **self.fields}.items():
            to, convert = (target, None) if isinstance(target, str) else target
            takes.append((tuple(path.split(".")), tuple(to.split(".")), convert))
        return takes

    @cached_property
    def _names(self) -> dict[str, str]:
        return {".".join(to): ".".join(path) for path, to, _ in self._takes}

    @cached_property
    def _known(self) -> dict[str, Any]:
        """The paths as a tree."""
        tree: dict[str, Any] = {}
        for path, _, _ in self._takes:
            put(tree, path, None)
        return tree

    def read(self, row: dict[str, Any]) -> Iterator[Translated]:
        """See :class:`Reader`."""
        event: dict[str, Any] = {"type": self.type, "source": self.source, "data": dict(self.constants)}
        for path, to, convert in self._takes:
            value = get(row, path)
            if value is None:
                continue
            if convert is not None:
                try:
                    value = convert.read(value)
                except ValueError as error:
                    raise RowInvalid(".".join(path), str(error)) from None
            put(event, to, value)
        if more := _without(row, self._known):
            event["data"]["more_attributes"] = more
        yield Translated(event, self._names)

    def write(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The row that becomes this event: the inverse of :meth:`read`, for the simulator and the tests."""
        row: dict[str, Any] = {}
        for path, to, convert in self._takes:
            value = get(event, to)
            if value is not None:
                put(row, path, value if convert is None else convert.write(value))
        for name, value in event["data"].items():
            if f"data.{name}" not in self._names and name not in self.constants:
                row.setdefault(name, value)
        return row

    def fits(self, event: Mapping[str, Any]) -> bool:
        """Whether :meth:`write` can make this event's row."""
        data = event["data"]
        return bool(event["type"] == self.type) and all(
            data.get(name) == value for name, value in self.constants.items()
        )


@dataclass(frozen=True)
class Choice:
    """Rows of several forms, told apart by the word in one field."""

    field: str
    forms: Mapping[str, Form]

    def read(self, row: dict[str, Any]) -> Iterator[Translated]:
        """See :class:`Reader`."""
        word = row.get(self.field)
        form = self.forms.get(word) if isinstance(word, str) else None
        if form is None:
            near = nearest(word, self.forms) if isinstance(word, str) else None
            hint = f"; did you mean {near!r}?" if near else ""
            raise RowInvalid(self.field, f"must be one of {', '.join(self.forms)}{hint}", "type")
        return form.read({name: value for name, value in row.items() if name != self.field})

    def write(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """See :meth:`Form.write`."""
        word, form = next((word, form) for word, form in self.forms.items() if form.fits(event))
        return {self.field: word, **form.write(event)}

    def fits(self, event: Mapping[str, Any]) -> bool:
        """See :meth:`Form.fits`."""
        return any(form.fits(event) for form in self.forms.values())


@dataclass(frozen=True)
class Adapter:
    """A module whose own rows the hub takes.

    Parameters
    ----------
    module
        Its name in the path of the door.
    versions
        Each version of its rows, the newest last.
    timed
        Whether its rows have to say when they happened; else the time of receipt does.
    """

    module: str
    versions: Mapping[str, Reader]
    timed: bool = True

    @property
    def newest(self) -> str:
        """The version that is taken for granted."""
        return list(self.versions)[-1]


def get(value: Any, path: tuple[str, ...]) -> Any:
    """The value at a path; None where there is none."""
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def put(value: dict[str, Any], path: tuple[str, ...], item: Any) -> None:
    """Set the value at a path."""
    for name in path[:-1]:
        value = value.setdefault(name, {})
    value[path[-1]] = item


def _without(row: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """What of a row no form names."""
    rest = {}
    for name, value in row.items():
        if name not in known:
            rest[name] = value
        elif known[name] is not None:
            inner = _without(value, known[name]) if isinstance(value, Mapping) else value
            if inner not in ({}, None):
                rest[name] = inner
    return {name: value for name, value in rest.items() if value is not None}
