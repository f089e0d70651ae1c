"""Which partition a key belongs to: Kafka's murmur2, one key at a time or a whole column at once.

Every sender must agree on the partition of a key, so both give what Kafka's own clients give.
"""

from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF
#: Keys above this length are hashed one by one: a matrix as wide as the longest key would waste memory.
_LONGEST_IN_COLUMNS = 256

_Bytes = npt.NDArray[np.uint8]
_Lengths = npt.NDArray[np.int64]


def murmur2(data: bytes) -> int:
    """Kafka's 32-bit murmur2, as an unsigned number.

    Examples
    --------
    >>> hex(murmur2(b"kafka"))
    '0xd067cf64'
    """
    length = len(data)
    whole = length & ~3
    h = _SEED ^ length
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = h * _M & _MASK ^ k
    if whole != length:
        h = (h ^ int.from_bytes(data[whole:], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


def partition_for(key: bytes, partitions: int) -> int:
    """The partition Kafka's default partitioner gives a key.

    Examples
    --------
    >>> partition_for(b"acme", 1)
    0
    """
    return 0 if partitions == 1 else (murmur2(key) & 0x7FFFFFFF) % partitions


def partitions_for(column: Any, partitions: int, *, prefix: bytes = b"") -> npt.NDArray[np.int32]:
    """The partition of every key of a column: ``partition_for(prefix + key, partitions)`` for each row.

    Parameters
    ----------
    column
        A pyarrow array or chunked array of binary, string or fixed-size binary, or a numpy array of bytes or
        text, shape (n,). A null counts as an empty key.
    partitions
        Number of partitions.
    prefix
        Put before every key, for example the tenant that a batch has in common.

    Returns
    -------
    numpy.ndarray
        int32, shape (n,).
    """
    if partitions == 1:
        return np.zeros(len(column), dtype=np.int32)
    data, starts, lengths = _buffers(column)
    hashes = np.empty(len(lengths), dtype=np.uint32)
    short = lengths <= _LONGEST_IN_COLUMNS
    hashes[short] = _murmur2_column(data, starts[short], lengths[short], prefix)
    for row in np.flatnonzero(~short):
        key = data[starts[row] : starts[row] + lengths[row]].tobytes()
        hashes[row] = murmur2(prefix + key)
    return cast("npt.NDArray[np.int32]", ((hashes & np.uint32(0x7FFFFFFF)) % partitions).astype(np.int32))


def _buffers(column: Any) -> tuple[_Bytes, _Lengths, _Lengths]:
    """The bytes of a column, and where each key starts and how long it is."""
    array = pa.array(column) if isinstance(column, np.ndarray) else column
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
        if isinstance(array, pa.ChunkedArray):
            array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], pa.large_binary())
    if pa.types.is_fixed_size_binary(array.type):
        return _fixed_buffers(array)
    array = array.cast(pa.large_binary())
    _, offsets_buffer, data_buffer = array.buffers()
    if len(array) == 0:
        return _empty(), np.zeros(0, np.int64), np.zeros(0, np.int64)
    offsets = np.frombuffer(offsets_buffer, np.int64)[array.offset : array.offset + len(array) + 1]
    data = np.frombuffer(data_buffer, np.uint8) if data_buffer is not None else _empty()
    lengths = np.diff(offsets)
    return data, offsets[:-1], _without_nulls(array, lengths)


def _fixed_buffers(array: Any) -> tuple[_Bytes, _Lengths, _Lengths]:
    width = array.type.byte_width
    data = np.frombuffer(array.buffers()[1], np.uint8) if len(array) and width else _empty()
    starts = (np.arange(len(array), dtype=np.int64) + array.offset) * width
    return data, starts, _without_nulls(array, np.full(len(array), width, np.int64))


def _without_nulls(array: Any, lengths: _Lengths) -> _Lengths:
    """What lies under a null is undefined: count it as empty."""
    if not array.null_count:
        return lengths
    return cast("_Lengths", np.where(array.is_valid().to_numpy(zero_copy_only=False), lengths, 0))


def _empty() -> _Bytes:
    return np.zeros(0, np.uint8)


def _matrix(data: _Bytes, starts: _Lengths, lengths: _Lengths, prefix: bytes) -> _Bytes:
    """One row a key, zero-padded to a multiple of four bytes, the prefix in front."""
    head, longest = len(prefix), int(lengths.max(initial=0))
    matrix = np.zeros((len(lengths), (head + longest + 3) & ~3), np.uint8)
    matrix[:, :head] = np.frombuffer(prefix, np.uint8)
    if longest:
        matrix[:, head : head + longest] = _keys(data, starts, lengths, longest)
    return matrix


def _keys(data: _Bytes, starts: _Lengths, lengths: _Lengths, longest: int) -> _Bytes:
    """One row a key, zero-padded to the longest."""
    size = len(lengths) * longest
    if (lengths == longest).all() and starts[-1] - starts[0] + longest == size:
        return data[starts[0] : starts[0] + size].reshape(-1, longest)
    columns = np.arange(longest)
    keys = data[np.minimum(starts[:, None] + columns, len(data) - 1)]
    return cast("_Bytes", np.where(columns < lengths[:, None], keys, 0))


def _murmur2_column(data: _Bytes, starts: _Lengths, lengths: _Lengths, prefix: bytes) -> npt.NDArray[np.uint32]:
    """All keys in step, one four-byte word after the other; a key drops out when its words are used up."""
    m = np.uint32(_M)
    # Word by word in memory, not key by key: each step then runs over neighbouring numbers.
    words = np.ascontiguousarray(_matrix(data, starts, lengths, prefix).view("<u4").T)
    total = lengths + len(prefix)
    whole, rest = total >> 2, total & 3
    h = (np.uint32(_SEED) ^ total.astype(np.uint32)).astype(np.uint32)
    all_whole, any_rest = int(whole.min()) if len(whole) else 0, bool(rest.any())
    for i, word in enumerate(words):
        k = word * m
        k = (k ^ (k >> np.uint32(24))) * m
        mixed = h * m ^ k
        if i < all_whole:
            h = mixed
        elif any_rest:
            h = np.where(i < whole, mixed, np.where((i == whole) & (rest > 0), (h ^ word) * m, h))
        else:
            h = np.where(i < whole, mixed, h)
    h = (h ^ (h >> np.uint32(13))) * m
    return cast("npt.NDArray[np.uint32]", h ^ (h >> np.uint32(15)))
