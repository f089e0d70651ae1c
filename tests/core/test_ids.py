"""Ids: ordered by time, and the same for the same text."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from core.ids import derived_id, event_id, uuid7


@given(st.integers(0, 2**48 - 1))
def test_a_new_id_is_version_7_and_holds_its_time(unix_ms: int) -> None:
    made = uuid7(unix_ms)
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == unix_ms


def test_new_ids_of_now_differ() -> None:
    assert len({uuid7() for _ in range(1000)}) == 1000


@given(st.text())
def test_any_text_has_one_id(text: str) -> None:
    assert event_id(text) == event_id(text)


@given(st.uuids())
def test_a_uuid_is_its_own_id_however_it_is_spelt(value: uuid.UUID) -> None:
    assert event_id(str(value).upper()) == event_id(value.hex) == value


def test_what_only_looks_like_a_uuid_gets_another() -> None:
    assert event_id("z" * 32).version == 5


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\x1f"))), st.lists(st.text(alphabet="ab")))
def test_other_parts_give_another_id(one: list[str], other: list[str]) -> None:
    assert (derived_id(*one) == derived_id(*other)) == (one == other or "\x1f".join(one) == "\x1f".join(other))
