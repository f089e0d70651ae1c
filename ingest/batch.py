"""What a door hands to the publisher, and what it gets back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson
import pyarrow as pa

from access.tenant_settings import Redaction
from broker.log import Mark
from ingest import forms
from schemas.custom import TenantType


@dataclass(frozen=True, slots=True)
class Arrival:
    """Who sent a body, when, and what holds for that tenant: everything that decoding depends on.

    Parameters
    ----------
    tenant
        From the credential.
    received_at
        The hub's clock, UTC.
    oldest, newest
        Events outside [oldest, newest] are rejected: the tenant's retention, and a day ahead.
    door
        Name of the door, for the dead letters and the metrics.
    key
        The request's ``Idempotency-Key``: ids that are missing are derived from it, so that a retry has the same.
    redaction
        What is taken out of the texts.
    capture
        Whether contents (prompts, completions, arguments …) are kept at all.
    types
        Event types of the tenant's own, by name.
    """

    tenant: str
    received_at: datetime
    oldest: datetime
    newest: datetime
    door: str = "events"
    key: str | None = None
    redaction: Redaction = field(default_factory=Redaction)
    capture: bool = True
    types: Mapping[str, TenantType] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that is not kept as an event: what is wrong with which field, and its bytes.

    ``reason`` ends as a sentence about the field: "must be at least 0". ``kind`` is one of a few words for the
    metrics: ``json``, ``type``, ``field``, ``time``, ``size``. ``form`` is how the bytes are to be read, should they be
    sent again (:mod:`ingest.forms`).
    """

    index: int
    id: str | None
    field: str
    reason: str
    kind: str
    original: bytes
    form: str = forms.EVENT

    def answer(self) -> dict[str, Any]:
        """The row's entry in the answer."""
        return {"index": self.index, "id": self.id, "field": self.field, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded body: the good rows as columns (a narrow :data:`schemas.arrow.LOG_SCHEMA`), the bad ones explained.

    ``path`` says how it was decoded (``fast``, ``mixed`` or ``slow``), ``all_ids`` whether every row came with an id,
    ``dropped_bodies`` and ``redactions`` what was taken out.
    """

    table: pa.Table
    rejected: tuple[Rejected, ...] = ()
    path: str = "slow"
    all_ids: bool = False
    dropped_bodies: int = 0
    redactions: int = 0

    @property
    def rows(self) -> int:
        """Rows of the body, good and bad."""
        return int(self.table.num_rows) + len(self.rejected)

    def with_table(self, table: pa.Table, **changes: Any) -> "Decoded":
        """The same with other columns."""
        return replace(self, table=table, **changes)


@dataclass(frozen=True, slots=True)
class Batch:
    """One request on its way into the log; ``marks`` are written in the same append."""

    tenant: str
    door: str
    received_at: datetime
    table: pa.Table
    rejected: tuple[Rejected, ...] = ()
    marks: Sequence[Mark] = ()

    @property
    def rows(self) -> int:
        """Rows of the request, good and bad."""
        return int(self.table.num_rows) + len(self.rejected)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to a request, sent once everything is durable."""

    accepted: int
    rejected: int
    duplicates: int = 0
    errors: tuple[dict[str, Any], ...] = ()

    @classmethod
    def of(cls, decoded: Decoded, most_errors: int) -> "Receipt":
        """What the sender is told of a decoded body."""
        errors = tuple(row.answer() for row in decoded.rejected[:most_errors])
        return cls(decoded.table.num_rows, len(decoded.rejected), 0, errors)

    def repeated(self) -> "Receipt":
        """The answer to a retry: nothing new, what was accepted before is a duplicate now."""
        return replace(self, accepted=0, duplicates=self.duplicates + self.accepted)

    def to_json(self) -> bytes:
        """The body of the answer."""
        return orjson.dumps(
            {
                "accepted": self.accepted,
                "rejected": self.rejected,
                "duplicates": self.duplicates,
                "errors": list(self.errors),
            }
        )

    @classmethod
    def from_json(cls, text: bytes) -> "Receipt":
        """The inverse of :meth:`to_json`."""
        value = orjson.loads(text)
        return cls(value["accepted"], value["rejected"], value["duplicates"], tuple(value["errors"]))
