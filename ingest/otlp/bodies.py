"""Some bodies of one sender, read into the same columns: what a block of columns costs is paid once for all of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from core.errors import HubError
from ingest.limits import Limits
from ingest.otlp.attributes import Attributes, Ints
from ingest.otlp.records import Records

#: Reads a body; its attributes are added to those given.
Read = Callable[[bytes, Limits, Attributes], Records]


@dataclass(frozen=True)
class Bodies:
    """What was read, one body after the other: its rows, or why it cannot be read at all.

    Parameters
    ----------
    parts
        Of each body.
    attributes
        Of the rows of all of them.
    """

    parts: Sequence[Records | HubError]
    attributes: Attributes

    @cached_property
    def rows(self) -> list[Any]:
        """The rows of all bodies."""
        return [row for part in self.parts if isinstance(part, Records) for row in part.rows]

    @cached_property
    def of_row(self) -> list[int]:
        """The body of each row: what is looked for among the other rows is only looked for in the same body."""
        counts = [len(part.rows) if isinstance(part, Records) else 0 for part in self.parts]
        found: list[int] = np.repeat(np.arange(len(counts)), counts).tolist()
        return found

    def ranges(self) -> Iterator[range]:
        """The places of each body's rows."""
        bounds: Ints = np.searchsorted(self.of_row, np.arange(len(self.parts) + 1))
        return (range(start, stop) for start, stop in zip(bounds.tolist(), bounds[1:].tolist(), strict=False))


def read_bodies(bodies: Sequence[bytes], read: Read, limits: Limits) -> Bodies:
    """Read bodies together; one that cannot be read leaves nothing behind."""
    attributes = Attributes()
    parts: list[Records | HubError] = []
    for body in bodies:
        rows = len(attributes)
        try:
            parts.append(read(body, limits, attributes))
        except HubError as error:
            attributes.cut(rows)
            parts.append(error)
    return Bodies(parts, attributes)
