"""The answer of one question to the warehouse."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows as Python values, with what they cost.

    Parameters
    ----------
    columns, types
        Names and ClickHouse types, in order.
    rows
        One tuple a row. Times are aware (UTC), money is ``Decimal``, ids are ``UUID`` or ``bytes``.
    rows_read
        Rows the engine had to read.
    elapsed
        Seconds the engine took.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    rows_read: int
    elapsed: float

    def scalar(self) -> Any:
        """The first value of the first row; raises ``IndexError`` when there is none."""
        return self.rows[0][0]

    def dicts(self) -> list[dict[str, Any]]:
        """The rows as dictionaries by column name."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]
