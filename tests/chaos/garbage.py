"""Records that no hub ever wrote, between good ones."""

import asyncio
import random
from collections.abc import Sequence

import pyarrow as pa
import zstandard

from broker.log import Log, NewRecord, Record
from broker.topics import DEAD_LETTERS, EVENTS
from ingest.encode import ipc_bytes
from tests.chaos.hubs import PATIENCE


def garbage(chance: random.Random, good: Sequence[Record]) -> list[NewRecord]:
    """Records of every kind that can never be events; their partitions are those of the good ones."""
    partitions = sorted({record.partition for record in good})
    sample = max(good, key=lambda record: len(record.value or b"")).value or b""
    values: list[bytes | None] = [
        None,
        b"",
        b"{}",
        b'{"type": "llm.request"}\n',
        chance.randbytes(chance.randrange(1, 5000)),
        sample[: len(sample) // 2],
        sample[4:],
        zstandard.compress(chance.randbytes(2000)),
        zstandard.compress(zstandard.decompress(sample)[:-64]),
        ipc_bytes(pa.table({"a": [1, 2, 3]})),
        ipc_bytes(pa.table({"tenant": ["default"], "id": ["no bytes"], "type": [7]})),
        chance.randbytes(9 << 20),
    ]
    lies = ((), (("rows", b"1000000000"),), (("rows", b"\xff"),))
    return [
        NewRecord(EVENTS, chance.choice(partitions), chance.choice((None, b"k")), value, chance.choice(lies))
        for value in values
    ]


async def good_records(log: Log) -> list[Record]:
    """The newest records of every partition."""
    found: list[Record] = []
    for partition in range(log.partitions(EVENTS)):
        earliest, following = await log.range(EVENTS, partition)
        found += await log.read(EVENTS, partition, max(earliest, following - 20))
    return [record for record in found if record.value]


async def dead_letters(log: Log) -> int:
    """How many records are among the dead letters."""
    earliest, following = await log.range(DEAD_LETTERS, 0)
    return following - earliest


async def counted(log: Log, wanted: int) -> None:
    """Until so many records are among the dead letters."""
    async with asyncio.timeout(PATIENCE):
        while await dead_letters(log) < wanted:  # noqa: ASYNC110 - another process writes them
            await asyncio.sleep(0.1)


def again(records: Sequence[Record]) -> list[NewRecord]:
    """The same records a second time, as a producer that lost an answer writes them."""
    return [NewRecord(one.topic, one.partition, one.key, one.value, one.headers, one.timestamp_ms) for one in records]
