"""Where events were taken in."""

import pyarrow as pa

from broker.log import Record
from core.metrics import Metrics
from streams.pipeline import Pipeline
from streams.prices.model import no_tenant_prices
from streams.prices.table import PriceTable
from streams.prices.unpriced import UnpricedModels
from streams.runner import keep_ninety_days
from streams.steps.region import regions
from tests.streams.blocks import START, make_record, make_table

TABLE = pa.table({"id": list(range(6))})


def _record(*headers: tuple[str, bytes]) -> Record:
    return Record("hub.events", 0, 0, None, b"", (("rows", b"2"), *headers), 0)


def test_a_hub_without_regions_has_no_such_column() -> None:
    assert regions(TABLE, [_record()] * 3, [2, 2, 2]) is TABLE


def test_each_event_has_its_records_region() -> None:
    eu, us, none = _record(("region", b"eu")), _record(("region", b"us")), _record()
    found = regions(TABLE, [eu, us, eu, none], [2, 0, 1, 3]).column("region").to_pylist()
    assert found == ["eu", "eu", "eu", "", "", ""]


def test_what_no_hub_wrote_is_text_all_the_same() -> None:
    found = regions(TABLE, [_record(("region", b"\xff" * 99))], [6]).column("region").to_pylist()
    assert found == ["\ufffd" * 32] * 6


def test_records_that_are_put_aside_have_no_rows() -> None:
    pipeline = Pipeline(PriceTable(no_tenant_prices), keep_ninety_days, Metrics(), UnpricedModels())
    good = make_record(make_table([{}, {}]))
    records = [
        Record("hub.events", 0, at, None, value, (("region", region),), 0)
        for at, (value, region) in enumerate([(good, b"eu"), (b"garbage", b"us"), (good, b"ap")])
    ]
    prepared = pipeline.prepare(records, None, START)
    assert prepared.block.events.column("region").to_pylist() == ["eu", "eu", "ap", "ap"]
