"""What one connection to the engine can do: the seam between the warehouse and its two homes."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import pyarrow as pa

from storage.warehouse.rows import Rows

Settings = Mapping[str, str | int | float]

#: How Arrow answers look in both homes: text as text, dictionaries kept.
ARROW_OUTPUT: Final[dict[str, int]] = {
    "output_format_arrow_string_as_string": 1,
    "output_format_arrow_low_cardinality_as_dictionary": 1,
}


class Session(Protocol):
    """One connection. Used by one thread at a time; every method blocks and raises the engine's own errors."""

    def query(self, sql: str, parameters: Mapping[str, Any], settings: Settings) -> Rows:
        """The whole answer as Python values."""
        ...

    def arrow(self, sql: str, parameters: Mapping[str, Any], settings: Settings) -> pa.Table:
        """The whole answer as Arrow."""
        ...

    def stream(self, sql: str, parameters: Mapping[str, Any], settings: Settings) -> Iterator[pa.RecordBatch]:
        """The answer batch by batch; the session is taken until the iterator is exhausted or closed."""
        ...

    def command(self, sql: str, parameters: Mapping[str, Any], settings: Settings) -> None:
        """A statement without an answer."""
        ...

    def insert(self, table: str, columns: Sequence[str], body: pa.Buffer, settings: Settings) -> None:
        """Append one Arrow IPC stream; returns when the engine has it."""
        ...

    def close(self) -> None:
        """Give the connection up; safe to call twice."""
        ...


def bindable(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as both clients bind them alike: times in UTC, to the microsecond only where they have any."""
    return {name: _bindable(value) for name, value in parameters.items()}


def _bindable(value: Any) -> Any:
    if isinstance(value, datetime):
        moment = value.astimezone(UTC) if value.tzinfo else value
        return moment.strftime("%Y-%m-%d %H:%M:%S.%f" if moment.microsecond else "%Y-%m-%d %H:%M:%S")
    if isinstance(value, list | tuple | set | frozenset):
        return [_bindable(item) for item in value]
    return value
