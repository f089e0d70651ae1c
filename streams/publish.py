"""Aggregates of a stored block → records of ``hub.metrics``, each series always in the same partition."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from broker.log import NewRecord
from broker.topics import METRICS
from storage.warehouse.writer import Block
from streams.steps.price import PRICED_TYPES


@dataclass(frozen=True, slots=True)
class ModelTotal:
    """What the calls of one model came to."""

    model: str
    input_tokens: int
    output_tokens: int
    cost_usd: float


def totals_by_model(aggregates: pa.Table) -> Iterator[ModelTotal]:
    """Tokens and costs of model calls, for the counters that Prometheus reads."""
    kinds = aggregates.column("type").cast(pa.string())
    calls = aggregates.filter(pc.is_in(kinds, pa.array(PRICED_TYPES)))
    calls = calls.set_column(calls.schema.get_field_index("model"), "model", calls.column("model").cast(pa.string()))
    sums = calls.group_by("model").aggregate([(name, "sum") for name in ("input_tokens", "output_tokens", "cost_usd")])
    for row in sums.to_pylist():
        tokens = row["input_tokens_sum"], row["output_tokens_sum"]
        yield ModelTotal(row["model"] or "", *tokens, float(row["cost_usd_sum"]))


def metric_records(aggregates: pa.Table, block: Block, partitions: int) -> list[NewRecord]:
    """One record for each partition that has series: an Arrow IPC stream of ``streams.steps.aggregate.SCHEMA``.

    The headers name the block, so that a reader can tell a repetition.
    """
    partition_of = (np.asarray(aggregates.column("series")) % np.uint64(partitions)).astype(np.int64)
    origin = f"{block.topic}/{block.partition}/{block.first_offset}-{block.last_offset}".encode()
    records = []
    for partition in np.unique(partition_of):
        mine = aggregates if partitions == 1 else aggregates.filter(pa.array(partition_of == partition))
        headers = (("block", origin), ("rows", str(mine.num_rows).encode()))
        records.append(NewRecord(METRICS, int(partition), None, _ipc(mine), headers))
    return records


def _ipc(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
