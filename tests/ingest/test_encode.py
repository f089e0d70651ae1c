"""Records of a size that every log takes."""

import random

import pyarrow as pa
import pytest

from broker.kafka import KafkaLogConfig
from ingest.encode import event_records
from streams.steps.decode import decode_record

#: Long rows among short ones, which nothing can compress: what many senders send at the same moment.
ROWS = {"one long": [4 << 20] + [10] * 2000, "long ones first": [4 << 20] * 12 + [10] * 5000, "all": [64 << 10] * 1000}


@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize("partitions", [1, 3])
def test_no_record_is_larger_than_kafka_takes(kind: str, partitions: int) -> None:
    chance = random.Random(kind)
    bodies = [chance.randbytes(size // 2).hex() for size in ROWS[kind]]
    ids = [chance.randbytes(16) for _ in bodies]
    table = pa.table(
        {
            "tenant": ["default"] * len(ids),
            "id": pa.array(ids, pa.binary(16)),
            "body": pa.array(bodies, pa.large_string()),
        }
    )
    records = event_records([table], partitions)
    assert max(len(record.value or b"") for record in records) <= KafkaLogConfig().record_bytes
    found = pa.concat_tables([decode_record(record.value, ("id", "body")) for record in records])
    assert dict(zip(found["id"].to_pylist(), found["body"].to_pylist(), strict=True)) == dict(
        zip(ids, bodies, strict=True)
    )


def test_nothing_gives_no_record() -> None:
    assert event_records([pa.table({"tenant": pa.array([], pa.string()), "id": pa.array([], pa.binary(16))})], 2) == []
