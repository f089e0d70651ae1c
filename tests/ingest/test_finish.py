"""Contents: redacted or dropped before the log and before the dead letters, on both ways through the decoder."""

import orjson
import pytest

from access.tenant_settings import Redaction, RedactionMode, TenantSettings
from core.clock import ManualClock
from core.metrics import Metrics
from ingest.decode.ndjson import decode_ndjson
from ingest.intake import Delivery, Intake
from ingest.limits import Limits
from tests.ingest.fakes import FakeLog, reverse, sample

ROWS = 200  # enough for columns


async def send(log: FakeLog, clock: ManualClock, settings: TenantSettings, *events: dict | bytes) -> Metrics:
    """Send events through an intake of their own."""
    metrics = Metrics()
    limits = Limits(gather_events=0)
    intake = Intake(log, clock, metrics, reverse, limits=limits, settings=lambda tenant: settings)
    body = b"\n".join(event if isinstance(event, bytes) else orjson.dumps(event) for event in events)

    async def stream():
        yield body

    await intake.take(Delivery("acme", "events", stream(), "", None, decode_ndjson))
    await intake.stop()
    return metrics


def secretive(rows: int, **changes: object) -> list[dict]:
    data = {"input_messages": [{"role": "user", "content": "I am bob@example.com"}], "note": "eve@example.com"}
    return [
        sample(id=f"row-{row}", attributes={"by": "amy@example.com"}, **changes, data={**data, "n": row})
        for row in range(rows)
    ]


def value(metrics: Metrics, name: str) -> float:
    return metrics.registry.get_sample_value(f"llm_hub_{name}_total", {"door": "events"}) or 0


@pytest.mark.parametrize("rows", [1, ROWS])
async def test_bodies_are_redacted_unless_a_tenant_says_otherwise(log: FakeLog, clock: ManualClock, rows: int) -> None:
    metrics = await send(log, clock, TenantSettings(), *secretive(rows))
    for event in log.events():
        assert "[redacted:email]" in event["body"]
        assert "bob@" not in event["body"]
        assert "eve@" in event["data"]
        assert event["attributes"] == [("by", "amy@example.com")]
    assert value(metrics, "ingest_redactions") == rows


@pytest.mark.parametrize("rows", [1, ROWS])
async def test_all_redacts_data_and_attributes_too(log: FakeLog, clock: ManualClock, rows: int) -> None:
    await send(log, clock, TenantSettings(redaction=Redaction(mode=RedactionMode.ALL)), *secretive(rows))
    assert len(log.events()) == rows
    for event in log.events():
        assert "@" not in f"{event['body']}{event['data']}{event['attributes']}"


@pytest.mark.parametrize("rows", [1, ROWS])
async def test_off_leaves_everything(log: FakeLog, clock: ManualClock, rows: int) -> None:
    await send(log, clock, TenantSettings(redaction=Redaction(mode=RedactionMode.OFF)), *secretive(rows))
    assert all("bob@example.com" in event["body"] for event in log.events())


@pytest.mark.parametrize("rows", [1, ROWS])
async def test_contents_are_dropped_and_counted_where_none_are_kept(
    log: FakeLog, clock: ManualClock, rows: int
) -> None:
    bad = secretive(1, source="")[0]
    metrics = await send(log, clock, TenantSettings(content_capture=False), *secretive(rows), bad, b'{"broken bob')
    assert len(log.events()) == rows
    assert all(event.get("body") is None for event in log.events())
    assert value(metrics, "ingest_dropped_bodies") == rows
    (letter,) = log.dead_letters()
    assert b"bob" not in reverse(letter)


async def test_dead_letters_are_redacted_even_behind_escapes(log: FakeLog, clock: ManualClock) -> None:
    bad = orjson.dumps(secretive(1, source="")[0]).replace(b"bob@", b"bob\\u0040")
    await send(log, clock, TenantSettings(), bad, b'{"carol@example.com')
    (letter,) = log.dead_letters()
    assert b"example.com" not in reverse(letter)
    assert reverse(letter).count(b"[redacted:email]") == 4


async def test_bytes_that_are_no_text_are_kept_as_they_are(log: FakeLog, clock: ManualClock) -> None:
    await send(log, clock, TenantSettings(), sample(), b'{"a":"\xff"}')
    (row,) = orjson.loads(reverse(log.dead_letters()[0]))["rows"]
    assert row["original_base64"] == "eyJhIjoi/yJ9"
