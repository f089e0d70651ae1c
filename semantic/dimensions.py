"""The fields that can be grouped and filtered by: names of the envelope, of ``data``, and ``attributes.NAME``."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Final, Literal

from schemas.columns import EVENT_COLUMNS, FIELDS, LABELS, Column

Kind = Literal["text", "integer", "number", "flag", "trace", "span", "uuid", "time"]

ATTRIBUTE_PREFIX: Final = "attributes."

#: Columns that are no field of a question: the tenant is the asker's own, the others are machinery.
HIDDEN: Final = frozenset({"tenant", "attributes", "data", "expires_at"})


@dataclass(frozen=True, slots=True)
class Dimension:
    """A field of events that a question may name.

    Parameters
    ----------
    name
        Its public name.
    kind
        Type of its values; decides which filter operators it takes.
    column
        Column of ``events`` it is read from; empty where there is none of its own (attributes, fields in ``data``).
    sql
        Expression over ``events``; an attribute's is made when its name is known.
    groupable
        Whether rows can be grouped by it.
    types
        Event types that have it, where it is a name of theirs alone; a question by it is about those types.
    description, unit
        For people.
    """

    name: str
    kind: Kind
    column: str
    sql: str
    groupable: bool
    description: str
    types: tuple[str, ...] = ()
    unit: str = ""

    @property
    def nullable(self) -> bool:
        """Whether SQL NULL stands for an absent value; text and ids have an empty value instead."""
        return self.kind in ("integer", "number", "flag")


_ARROW_KINDS: Final[dict[str, Kind]] = {
    "string": "text",
    "json": "text",
    "int64": "integer",
    "float64": "number",
    "bool": "flag",
    "id16": "trace",
    "id8": "span",
    "time": "time",
}
_JSON_TYPES: Final[dict[Kind, str]] = {
    "integer": "Nullable(Int64)",
    "number": "Nullable(Float64)",
    "flag": "Nullable(Bool)",
}


def _of_column(column: Column) -> Dimension:
    kind = "uuid" if column.name == "id" else _ARROW_KINDS[column.arrow]
    sql = f"toFloat64({column.name})" if "Decimal" in column.clickhouse else column.name
    groupable = kind not in ("number", "time") and column.unit != "tokens"
    return Dimension(column.name, kind, column.name, sql, groupable, column.description, unit=column.unit)


def _labels() -> list[Dimension]:
    """``tool_name``, ``policy``, … : the column ``name`` of the types that call it so."""
    types = defaultdict(list)
    for event_type, field in LABELS.items():
        types[field].append(event_type)
    return [
        Dimension(field, "text", "name", "name", True, FIELDS[field].description, tuple(of))
        for field, of in types.items()
        if field != "name"
    ]


def _in_data(name: str) -> Dimension:
    """A field without a column: read from the JSON in ``data``, which is slower."""
    field = FIELDS[name]
    kind = _ARROW_KINDS[field.stored.arrow]
    if kind in _JSON_TYPES:
        sql = f"JSONExtract(data, '{name}', '{_JSON_TYPES[kind]}')"
    else:
        sql = f"{'JSONExtractRaw' if field.stored.arrow == 'json' else 'JSONExtractString'}(data, '{name}')"
    groupable = field.stored.arrow in ("string", "bool", "int64")
    return Dimension(name, kind, "", sql, groupable, field.description, unit=field.stored.unit)


#: Every dimension but attributes, in the order of the documentation.
DIMENSIONS: Final[tuple[Dimension, ...]] = (
    *(_of_column(column) for column in EVENT_COLUMNS if column.name not in HIDDEN),
    *_labels(),
    *(_in_data(name) for name, field in FIELDS.items() if field.stored.place == "rest"),
)

#: Contents: kept apart from the events, shown in traces and events, never grouped or filtered by.
CONTENTS: Final = frozenset(name for name, field in FIELDS.items() if field.stored.place == "body")


def attribute(name: str) -> Dimension:
    """The dimension ``attributes.NAME``; its SQL is a placeholder for the compiler, which binds the name."""
    return Dimension(ATTRIBUTE_PREFIX + name, "text", "", "", True, f"Attribute `{name}`.")
