"""Token buckets under a clock that is moved by hand."""

import doctest
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

import access.keys
import access.limits
import access.tenant_settings
from access.limits import Limits
from access.principal import Principal, RateLimit, Role
from core.clock import ManualClock
from core.errors import TooManyRequests


def caller(key: str = "k", **limit: float) -> Principal:
    return Principal("t", key, Role.DEVELOPER, frozenset(), RateLimit(**limit))


def allowed(limits: Limits, principal: Principal, count: int) -> bool:
    try:
        limits.take_events(principal, count)
    except TooManyRequests:
        return False
    return True


def test_without_a_limit_everything_passes(clock: ManualClock) -> None:
    limits = Limits(clock)
    for _ in range(1000):
        limits.take_request(caller())
        limits.take_events(caller(), 10**6)


def test_a_large_batch_passes_and_is_paid_off(clock: ManualClock) -> None:
    limits, sender = Limits(clock), caller(events_per_second=100)
    assert allowed(limits, sender, 1000)
    with pytest.raises(TooManyRequests) as caught:
        limits.take_events(sender, 1)
    clock.advance(caught.value.retry_after)
    assert allowed(limits, sender, 1)


def test_keys_have_buckets_of_their_own_and_not_without_bound(clock: ManualClock) -> None:
    limits = Limits(clock, most=2)
    for name in "abc":
        limits.take_request(caller(name, requests_per_second=1))
    with pytest.raises(TooManyRequests):
        limits.take_request(caller("c", requests_per_second=1))
    limits.take_request(caller("a", requests_per_second=1))


@given(
    st.floats(1, 1000),
    st.lists(st.tuples(st.integers(1, 500), st.floats(0, 3)), min_size=1, max_size=40),
)
def test_no_more_passes_than_the_rate_and_one_batch_beyond(rate: float, steps: list[tuple[int, float]]) -> None:
    from datetime import UTC, datetime

    clock = ManualClock(datetime(2026, 11, 20, tzinfo=UTC))
    limits, sender, passed, largest = Limits(clock), caller(events_per_second=rate), 0, 0
    for count, wait in steps:
        if allowed(limits, sender, count):
            passed += count
            largest = max(largest, count)
        clock.advance(wait)
    assert passed <= rate * (clock.monotonic() + 1) + largest + 1e-6


@pytest.mark.parametrize("module", [access.keys, access.limits, access.tenant_settings])
def test_the_examples_in_the_docstrings(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0
