"""Records that can never be processed → dead letters: encrypted, with their original bytes and where they come from."""

from base64 import b64encode
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

import orjson

from broker.log import NewRecord, Record
from broker.topics import DEAD_LETTERS

#: Encrypts bytes for storage; given by the composition root.
Seal = Callable[[bytes], bytes]

#: Bytes of an original that are kept. A letter is larger than its record, and the log takes neither above 16 MiB on
#: Kafka: a letter that cannot be written would hold its partition up for ever. What is cut is in ``hub.events`` still.
ORIGINAL_BYTES: Final = 23 << 19


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
            "original_bytes": None if record.value is None else len(record.value),  # more than are here: cut
            "original_base64": None if record.value is None else b64encode(record.value[:ORIGINAL_BYTES]).decode(),
        }
    )
