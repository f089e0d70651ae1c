"""Narrow records and their way back."""

import pyarrow as pa

from schemas.arrow import LOG_SCHEMA, narrow, widen


def test_narrow_leaves_out_what_is_null_and_widen_puts_it_back() -> None:
    model = pa.array(["a", None, "a"]).dictionary_encode()
    table = pa.table({"type": ["x", "y", "z"], "model": model, "version": pa.nulls(3, pa.string())})
    small = narrow(table)
    assert small.column_names == ["type", "model"]
    wide = widen(small)
    assert wide.schema == LOG_SCHEMA
    assert wide.column("model").to_pylist() == ["a", None, "a"]
    assert wide.column("id").null_count == 3
