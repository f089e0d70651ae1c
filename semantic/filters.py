"""Conditions on events: one operator over one field."""

import math
import uuid
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core.errors import Unprocessable
from core.ids import event_id
from semantic import catalogue
from semantic.dimensions import ATTRIBUTE_PREFIX, Dimension
from semantic.parameters import Parameters
from semantic.times import EPOCH, micros, parse_moment, zone

Operator = Literal[
    "in", "not_in", "eq", "ne", "gt", "gte", "lt", "lte", "contains", "starts_with", "regex", "exists", "not_exists"
]
OPERATORS: Final[tuple[str, ...]] = get_args(Operator)

#: RE2 is linear in the text, but a huge pattern is still a huge automaton.
MAX_PATTERN: Final = 256
MAX_VALUES: Final = 1000
MAX_TEXT: Final = 4096

Value = str | bool | int | float | None
_COMPARISONS: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_NEGATIVE: Final = {"not_in": "in", "ne": "eq", "not_exists": "exists"}
_TEXT_ONLY: Final = ("contains", "starts_with", "regex")
_WITHOUT_VALUE: Final = ("exists", "not_exists")
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")


class Filter(BaseModel):
    """One condition; all conditions of a question must hold.

    An absent value is in none of the values: `ne` and `not_in` let it through, everything else does not; null among the
    values stands for it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: Annotated[str, Field(max_length=300)] = Field(description="Name of a dimension.", examples=["environment"])
    op: Operator = Field("in", description="`contains` ignores case; `regex` is RE2.")
    values: Annotated[tuple[Value, ...], Field(max_length=MAX_VALUES)] = Field(
        (),
        description="What to compare with: one for all operators but `in` and `not_in`, none for `exists`; a single one"
        " may be written `value`.",
    )

    @model_validator(mode="before")
    @classmethod
    def _single_value(cls, given: Any) -> Any:
        if isinstance(given, dict) and "value" in given and "values" not in given:
            return {**{name: item for name, item in given.items() if name != "value"}, "values": [given["value"]]}
        return given

    @model_validator(mode="after")
    def _number_of_values(self) -> Self:
        given = self.values
        if self.op in _WITHOUT_VALUE:
            if given:
                raise Unprocessable(f"filters: `{self.op}` takes no values.", field="filters", filter=self.field)
        elif not given:
            raise Unprocessable(f"filters: `{self.op}` needs values.", field="filters", filter=self.field)
        elif len(given) > 1 and self.op not in ("in", "not_in"):
            raise Unprocessable(f"filters: `{self.op}` takes one value.", field="filters", filter=self.field)
        return self


def field_sql(dimension: Dimension, parameters: Parameters) -> str:
    """SQL of a dimension over ``events``; binds the name of an attribute."""
    if dimension.sql:
        return dimension.sql
    return f"attributes[{parameters.add(dimension.name.removeprefix(ATTRIBUTE_PREFIX), 'String')}]"


def condition(item: Filter, parameters: Parameters, where: str) -> str:
    """SQL of a filter, values bound.

    Raises
    ------
    Unprocessable
        Unknown field, or a value or operator that its kind does not take.
    """
    dimension = catalogue.dimension(item.field, f"{where}.field")
    sql = field_sql(dimension, parameters)
    positive = _NEGATIVE.get(item.op, item.op)
    text = _positive(dimension, sql, positive, item.values, parameters, where)
    if positive == item.op:
        return text
    return f"NOT ifNull({text}, false)" if dimension.nullable else f"NOT ({text})"


def _positive(
    dimension: Dimension, sql: str, op: str, values: tuple[Value, ...], parameters: Parameters, where: str
) -> str:
    if op == "exists":
        return _present(dimension, sql, parameters)
    if op in _TEXT_ONLY:
        return _text_match(dimension, sql, op, values[0], parameters, where)
    if None in values and op not in ("eq", "in"):
        raise Unprocessable(f"{where}.values: null cannot be compared by `{op}`.", field=f"{where}.values")
    known = [_convert(dimension, value, where) for value in values if value is not None]
    if op in _COMPARISONS:
        if dimension.kind in ("trace", "span", "uuid", "flag"):
            raise Unprocessable(f"{where}.op: `{dimension.name}` has no order.", field=f"{where}.op")
        return f"{sql} {_COMPARISONS[op]} {_bound(dimension, known[0], parameters)}"
    parts = [f"NOT ({_present(dimension, sql, parameters)})"] if None in values else []
    if len(known) == 1:
        parts.append(f"{_comparable(dimension, sql)} = {_bound(dimension, known[0], parameters)}")
    elif known:
        parts.append(_any_of(dimension, sql, known, parameters))
    return parts[0] if len(parts) == 1 else f"({' OR '.join(parts)})"


def _present(dimension: Dimension, sql: str, parameters: Parameters) -> str:
    if dimension.name.startswith(ATTRIBUTE_PREFIX):
        name = parameters.add(dimension.name.removeprefix(ATTRIBUTE_PREFIX), "String")
        return f"mapContains(attributes, {name})"
    if dimension.nullable:
        return f"{sql} IS NOT NULL"
    empty = {"trace": "toFixedString('', 16)", "span": "toFixedString('', 8)"}
    return "1" if dimension.kind in ("uuid", "time") else f"{sql} != {empty.get(dimension.kind, chr(39) * 2)}"


def _text_match(dimension: Dimension, sql: str, op: str, value: Value, parameters: Parameters, where: str) -> str:
    if dimension.kind != "text":
        raise Unprocessable(f"{where}.op: `{op}` is for text; `{dimension.name}` is none.", field=f"{where}.op")
    text = _as_text(value, where)
    if op == "regex":
        if len(text) > MAX_PATTERN:
            raise Unprocessable(
                f"{where}.values: a pattern has at most {MAX_PATTERN} characters.", field=f"{where}.values"
            )
        return f"match({sql}, {parameters.add(text, 'String')})"
    bound = parameters.add(text, "String")
    return f"startsWith({sql}, {bound})" if op == "starts_with" else f"positionCaseInsensitiveUTF8({sql}, {bound}) > 0"


def _comparable(dimension: Dimension, sql: str) -> str:
    return f"toFloat64({sql})" if dimension.kind == "integer" else sql


def _any_of(dimension: Dimension, sql: str, values: list[Any], parameters: Parameters) -> str:
    if dimension.kind in ("integer", "number", "flag"):
        name, type_ = ("toFloat64", "Float64") if dimension.kind != "flag" else ("toUInt8", "UInt8")
        return f"has({parameters.add(values, f'Array({type_})')}, {name}({sql}))"
    if dimension.kind == "time":
        return f"has({parameters.add(values, 'Array(Int64)')}, toUnixTimestamp64Micro({sql}))"
    if dimension.kind == "text":
        return f"{sql} IN {parameters.add(values, 'Array(String)')}"
    column = {"trace": "lower(hex({}))", "span": "lower(hex({}))", "uuid": "toString({})"}[dimension.kind]
    return f"has({parameters.add(values, 'Array(String)')}, {column.format(sql)})"


def _bound(dimension: Dimension, value: Any, parameters: Parameters) -> str:
    """The placeholder of one converted value, in a form that the primary key and the skip indexes can use."""
    kinds: dict[str, tuple[str, str]] = {
        "text": ("String", "{}"),
        "integer": ("Float64", "{}"),
        "number": ("Float64", "{}"),
        "flag": ("UInt8", "{}"),
        "trace": ("String", "toFixedString(unhex({}), 16)"),
        "span": ("String", "toFixedString(unhex({}), 8)"),
        "uuid": ("UUID", "{}"),
        "time": ("Int64", "fromUnixTimestamp64Micro({}, 'UTC')"),
    }
    type_, form = kinds[dimension.kind]
    return form.format(parameters.add(value, type_))


def _convert(dimension: Dimension, value: Value, where: str) -> Any:
    """The value in the form that is bound for the dimension's kind."""
    convert: dict[str, Callable[[Value, str], Any]] = {
        "text": _as_text,
        "integer": _as_number,
        "number": _as_number,
        "flag": _as_flag,
        "trace": lambda value, where: _as_hex(value, 32, where),
        "span": lambda value, where: _as_hex(value, 16, where),
        "uuid": lambda value, where: str(_as_uuid(value, where)),
        "time": _as_time,
    }
    return convert[dimension.kind](value, where)


