"""A table of rows in the form that costs the engine least to take in."""

from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

_SMALL: Final = 127
_MIDDLE: Final = 32_767


def ipc_block(rows: pa.Table) -> pa.Buffer:
    """The rows as an Arrow IPC stream of one batch: one batch is one block, and one block has one token.

    Nulls in dictionaries become empty text here: the engine's own way to defaults takes four times as long as all the
    rest of reading a block.
    """
    columns = [_column(rows.column(index)) for index in range(rows.num_columns)]
    batch = pa.record_batch(columns, names=rows.column_names)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def _column(column: pa.ChunkedArray) -> pa.Array:
    if not pa.types.is_dictionary(column.type):
        return _whole(column)
    array = _whole(column.unify_dictionaries())
    if array.null_count or array.dictionary.null_count or len(pc.unique(array.dictionary)) < len(array.dictionary):
        return _filled(array)
    return pa.DictionaryArray.from_arrays(array.indices.cast(_index_type(len(array.dictionary))), array.dictionary)


def _whole(column: pa.ChunkedArray) -> Any:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _filled(array: pa.DictionaryArray) -> pa.DictionaryArray:
    """Without nulls (neither in the codes nor among the values) and without a value twice."""
    values = pc.fill_null(array.dictionary, "").dictionary_encode()
    texts = values.dictionary
    empty = pc.index(texts, "").as_py()
    if empty < 0:
        empty = len(texts)
        texts = pa.concat_arrays([texts, pa.array([""], texts.type)])
    codes = pc.fill_null(pc.take(values.indices, array.indices), empty)
    return pa.DictionaryArray.from_arrays(codes.cast(_index_type(len(texts))), texts)


def _index_type(values: int) -> pa.DataType:
    if values <= _SMALL:
        return pa.int8()
    return pa.int16() if values <= _MIDDLE else pa.int32()
