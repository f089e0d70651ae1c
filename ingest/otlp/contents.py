"""Contents of calls: prompts, answers, arguments, documents; one JSON object a row."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson
import pyarrow as pa

from ingest.otlp import meanings
from ingest.otlp.dialects.dialect import MORE
from ingest.otlp.records import Event
from ingest.otlp.values import Value, as_content, as_json

#: Names of flattened lists with more parts than this are no list.
_MOST_PARTS: Final = 16


class Contents:
    """What the rows of a body hold as contents."""

    def __init__(self) -> None:
        self._fields: dict[int, dict[str, bytes]] = {}
        self._more: dict[int, dict[str, Value]] = {}
        self._nested: dict[int, dict[str, dict[str, Any]]] = {}
        self.documents: dict[int, list[Any]] = {}
        self._system: dict[int, bytes] = {}

    # --- from attributes

    def put(self, row: int, field: str, value: Value, name: str) -> bool:
        """Keep a value as a field's content; False where the field has another one already."""
        if field == MORE:
            self.more(row, name, value)
            return True
        if field == "documents":
            return self._put_documents(row, as_list(value))
        if field == "system_instructions":
            self._system[row] = as_content(value)
            return True
        fields = self._fields.setdefault(row, {})
        if field in fields:
            return False
        fields[field] = as_content(value)
        return True

    def keep(self, row: int, field: str, value: Value) -> None:
        """Keep a value as it is: text that looks like JSON stays text."""
        self._fields.setdefault(row, {})[field] = as_json(value)

    def more(self, row: int, name: str, value: Value) -> None:
        """Keep a value under its attribute's name."""
        self._more.setdefault(row, {})[name] = value

    def flattened(self, field: str, rest: str, items: Iterable[tuple[int, Value]]) -> bool:
        """Take a part of a flattened list; False where its name is none."""
        parts = tuple(part for part in rest.split(".") if part not in meanings.WRAPPERS) or ("",)
        if not parts[0].isdecimal() or len(parts) > _MOST_PARTS:
            return False
        for row, value in items:
            node = self._nested.setdefault(row, {}).setdefault(field, {})
            for part in parts[:-1]:
                below = node.setdefault(part, {})
                node = below if isinstance(below, dict) else node.setdefault(part + ".", {})
            node[parts[-1]] = value
        return True

    def unflatten(self) -> None:
        """Make lists of what was taken."""
        for row, fields in self._nested.items():
            for field, nested in fields.items():
                items = _listed(nested)
                if field == "documents":
                    self._put_documents(row, items)
                elif field == "embeddings":
                    texts = [item["text"] for item in items if isinstance(item, dict) and "text" in item]
                    self.put(row, "input_messages", texts, field)
                elif field == "tools":
                    self.put(row, field, [_tool(item) for item in items], field)
                else:
                    self.put(row, field, items, field)
        self._nested.clear()

    def _put_documents(self, row: int, documents: list[Any]) -> bool:
        if row in self.documents:
            return False
        self.documents[row] = documents
        if any(isinstance(document, dict) and set(document) - {"id", "score"} for document in documents):
            self.put(row, "result", documents, "documents")
        return True

    # --- from events of spans

    def of_events(self, row: int, events: Iterable[Event]) -> list[Event]:
        """Take the messages out of a span's events; the other events."""
        others: list[Event] = []
        found: dict[str, list[Any]] = {}
        for event in events:
            known = meanings.EVENTS.get(event.name)
            if known is None:
                others.append(event)
                continue
            field, role = known
            if field:
                found.setdefault(field, []).append(_message(event.attributes, role))
            else:
                self._details(row, event.attributes)
        for field, messages in found.items():
            self.put(row, field, messages if len(messages) > 1 else as_list(messages[0]), field)
        return others

    def _details(self, row: int, attributes: Mapping[str, Value]) -> None:
        for name, value in attributes.items():
            known = meanings.FIELDS.get(name)
            if known is not None and known[1].name in (
                "input_messages",
                "output_messages",
                "system_instructions",
                "tools",
            ):
                self.put(row, known[1].name, value, name)

    # --- columns

    def has(self, row: int, field: str) -> bool:
        """Whether a row has a content of a field."""
        return field in self._fields.get(row, {})

    def rows(self) -> set[int]:
        """Rows that have any content."""
        return {*self._fields, *self._more, *self._system}

    def texts(self, rows: int) -> pa.Array | None:
        """One JSON object a row, names in order; None where there is nothing at all."""
        held = self.rows()
        if not held:
            return None
        return pa.array([self._text(row) if row in held else None for row in range(rows)], pa.string())

    def _text(self, row: int) -> str:
        return self.text_of(row).decode()

    def text_of(self, row: int) -> bytes:
        """The contents of a row as a JSON object."""
        fields = dict(self._fields.get(row, {}))
        if row in self._system:
            fields["input_messages"] = _with_system(self._system[row], fields.get("input_messages"))
        if row in self._more:
            fields[MORE] = as_json(self._more[row])
        return b"{" + b",".join(b'"' + name.encode() + b'":' + fields[name] for name in sorted(fields)) + b"}"


def as_list(value: Value) -> list[Any]:
    """A list, also where it is written as JSON."""
    if isinstance(value, str) and value[:1] == "[":
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return [value]
    return value if isinstance(value, list) else [value]


def _listed(node: dict[str, Any]) -> list[Any]:
    """The items of a list whose places are keys."""
    return [_plain(node[key]) for key in sorted(node, key=lambda key: (not key.isdecimal(), len(key), key))]


def _plain(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if node and next(iter(node)).isdecimal() and all(key.isdecimal() for key in node):
        return _listed(node)
    return {key: _plain(item) for key, item in node.items()}


def _tool(item: Any) -> Any:
    """A tool's definition, which OpenInference writes as JSON."""
    if isinstance(item, dict) and isinstance(item.get("json_schema"), str) and len(item) == 1:
        return orjson.loads(as_content(item["json_schema"]))
    return item


def _message(attributes: Mapping[str, Value], role: str | None) -> Any:
    """The message that an event holds."""
    for name in ("gen_ai.prompt", "gen_ai.completion", "gen_ai.event.content"):
        if name in attributes:
            return orjson.loads(as_content(attributes[name]))
    own = {name: value for name, value in attributes.items() if name not in ("gen_ai.system", "gen_ai.provider.name")}
    return {"role": role, **own} if role is not None else own


def _with_system(system: bytes, messages: bytes | None) -> bytes:
    """Messages with the system's instructions before them."""
    first = b'{"role":"system","parts":' + system + b"}"
    if messages is None or messages == b"[]":
        return b"[" + first + b"]"
    return b"[" + first + b"," + (messages[1:] if messages[:1] == b"[" else messages + b"]")
