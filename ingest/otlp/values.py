"""Values of attributes, from protobuf and from OTLP's JSON, as plain Python values and as text."""

import math
from base64 import b64encode
from typing import Any, Final

import orjson

Value = Any
"""``str``, ``int``, ``float``, ``bool``, a list or a dictionary of these, or None."""

#: What is nested deeper is kept as a remark: nobody asks for it, and the JSON library refuses it.
_DEEPEST: Final = 32
_TOO_DEEP: Final = "(nested too deeply)"


def text_of(raw: bytes) -> str:
    """Text as OTLP sends it; what is no UTF-8 is repaired."""
    return raw.decode("utf-8", "replace")


def value_of(message: Any, depth: int = 0) -> Value:
    """The value of an ``AnyValue`` of :mod:`ingest.otlp.wire`."""
    if message.HasField("text"):
        return text_of(message.text)
    if message.HasField("whole"):
        return message.whole
    if message.HasField("real"):
        return message.real
    if message.HasField("flag"):
        return message.flag
    if message.HasField("raw"):
        return b64encode(message.raw).decode()
    if depth >= _DEEPEST:
        return _TOO_DEEP
    if message.HasField("array"):
        return [value_of(item, depth + 1) for item in message.array.values]
    if message.HasField("map"):
        return {text_of(item.key): value_of(item.value, depth + 1) for item in message.map.values}
    return None


def value_of_json(value: Any, depth: int = 0) -> Value:
    """The value of an ``AnyValue`` in JSON, where whole numbers are mostly texts."""
    if not isinstance(value, dict):
        return None
    for kind, content in value.items():
        match kind:
            case "stringValue" | "bytesValue":
                return content if isinstance(content, str) else as_text(content)
            case "intValue":
                return whole_of_json(content)
            case "doubleValue":
                return _real_of_json(content)
            case "boolValue":
                return content if isinstance(content, bool) else as_text(content)
            case "arrayValue" | "kvlistValue" if depth >= _DEEPEST:
                return _TOO_DEEP
            case "arrayValue":
                return [value_of_json(item, depth + 1) for item in members(content, "values")]
            case "kvlistValue":
                return {
                    str(item.get("key", "")): value_of_json(item.get("value"), depth + 1)
                    for item in members(content, "values")
                    if isinstance(item, dict)
                }
    return None


def members(value: Any, name: str) -> list[Any]:
    """The array ``name`` of an object of JSON; empty where there is none."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def whole_of_json(value: Any) -> Value:
    """A whole number of JSON, which may be a text; what is none stays as it is, as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    if isinstance(value, str) and len(value) <= 20 and value.lstrip("-").isdecimal() and value.isascii():
        number = int(value) if value.count("-") <= 1 else 0
        return number if abs(number) < 2**64 else value
    return as_text(value)


def _real_of_json(value: Any) -> Value:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    try:
        return float(value)  # "NaN", "Infinity", "0.5"
    except (TypeError, ValueError):
        return as_text(value)


def as_text(value: Value) -> str:
    """A value as an attribute keeps it: text as it is, everything else as JSON.

    Examples
    --------
    >>> as_text("eu"), as_text(443), as_text(True), as_text(["a", 1])
    ('eu', '443', 'true', '["a",1]')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return as_json(value).decode()


def as_json(value: Value) -> bytes:
    """JSON of a value; whatever it is, this does not fail."""
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    except (orjson.JSONEncodeError, ValueError):  # half a surrogate pair, a number of more than 64 bits
        return orjson.dumps(repr(value))


def as_content(value: Value) -> bytes:
    """JSON of a content: text that is JSON of an object or an array already is not packed a second time."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            orjson.loads(value)
            return value.encode()
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            pass
    return as_json(value)
