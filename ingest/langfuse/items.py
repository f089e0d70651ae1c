"""The items of an ingestion batch, joined by the trace or observation that they are about."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ingest.decode.explain import RowInvalid

Kind = Literal["trace", "span", "generation", "event", "score", "log"]

_SCORES: Final = ("score", "log")

#: Type of an item → what it is about.
TYPES: Final[Mapping[str, Kind | None]] = {
    "trace-create": "trace",
    "span-create": "span",
    "span-update": "span",
    "generation-create": "generation",
    "generation-update": "generation",
    "event-create": "event",
    "observation-create": None,
    "observation-update": None,
    "score-create": "score",
    "sdk-log": "log",
}
#: Fields that say that an observation has ended.
_ENDS: Final = ("endTime", "output", "usage", "usageDetails")


@dataclass(slots=True)
class Subject:
    """A trace, an observation, a score: everything that has been said of it.

    Parameters
    ----------
    kind
        What it is.
    id
        Langfuse's id of it.
    body
        Its fields; what was said later wins.
    said
        When the last item about it was made, as the client wrote it.
    items
        Ids of the items of this batch.
    written
        Whether its event has been written already, in an earlier batch.
    """

    kind: Kind
    id: str
    body: dict[str, Any]
    said: str | None = None
    items: list[str] = field(default_factory=list)
    written: bool = False

    @property
    def name(self) -> str:
        """What it is held under: traces and observations may share an id."""
        return f"trace:{self.id}" if self.kind == "trace" else self.id

    @property
    def held(self) -> bool:
        """Whether more may be said of it later: scores, logs and events are said once."""
        return self.kind in ("trace", "span", "generation")

    @property
    def ended(self) -> bool:
        """Whether it can be written: a trace at once, an observation when something tells its end."""
        if self.kind in ("span", "generation"):
            return any(self.body.get(name) is not None for name in _ENDS) or self.body.get("level") == "ERROR"
        return True

    def merge(self, earlier: "Subject") -> None:
        """Take over what was said in an earlier batch."""
        self.body = merged(earlier.body, self.body)
        self.written = earlier.written
        if self.kind != "trace":
            self.kind = earlier.kind if self.kind == "span" else self.kind


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of both, those of the second where both have one; metadata is merged too."""
    both = {**first, **{name: value for name, value in second.items() if value is not None}}
    one, two = first.get("metadata"), second.get("metadata")
    if isinstance(one, dict) and isinstance(two, dict):
        both["metadata"] = {**one, **two}
    return both


def read_item(item: Any) -> Subject:
    """One item as a subject of its own.

    Raises
    ------
    RowInvalid
        It is no item that the hub knows; names the field.
    """
    if not isinstance(item, dict):
        raise RowInvalid("", "must be an object with id, type, timestamp and body", "json")
    item_id, body, type_ = item.get("id"), item.get("body"), item.get("type")
    if not isinstance(item_id, str) or not item_id:
        raise RowInvalid("id", "is required")
    if not isinstance(type_, str) or type_ not in TYPES:
        raise RowInvalid("type", f"must be one of {', '.join(TYPES)}", "type")
    if not isinstance(body, dict):
        raise RowInvalid("body", "must be an object")
    kind = TYPES[type_] or _kind(body)
    subject = body.get("id")
    if subject is None and kind in ("score", "event", "log", "trace"):
        subject = item_id
    if not isinstance(subject, str) or not subject or len(subject) > 1024:
        raise RowInvalid("body.id", "is required" if subject is None else "must be text of at most 1024 characters")
    said = item.get("timestamp")
    return Subject(kind, subject, body, said if isinstance(said, str) else None, [item_id])


def _kind(body: Mapping[str, Any]) -> Kind:
    match body.get("type"):
        case "GENERATION":
            return "generation"
        case "EVENT":
            return "event"
    return "span"


def join(subjects: Iterable[Subject]) -> list[Subject]:
    """The subjects of a batch, each once, in the order in which they came up first."""
    found: dict[tuple[str, str], Subject] = {}
    for subject in subjects:
        key = (subject.name, subject.kind if subject.kind in _SCORES else "")
        known = found.setdefault(key, subject)
        if known is not subject:
            known.body = merged(known.body, subject.body)
            known.said = subject.said or known.said
            known.items += subject.items
            known.kind = subject.kind if known.kind == "span" else known.kind
    return list(found.values())