def _wrong(where: str, what: str) -> Unprocessable:
    return Unprocessable(f"{where}.values: must be {what}.", field=f"{where}.values")


def _as_text(value: Value, where: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = "" if value is None else str(value)
    if len(text) > MAX_TEXT:
        raise _wrong(where, f"at most {MAX_TEXT} characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _wrong(where, "valid Unicode") from None
    return text


def _as_number(value: Value, where: str) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise _wrong(where, "a number") from None
    if not math.isfinite(number):
        raise _wrong(where, "a finite number")
    return number


def _as_flag(value: Value, where: str) -> int:
    text = str(value).lower()
    if text not in (*_TRUE, *_FALSE):
        raise _wrong(where, "true or false")
    return int(text in _TRUE)


def _as_hex(value: Value, digits: int, where: str) -> str:
    text = str(value).lower().replace("-", "")
    if len(text) != digits or set(text) - set("0123456789abcdef"):
        raise _wrong(where, f"{digits} hex digits")
    return text


def _as_uuid(value: Value, where: str) -> uuid.UUID:
    return event_id(_as_text(value, where))


def _as_time(value: Value, where: str) -> int:
    if isinstance(value, bool) or value is None or (isinstance(value, str) and value.lstrip().startswith("now")):
        raise _wrong(where, "ISO 8601 with an offset or epoch milliseconds")
    return micros(parse_moment(value, EPOCH, zone("UTC"), f"{where}.values"))
