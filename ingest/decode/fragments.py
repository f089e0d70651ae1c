"""Columns → one JSON object a row."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from ingest.decode.learn import Kind
from ingest.decode.texts import Mask


def json_objects(columns: Mapping[str, tuple[pa.Array, Kind, Mask]], rows: int) -> pa.Array | None:
    """One object a row of the columns that have a value there, names in order; null where there is none.

    Parameters
    ----------
    columns
        Name in the object → values, their kind (``json`` is JSON text already) and the rows whose value counts.
    rows
        How many there are.

    Returns
    -------
    pyarrow.Array or None
        None when no row has an object.
    """
    objects: dict[int, dict[str, Any]] = {}
    for name in sorted(columns):
        array, kind, among = columns[name]
        items = array.to_pylist() if among.all() else array.filter(pa.array(among)).to_pylist()
        for row, item in zip(np.flatnonzero(among).tolist(), items, strict=True):
            value = orjson.Fragment(item) if kind == "json" else item
            if (known := objects.get(row)) is None:
                objects[row] = {name: value}
            else:
                known[name] = value
    if not objects:
        return None
    texts: list[bytes | None] = [None] * rows
    for row, value in objects.items():
        texts[row] = orjson.dumps(value)
    return pa.array(texts, pa.string())
