"""A dead letter can always be written, however large the record was."""

from base64 import b64decode
from datetime import UTC, datetime

import orjson
import pytest

from broker.kafka import KafkaLogConfig
from broker.log import Record
from streams.dead_letters import ORIGINAL_BYTES, dead_letters

NOW = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.mark.parametrize("size", [0, 100, ORIGINAL_BYTES, ORIGINAL_BYTES + 1, 60 << 20])
def test_a_letter_fits_into_the_log(size: int) -> None:
    record = Record("hub.events", 3, 7, None, b"x" * size, (("rows", b"\xff"),), 1)
    (letter,) = dead_letters([(record, "is no event")], "decode", lambda plain: plain + bytes(64), NOW)
    assert letter.value is not None
    assert len(letter.value) <= KafkaLogConfig().record_bytes
    told = orjson.loads(letter.value[:-64])
    assert (told["original_bytes"], told["offset"]) == (size, 7)
    assert len(b64decode(told["original_base64"])) == min(size, ORIGINAL_BYTES)
