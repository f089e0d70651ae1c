"""The partitioner agrees with Kafka's clients, and the column form with the scalar one."""

import numpy as np
import pyarrow as pa
import pytest
from aiokafka.partitioner import murmur2 as aiokafka_murmur2
from hypothesis import given
from hypothesis import strategies as st

from broker.partition import murmur2, partition_for, partitions_for

# From Kafka's own UtilsTest.testMurmur2 (signed there).
KAFKA_VECTORS = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize(("key", "signed"), KAFKA_VECTORS.items())
def test_kafka_vectors(key: bytes, signed: int) -> None:
    assert murmur2(key) == signed & 0xFFFFFFFF


@given(st.binary(max_size=70))
def test_same_as_aiokafka(key: bytes) -> None:
    assert murmur2(key) == aiokafka_murmur2(key) & 0xFFFFFFFF


@given(
    st.lists(st.one_of(st.none(), st.binary(max_size=300)), max_size=40),
    st.integers(1, 64),
    st.binary(max_size=9),
)
def test_column_same_as_scalar(keys: list[bytes | None], partitions: int, prefix: bytes) -> None:
    expected = [partition_for(prefix + (key or b""), partitions) for key in keys]
    assert partitions_for(pa.array(keys, pa.binary()), partitions, prefix=prefix).tolist() == expected


@given(st.lists(st.one_of(st.none(), st.binary(min_size=16, max_size=16)), max_size=20), st.integers(0, 5))
def test_fixed_width_and_sliced_column(keys: list[bytes | None], skip: int) -> None:
    column = pa.array(keys, pa.binary(16)).slice(skip)
    expected = [partition_for(b"t" + (key or b""), 12) for key in keys[skip:]]
    assert partitions_for(column, 12, prefix=b"t").tolist() == expected


def test_every_kind_of_column() -> None:
    keys = ["acme", "", "globex", "a-little-bit-longer-string"]
    expected = [partition_for(key.encode(), 7) for key in keys]
    chunked = pa.chunked_array([pa.array(keys[:1]), pa.array(keys[1:])])
    columns = [
        pa.array(keys),
        pa.array(keys, pa.large_string()),
        chunked,
        np.array(keys),
        pa.array(keys).slice(0),
    ]
    for column in columns:
        assert partitions_for(column, 7).tolist() == expected
    assert partitions_for(pa.array(keys).slice(2), 7).tolist() == expected[2:]


def test_empty_columns() -> None:
    assert partitions_for(pa.chunked_array([], pa.string()), 3).tolist() == []
    assert partitions_for(pa.array([], pa.binary(16)), 3).tolist() == []
    assert partitions_for(pa.array(["", ""]), 3).tolist() == [partition_for(b"", 3)] * 2


def test_one_partition_is_always_the_first() -> None:
    assert partition_for(b"anything", 1) == 0
    assert partitions_for(pa.array(["a", "b"]), 1).tolist() == [0, 0]
