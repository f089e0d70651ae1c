"""Rejected rows → dead letters: encrypted, short-lived, with the original bytes."""

from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import orjson

from broker.log import NewRecord
from broker.topics import DEAD_LETTERS
from ingest.batch import Batch, Rejected

#: Encrypts bytes for storage; given by ``access.secrets``.
Encrypt = Callable[[bytes], bytes]

_RECORD_BYTES: Final = 1 << 20


def dead_letter_records(batch: Batch, encrypt: Encrypt) -> list[NewRecord]:
    """The rejected rows of a request, about a megabyte of them a record."""
    return [
        NewRecord(DEAD_LETTERS, 0, batch.tenant.encode(), encrypt(_letter(batch, rows)), (("stage", b"ingest"),))
        for rows in _chunks(batch.rejected)
    ]


def _chunks(rows: Sequence[Rejected]) -> Iterator[list[Rejected]]:
    chunk: list[Rejected] = []
    size = 0
    for row in rows:
        chunk.append(row)
        size += len(row.original) + 200
        if size > _RECORD_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _letter(batch: Batch, rows: Sequence[Rejected]) -> bytes:
    return orjson.dumps(
        {
            "tenant": batch.tenant,
            "door": batch.door,
            "stage": "ingest",
            "time": batch.received_at,
            "rows": [
                {**row.answer(), "kind": row.kind, "content_type": row.form, **_original(row.original)} for row in rows
            ],
        }
    )


def _original(original: bytes) -> dict[str, Any]:
    try:
        return {"original": original.decode()}
    except UnicodeDecodeError:
        return {"original_base64": b64encode(original).decode()}
