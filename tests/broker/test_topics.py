"""The hub's own topics."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.topics import EVENTS, code, hub_topics, lanes, parse_mirrors


def test_the_settings_are_those_of_the_events() -> None:
    events, *others = hub_topics(4, events_bytes=1 << 20, events_hours=5)
    assert (events.name, events.partitions, events.retention_s, events.retention_bytes) == (
        EVENTS,
        4,
        5 * 3600,
        1 << 20,
    )
    assert others == [*hub_topics(4)[1:]]


def test_mirrors_are_as_large_as_the_events() -> None:
    own, mirrored = (topic for topic in hub_topics(4, events_bytes=1 << 20, mirrors=["eu"]) if topic.retention_bytes)
    assert (own.name, mirrored.name) == (EVENTS, "eu.hub.events")
    assert replace(mirrored, name=EVENTS) == own


NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?", fullmatch=True)


@given(st.lists(NAMES, unique_by=code, max_size=5), st.integers(1, 1024))
def test_every_partition_has_a_lane_of_its_own(names: list[str], partitions: int) -> None:
    assert parse_mirrors(", ".join(names)) == tuple(names)
    found = lanes(names, partitions)
    assert len(set(found)) == len(found) == (len(names) + 1) * partitions
    assert set(found) == set(lanes(names[::-1], partitions))
    assert max(found) < 1 << 15, "a position has 15 bits for its lane"


@pytest.mark.parametrize("text", ["Eu", "eu.west", "-eu", "eu-", "e" * 33, "eu,,us", "a b"])
def test_what_is_no_name_of_a_region_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no name of a region"):
        parse_mirrors(text)


def test_regions_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="named twice"):
        parse_mirrors("eu,eu")
    alike = next(f"r{number}" for number in range(1000) if code(f"r{number}") == code("eu"))
    with pytest.raises(ValueError, match="same code"):
        parse_mirrors(f"eu,{alike}")
