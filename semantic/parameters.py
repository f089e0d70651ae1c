"""Values on their way to the engine: bound on the server, never part of the SQL text."""

from typing import Any


class Parameters:
    """Collects values and hands out their placeholders.

    Examples
    --------
    >>> parameters = Parameters()
    >>> parameters.add("it's", "String")
    '{p0:String}'
    >>> parameters.values
    {'p0': "it's"}
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def add(self, value: Any, type_: str) -> str:
        """Bind ``value`` as ``type_`` (a ClickHouse type) and return the placeholder for it."""
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"{{{name}:{type_}}}"

    def within(self, sql: str) -> dict[str, Any]:
        """The values whose placeholder is in ``sql``; the engine's client refuses any other."""
        return {name: value for name, value in self.values.items() if f"{{{name}:" in sql}
