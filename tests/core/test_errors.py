"""The tree of errors: statuses, titles, headers, and the drawing of it."""

import re
from collections.abc import Iterator

import pytest

from core import errors
from core.errors import HubError


def _all(kind: type[HubError]) -> Iterator[type[HubError]]:
    for one in kind.__subclasses__():
        if one.__module__ == errors.__name__:
            yield one
            yield from _all(one)


PUBLIC = [one for one in _all(HubError) if not one.__name__.startswith("_")]


def test_the_drawing_shows_every_error_with_its_status() -> None:
    drawn = dict(re.findall(r"[├└]── (\w+)\s+(\d{3}|–)", errors.__doc__ or ""))
    assert drawn.keys() == {one.__name__ for one in PUBLIC}
    for one in PUBLIC:
        assert drawn[one.__name__] in ("–", str(one.status))


@pytest.mark.parametrize("kind", PUBLIC)
def test_an_error_says_what_is_wrong(kind: type[HubError]) -> None:
    error = kind("what is wrong", field="x")
    assert (str(error), error.detail, error.extra) == ("what is wrong", "what is wrong", {"field": "x"})
    assert kind.title
    assert 400 <= kind.status < 600
    assert all(isinstance(value, str) for value in error.headers.values())


@pytest.mark.parametrize(("seconds", "header"), [(0.0, "1"), (0.4, "1"), (1.6, "2"), (30, "30")])
def test_come_again_after_whole_seconds_at_least_one(seconds: float, header: str) -> None:
    for kind in (errors.SlowDown, errors.TooManyRequests):
        assert kind("busy", retry_after=seconds).headers == {"Retry-After": header}
