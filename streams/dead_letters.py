"""Records that can never be processed → dead letters: encrypted, with their original bytes and where they come from."""

from base64 import b64encode
from collections.abc import Callable, Iterable
from datetime import datetime

import orjson

from broker.log import NewRecord, Record
from broker.topics import DEAD_LETTERS

#: Encrypts bytes for storage; given by the composition root.
Seal = Callable[[bytes], bytes]


def dead_letters(rejected: Iterable[tuple[Record, str]], stage: str, seal: Seal, now: datetime) -> list[NewRecord]:
    """One dead letter for each record and the reason why it is one."""
    return [
        NewRecord(DEAD_LETTERS, 0, None, seal(_letter(record, reason, stage, now)), (("stage", stage.encode()),))
        for record, reason in rejected
    ]


def _letter(record: Record, reason: str, stage: str, now: datetime) -> bytes:
    return orjson.dumps(
        {
            "stage": stage,
            "time": now,
            "reason": reason,
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestamp_ms": record.timestamp_ms,
            "headers": [[name, value.decode(errors="replace")] for name, value in record.headers],
            "original_base64": None if record.value is None else b64encode(record.value).decode(),
        }
    )
