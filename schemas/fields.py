"""The kinds of fields an event may have, and where each is kept.

A model's field is one of these aliases: its validation, its column in the log and in the warehouse and its place in the
documentation all follow from it (see :mod:`schemas.columns`). One field name has one kind in every event type.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictBool, StrictFloat, StrictInt, StrictStr

#: Longest dimension value, in characters: what is longer is content, not a name.
NAME_LENGTH = 256

Place = Literal["column", "label", "body", "rest"]
"""``column``: a column of its own; ``label``: the column ``name``; ``body``: content, in ``payloads`` only;
``rest``: in the JSON object ``data``."""


@dataclass(frozen=True, slots=True)
class Stored:
    """How a field is kept.

    Parameters
    ----------
    place
        See :data:`Place`.
    arrow
        Name of the Arrow type in the log (``string``, ``int64``, ``float64``, ``bool``, ``json`` for JSON text).
    clickhouse
        Type of the warehouse column; empty for what has no column.
    unit
        ``ms``, ``USD``, ``tokens``, ``ratio`` … or empty.
    """

    place: Place
    arrow: str
    clickhouse: str = ""
    unit: str = ""


def _text(value: Any) -> Any:
    """Whole numbers are taken as names (``"user_id": 42``); nothing else is turned into text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _whole(value: Any) -> Any:
    """``812.0`` is a whole number too: some clients know no other kind."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_Str = Annotated[StrictStr, BeforeValidator(_text)]
_Int = Annotated[StrictInt, BeforeValidator(_whole)]
_INT64 = 2**63 - 1
_DIMENSION = "LowCardinality(String)"

# Names and categories: dimensions of the semantic layer.
Dimension = Annotated[_Str, Field(max_length=NAME_LENGTH), Stored("column", "string", _DIMENSION)]
Label = Annotated[_Str, Field(min_length=1, max_length=NAME_LENGTH), Stored("label", "string")]

# Measures.
Tokens = Annotated[_Int, Field(ge=0, le=2**31), Stored("column", "int64", "Nullable(UInt32)", "tokens")]
Milliseconds = Annotated[
    StrictFloat,
    Field(ge=0, le=1e12, allow_inf_nan=False),
    Stored("column", "float64", "Nullable(Float32)", "ms"),
]
Money = Annotated[
    StrictFloat,
    Field(ge=0, le=1e7, allow_inf_nan=False),
    Stored("column", "float64", "Nullable(Decimal(18, 10))", "USD"),
]
Number = Annotated[StrictFloat, Field(allow_inf_nan=False), Stored("column", "float64", "Nullable(Float64)", "")]
Ratio = Annotated[
    StrictFloat,
    Field(ge=0, le=1, allow_inf_nan=False),
    Stored("column", "float64", "Nullable(Float32)", "ratio"),
]
Small = Annotated[_Int, Field(ge=0, le=65535), Stored("column", "int64", "Nullable(UInt16)")]
Flag = Annotated[StrictBool, Stored("column", "bool", "Nullable(Bool)")]

# Contents: prompts, completions, arguments, comments. Redacted, captured or not, kept apart.
Content = Annotated[Any, Stored("body", "json")]

# Known, validated, kept in `data`, without a column.
Detail = Annotated[_Str, Field(max_length=65536), Stored("rest", "string")]
Count = Annotated[_Int, Field(ge=0, le=_INT64), Stored("rest", "int64")]
Whole = Annotated[_Int, Field(ge=-_INT64, le=_INT64), Stored("rest", "int64")]
Real = Annotated[StrictFloat, Field(allow_inf_nan=False), Stored("rest", "float64")]
Switch = Annotated[StrictBool, Stored("rest", "bool")]
Strings = Annotated[list[_Str], Field(max_length=10000), Stored("rest", "json")]
Reals = Annotated[list[StrictFloat], Field(max_length=10000), Stored("rest", "json")]
Objects = Annotated[list[dict[str, Any]], Field(max_length=10000), Stored("rest", "json")]
Properties = Annotated[dict[str, Any], Stored("rest", "json")]
Anything = Annotated[Any, Stored("rest", "json")]

# Categories that are closed.
Status = Annotated[Literal["ok", "error"], Stored("column", "string", _DIMENSION)]


def choice(place: Place = "column") -> Stored:
    """Storage of a ``Literal[...]`` field: ``Annotated[Literal["a", "b"], choice()]``."""
    return Stored(place, "string", _DIMENSION if place == "column" else "")
