"""The Faust app on the embedded log: each event stored once, whatever fails."""

import asyncio
import json
import threading
from base64 import b64decode
from typing import Any

import pyarrow as pa
import pytest

from broker.live import LiveFeed
from broker.topics import DEAD_LETTERS, EVENTS, METRICS
from core.errors import Conflict, Poison, Retryable, SlowDown
from storage.warehouse.writer import Block, Resume
from streams.prices.model import TenantPrice
from streams.steps.dedupe import Window
from tests.streams.blocks import make_record, make_table
from tests.streams.conftest import Lab, until
from tests.streams.fakes import FakeWriter

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

CALL = {"provider": "openai", "model": "gpt-4o", "input_tokens": 1000, "output_tokens": 100, "duration_ms": 120.0}


def _id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def _calls(numbers: range, **more: Any) -> list[dict[str, Any]]:
    return [{**CALL, "id": _id(number), **more} for number in numbers]


def _ids(numbers: range) -> list[bytes]:
    return [_id(number) for number in numbers]


def _rows(writer: FakeWriter) -> int:
    return sum(block.events.num_rows for block in writer.blocks)


async def test_events_are_priced_and_stored(lab: Lab) -> None:
    writer = FakeWriter()
    await lab.append(_calls(range(3)), _calls(range(3, 5), body='{"input_messages": "hi"}'))
    async with lab.streams(writer):
        await until(lambda: _rows(writer) == 5)
        await lab.append(_calls(range(5, 8)))
        await until(lambda: _rows(writer) == 8)
    assert writer.ids() == _ids(range(8))
    row = writer.blocks[0].events.to_pylist()[0]
    assert (str(row["cost_usd"]), row["cost_source"], row["status"]) == ("0.0035000000", "price", "ok")
    payloads = [block.payloads.num_rows for block in writer.blocks if block.payloads is not None]
    assert payloads == [2]


async def test_partitions_are_taken_up_before_their_first_block(lab: Lab) -> None:
    class Asked(FakeWriter):
        asked = 0

        def resume(self, topic: str, partition: int) -> Resume:
            self.asked += 1
            if self.asked == 1:
                raise Retryable("down")
            return super().resume(topic, partition)

    writer = Asked()
    async with lab.streams(writer):
        await until(lambda: writer.asked == 1)
        await lab.append(_calls(range(3)))
        await until(lambda: _rows(writer) == 3)
    assert writer.asked == 2


async def test_repeated_ids_are_counted_once_across_restarts(lab: Lab) -> None:
    writer = FakeWriter()
    await lab.append(_calls(range(4)), _calls(range(2, 6)))
    async with lab.streams(writer):
        await until(lambda: _rows(writer) == 6)
    await lab.append(_calls(range(5, 9)))
    async with lab.streams(writer):
        await until(lambda: _rows(writer) == 9)
    assert writer.ids() == _ids(range(9))
    assert lab.metrics.streams_duplicates._value.get() == 3


async def test_what_another_region_has_taken_in_too_counts_once(lab: Lab) -> None:
    writer, mirror = FakeWriter(), f"eu.{EVENTS}"
    await lab.append(_calls(range(4)))
    async with lab.streams(writer, mirrors=("eu",)) as streams:
        await until(lambda: _rows(writer) == 4)
        await lab.append(_calls(range(2, 6)), topic=mirror)
        await until(lambda: _rows(writer) == 6)
        await until(lambda: streams.check().ok)
        lag = {sample.labels["partition"] for sample in lab.metrics.streams_lag_records.collect()[0].samples}
        assert lag == {"0", "eu.0"}
    await lab.append(_calls(range(5, 7)))
    await lab.append(_calls(range(6, 9)), topic=mirror)
    async with lab.streams(writer, mirrors=("eu",)):
        await until(lambda: _rows(writer) == 9)
        await until(lambda: writer.through == {(EVENTS, 0): 1, (mirror, 0): 1})
    assert sorted(writer.ids()) == _ids(range(9))


async def test_a_block_that_the_log_has_no_more_is_given_up(lab: Lab) -> None:
    writer = FakeWriter(pending={(EVENTS, 0): (0, 4)})
    writer.through[EVENTS, 0] = -1
    for number in range(6):
        await lab.append(_calls(range(number, number + 1)))
    range_of = lab.log.range

    async def later(topic: str, partition: int) -> tuple[int, int]:
        return 5, (await range_of(topic, partition))[1]

    lab.log.range = later  # type: ignore[method-assign]
    async with lab.streams(writer):
        await until(lambda: _rows(writer) == 1)
    assert [(block.first_offset, block.last_offset) for block in writer.skipped] == [(0, 4)]
    assert writer.ids() == _ids(range(5, 6))


async def test_repetitions_count_when_it_is_turned_off(lab: Lab) -> None:
    writer = FakeWriter()
    await lab.append(_calls(range(2)), _calls(range(2)))
    async with lab.streams(writer, window=Window(seconds=0)):
        await until(lambda: _rows(writer) == 4)


async def test_a_block_of_nothing_but_repetitions_is_done_with(lab: Lab) -> None:
    writer = FakeWriter()
    await lab.append(_calls(range(2)))
    async with lab.streams(writer):
        await until(lambda: _rows(writer) == 2)
        await lab.append(_calls(range(2)))
        await until(lambda: len(writer.skipped) == 1)
        await until(lambda: writer.through[EVENTS, 0] == 1)
    assert _rows(writer) == 2


class Trouble:
    """Raises the next of some errors at every insert."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def __call__(self, _: Block) -> None:
        if self.errors:
            raise self.errors.pop(0)


async def test_a_sink_that_is_down_is_waited_for(lab: Lab) -> None:
    gate = asyncio.Event()

    def down(_: Block) -> None:
        if not gate.is_set():
            raise Retryable("no warehouse")

    writer = FakeWriter(down)
    await lab.append(_calls(range(3)))
    async with lab.streams(writer) as streams:
        await until(lambda: writer.attempts >= 3)
        assert streams.check().state == "waiting"
        assert streams.check().detail == "no warehouse"
        assert await lab.log.committed("llm-hub-streams", EVENTS, 0) in (None, 0)
        gate.set()
        await until(lambda: _rows(writer) == 3)
        await until(lambda: streams.check().ok)
    assert writer.ids() == _ids(range(3))
    assert lab.metrics.streams_retries._value.get() >= 3


async def test_any_other_error_of_the_sink_is_waited_for_too(lab: Lab) -> None:
    writer = FakeWriter(Trouble(RuntimeError("odd"), OSError("disk")))
    await lab.append(_calls(range(3)))
    async with lab.streams(writer):
        await until(lambda: _rows(writer) == 3)


async def test_a_block_the_warehouse_refuses_goes_to_the_dead_letters(lab: Lab) -> None:
    writer = FakeWriter(Trouble(Poison("no such column")))
    await lab.append(_calls(range(3)))
    async with lab.streams(writer):
        await until(lambda: len(writer.skipped) == 1)
        await lab.append(_calls(range(3, 5)))
        await until(lambda: _rows(writer) == 2)
    (letter,) = [json.loads(value) for value in await lab.read(DEAD_LETTERS)]
    assert (letter["stage"], letter["reason"], letter["offset"]) == ("store", "no such column", 0)
    assert pa.ipc.open_stream(b64decode(letter["original_base64"])).read_all().num_rows == 3


async def test_poison_among_good_records(lab: Lab) -> None:
    writer = FakeWriter()
    await lab.append(_calls(range(2)))
    await lab.append_raw(b"garbage", None)
    await lab.append(_calls(range(2, 4)))
    async with lab.streams(writer):
        await until(lambda: _rows(writer) == 4)
        await until(lambda: writer.through[EVENTS, 0] == 3)
    letters = [json.loads(value) for value in await lab.read(DEAD_LETTERS)]
    assert [(letter["offset"], letter["stage"]) for letter in letters] == [(1, "decode"), (2, "decode")]
    assert b64decode(letters[0]["original_base64"]) == b"garbage"
    assert letters[1]["original_base64"] is None
    assert lab.metrics.streams_poison.labels("decode")._value.get() == 2


async def test_too_much_poison_in_a_row_stops_loudly(lab: Lab) -> None:
    writer = FakeWriter()
    await lab.append_raw(*[b"garbage"] * 8)
    async with lab.streams(writer, poison_in_a_row=5) as streams:
        await until(lambda: streams.check().state == "given_up")
        assert "8 records in a row" in streams.check().detail
        await lab.append(_calls(range(2)))
    assert writer.blocks == []
    assert await lab.read(DEAD_LETTERS) == []


async def test_what_stopped_goes_on_without_loss_once_it_is_cured(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake of a release makes every record unreadable; the one that reads them again finds them all."""
    from streams.steps import decode

    whole, writer = decode.decode_record, FakeWriter()
    await lab.append(*(_calls(range(n, n + 2)) for n in range(0, 16, 2)))

    def broken(value: bytes | None, columns: Any = None) -> pa.Table:
        raise Poison("no such column")

    with monkeypatch.context() as release:
        release.setattr(decode, "decode_record", broken)
        async with lab.streams(writer, poison_in_a_row=5) as streams:
            await until(lambda: streams.check().state == "given_up")
            assert "llm-hub dead-letters list" in streams.check().detail
            assert "LLM_HUB_POISON_IN_A_ROW" in streams.check().detail
            assert not streams.check().ok
    assert decode.decode_record is whole
    assert (writer.blocks, await lab.read(DEAD_LETTERS)) == ([], [])
    async with lab.streams(writer, poison_in_a_row=5):
        await until(lambda: _rows(writer) == 16)
    assert writer.ids() == _ids(range(16))


async def test_what_stopped_goes_on_when_it_may_put_more_aside(lab: Lab) -> None:
    writer = FakeWriter()
    await lab.append_raw(*[b"garbage %d" % number for number in range(8)])
    await lab.append(_calls(range(2)))
    async with lab.streams(writer, poison_in_a_row=5, block_rows=1) as streams:
        await until(lambda: streams.check().state == "given_up")
    before = len(await lab.read(DEAD_LETTERS))
    assert before <= 5
    async with lab.streams(writer, poison_in_a_row=100):
        await until(lambda: _rows(writer) == 2)
    letters = [json.loads(value) for value in await lab.read(DEAD_LETTERS)]
    assert {b64decode(letter["original_base64"]) for letter in letters} == {b"garbage %d" % n for n in range(8)}
    assert sorted({letter["offset"] for letter in letters}) == list(range(8))


async def test_a_record_that_makes_a_step_fail_is_put_aside(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from streams.prices.table import PriceTable

    whole = PriceTable.schedule

    def broken(self: PriceTable, call: Any) -> Any:
        if call.model == "boom":
            raise ZeroDivisionError("a bug")
        return whole(self, call)

    monkeypatch.setattr(PriceTable, "schedule", broken)
    writer = FakeWriter()
    await lab.append(_calls(range(2)), _calls(range(2, 3), model="boom"), _calls(range(3, 5)))
    async with lab.streams(writer):
        await until(lambda: _rows(writer) == 4)
    assert writer.ids() == [_id(number) for number in (0, 1, 3, 4)]
    (letter,) = [json.loads(value) for value in await lab.read(DEAD_LETTERS)]
    assert letter["reason"] == "ZeroDivisionError: a bug"


async def test_a_bug_that_hits_every_record_keeps_them(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from streams.pipeline import Pipeline

    whole, calls = Pipeline.prepare, 0

    def broken(self: Pipeline, *arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls <= 6:  # twice: the block, and each of its two records
            raise ZeroDivisionError("a bug")
        return whole(self, *arguments)

    monkeypatch.setattr(Pipeline, "prepare", broken)
    writer = FakeWriter()
    await lab.append(_calls(range(2)), _calls(range(2, 4)))
    async with lab.streams(writer):
        await until(lambda: _rows(writer) == 4)
    assert calls > 6
    assert await lab.read(DEAD_LETTERS) == []


async def test_a_pending_block_is_sent_again_first_and_as_it_was(lab: Lab) -> None:
    await lab.append(*(_calls(range(n, n + 2)) for n in range(12)))
    writer = FakeWriter()
    writer.through[EVENTS, 0] = 2
    writer.pending[EVENTS, 0] = (3, 6)
    async with lab.streams(writer):
        await until(lambda: writer.through[EVENTS, 0] == 11)
    first = writer.blocks[0]
    assert (first.first_offset, first.last_offset) == (3, 6)
    # Event n comes in the records n − 1 and n: of record 3 its first was in record 2 already.
    assert first.events.column("id").to_pylist() == _ids(range(4, 8))
    assert writer.ids() == _ids(range(4, 13))


async def test_large_backlogs_are_cut_and_stay_in_order(lab: Lab) -> None:
    writer = FakeWriter()
    await lab.append(*(_calls(range(10 * n, 10 * n + 10)) for n in range(20)))
    async with lab.streams(writer, block_rows=3):
        await until(lambda: _rows(writer) == 200)
    assert writer.ids() == _ids(range(200))
    assert len(writer.blocks) >= 7


async def test_aggregates_follow_the_stored_rows(lab: Lab) -> None:
    writer = FakeWriter()
    await lab.append(_calls(range(3)))
    async with lab.streams(writer):
        await until(lambda: _rows(writer) == 3)
        await lab.until_read(METRICS)
    (value,) = await lab.read(METRICS)
    (row,) = pa.ipc.open_stream(value).read_all().to_pylist()
    assert (row["count"], row["model"], row["input_tokens"]) == (3, "gpt-4o", 3000)
    (record,) = await lab.log.read(METRICS, 0, 0)
    assert dict(record.headers)["block"] == b"hub.events/0/0-0"
    assert lab.metrics.gateway_tokens.labels("gpt-4o", "input")._value.get() == 3000


async def test_live_points_unpriced_models_and_watermark(lab: Lab) -> None:
    writer, live = FakeWriter(), LiveFeed()
    with live.subscribe("acme") as mine, live.subscribe("other") as others:
        async with lab.streams(writer, live=live) as streams:
            await until(lambda: streams.watermark("acme") is not None)
            before = streams.watermark("acme")
            await lab.append(_calls(range(2)), _calls(range(2, 3), model="acme-7"))
            await until(lambda: _rows(writer) == 3)
            point = await anext(mine)
            assert (point["requests"], point["input_tokens"]) == (3, 3000)
            await until(lambda: (streams.watermark("acme") or before) > before)  # type: ignore[operator]
            (unpriced,) = streams.unpriced.of("acme")
            assert (unpriced.model, unpriced.calls) == ("acme-7", 1)
            assert streams.check().ok
        live.close()
        assert [point async for point in others] == []
    assert streams.check().state == "stopped"


async def test_a_tenants_own_prices_and_retention(lab: Lab) -> None:
    from datetime import timedelta

    writer = FakeWriter()
    await lab.append(_calls(range(1)))
    prices = {"tenant_prices": lambda _: [TenantPrice(input_usd_per_mtok=1000.0)]}
    async with lab.streams(writer, retention=lambda *_: timedelta(days=1), **prices):
        await until(lambda: _rows(writer) == 1)
    (row,) = writer.blocks[0].events.to_pylist()
    assert (float(row["cost_usd"]), row["cost_source"]) == (1.0, "tenant_price")
    assert (row["expires_at"] - row["time"].replace(microsecond=0)) == timedelta(days=1)


async def test_starting_twice_and_stopping_twice_is_harmless(lab: Lab) -> None:
    async with lab.streams(FakeWriter()) as streams:
        await streams.start()
        await streams.stop()


async def test_records_of_the_tail_that_are_poison_are_passed_over(lab: Lab) -> None:
    writer = FakeWriter()
    await lab.append(_calls(range(2)))
    await lab.append_raw(b"garbage")
    async with lab.streams(writer):
        await until(lambda: writer.through.get((EVENTS, 0)) == 1)
    await lab.append_raw(make_record(make_table(_calls(range(1, 3)))))
    async with lab.streams(writer):
        await until(lambda: _rows(writer) == 3)
    assert writer.ids() == _ids(range(3))


async def test_stopping_waits_for_the_insert_in_hand(lab: Lab) -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(_: Block) -> None:
        entered.set()
        leave.wait(10)

    writer = FakeWriter(slow)
    await lab.append(_calls(range(3)))
    async with lab.streams(writer) as streams:
        await until(entered.is_set)
        stopping = asyncio.create_task(streams.stop())
        await asyncio.sleep(0.05)
        leave.set()
        await stopping
        assert _rows(writer) == 3
    async with lab.streams(writer):
        await lab.append(_calls(range(3, 4)))
        await until(lambda: _rows(writer) == 4)
    assert writer.ids() == _ids(range(4))


async def test_dead_letters_wait_for_the_log(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, failures = lab.log.append, [SlowDown("full"), SlowDown("full")]

    async def full(records: Any, mark: Any = None) -> Any:
        if records and records[0].topic == DEAD_LETTERS and failures:
            raise failures.pop()
        return await whole(records, mark)

    monkeypatch.setattr(lab.log, "append", full)
    await lab.append_raw(b"garbage")
    async with lab.streams(FakeWriter()):
        await lab.until_read(DEAD_LETTERS)


async def test_aggregates_that_cannot_be_sent_are_counted(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = lab.log.append

    async def full(records: Any, mark: Any = None) -> Any:
        if records and records[0].topic == METRICS:
            raise SlowDown("full")
        return await whole(records, mark)

    monkeypatch.setattr(lab.log, "append", full)
    writer = FakeWriter()
    await lab.append(_calls(range(2)))
    async with lab.streams(writer):
        await until(lambda: lab.metrics.streams_failures.labels("metrics")._value.get() == 1)
    assert _rows(writer) == 2


async def test_another_writer_of_the_partition_is_noticed(lab: Lab) -> None:
    writer = FakeWriter(Trouble(Conflict("pending elsewhere")))
    await lab.append(_calls(range(3)))
    async with lab.streams(writer):
        await until(lambda: _rows(writer) == 3)
    assert writer.ids() == _ids(range(3))
