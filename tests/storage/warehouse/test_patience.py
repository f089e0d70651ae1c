"""The breaker and the attempts, on a clock that is moved by hand."""

from collections.abc import Callable
from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import ManualClock
from core.errors import HubError, Poison, Retryable, SlowDown, Unprocessable
from storage.warehouse.config import WarehouseConfig
from storage.warehouse.failures import away, failure
from storage.warehouse.patience import LEVELS, Breaker, Patience

START = datetime(2026, 11, 20, tzinfo=UTC)
GONE = failure(ConnectionError("refused"), "query")


def _fails(breaker: Breaker, error: HubError = GONE) -> None:
    with pytest.raises(type(error)), breaker.call():
        raise error


def _answers(breaker: Breaker) -> None:
    with breaker.call():
        pass


def test_it_opens_after_failures_in_a_row_and_closes_after_one_answer() -> None:
    clock = ManualClock(START)
    breaker = Breaker(clock, failures=3, seconds=5)
    for _ in range(2):
        _fails(breaker)
    _answers(breaker)
    for _ in range(3):
        assert breaker.state == "closed"
        _fails(breaker)
    assert breaker.state == "open"
    clock.advance(2)
    with pytest.raises(Retryable) as caught, breaker.call():
        pytest.fail("is let through")
    assert caught.value.headers == {"Retry-After": "3"}
    assert not away(caught.value), "its own answer says nothing about the server"
    clock.advance(3)
    assert breaker.state == "half_open"
    _fails(breaker)
    assert breaker.state == "open"
    clock.advance(5)
    _answers(breaker)
    assert breaker.state == "closed"
    assert set(LEVELS) == {"closed", "half_open", "open"}


def test_one_call_at_a_time_finds_out() -> None:
    clock = ManualClock(START)
    breaker = Breaker(clock, failures=1, seconds=5)
    _fails(breaker)
    clock.advance(5)
    with breaker.call():
        with pytest.raises(Retryable), breaker.call():
            pytest.fail("is let through")
        assert breaker.state == "half_open"
    _answers(breaker)


@pytest.mark.parametrize(
    "error",
    [
        failure(RuntimeError("Code: 60. DB::Exception: no. (UNKNOWN_TABLE)"), "query"),
        failure(RuntimeError("Code: 252. DB::Exception: parts. (TOO_MANY_PARTS)"), "insert"),
        failure(RuntimeError("Code: 159. DB::Exception: slow. (TIMEOUT_EXCEEDED)"), "query"),
        Poison("bad"),
        SlowDown("full"),
        Unprocessable("much"),
    ],
)
def test_an_answer_that_says_no_is_an_answer(error: HubError) -> None:
    breaker = Breaker(ManualClock(START), failures=1, seconds=5)
    _fails(breaker, error)
    assert breaker.state == "closed"


class _Tries:
    """Fails so many times with an error, then answers."""

    def __init__(self, failures: int, error: HubError = GONE, spend: Callable[[], None] = lambda: None) -> None:
        self.failures, self.error, self.spend, self.calls = failures, error, spend, 0

    def __call__(self) -> str:
        self.calls += 1
        self.spend()
        if self.calls <= self.failures:
            raise self.error
        return "answer"


def _patience(clock: ManualClock, slept: list[float], **values: int) -> Patience:
    config = WarehouseConfig(retries=3, retry_seconds=0.1, retry_within_seconds=2, breaker_failures=100, **values)
    return Patience(config, clock, slept.append, Random(1))


def test_pauses_grow_with_jitter() -> None:
    slept: list[float] = []
    retried: list[int] = []
    tries = _Tries(3)
    patience = _patience(ManualClock(START), slept)
    assert patience.run(tries, again=True, retried=lambda: retried.append(1)) == "answer"
    assert [0.05 <= slept[0] <= 0.1, 0.1 <= slept[1] <= 0.2, 0.2 <= slept[2] <= 0.4] == [True] * 3
    assert (tries.calls, len(retried)) == (4, 3)


@pytest.mark.parametrize(("error", "again"), [(GONE, False), (Poison("bad"), True), (SlowDown("full"), True)])
def test_only_what_does_no_harm_and_may_help_is_tried_again(error: HubError, *, again: bool) -> None:
    tries = _Tries(9, error)
    with pytest.raises(type(error)):
        _patience(ManualClock(START), []).run(tries, again=again, retried=lambda: None)
    assert tries.calls == 1


def test_what_took_long_is_not_tried_again() -> None:
    clock = ManualClock(START)
    tries = _Tries(9, spend=lambda: clock.advance(3))
    with pytest.raises(Retryable):
        _patience(clock, []).run(tries, again=True, retried=lambda: None)
    assert tries.calls == 1


@given(st.lists(st.sampled_from(["fail", "answer", "no", "wait"]), max_size=60))
def test_open_exactly_after_failures_in_a_row(steps: list[str]) -> None:
    clock = ManualClock(START)
    breaker = Breaker(clock, failures=3, seconds=5)
    row, since = 0, 0.0
    for step in steps:
        if step == "wait":
            clock.advance(2.5)
            continue
        through = row < 3 or clock.monotonic() - since >= 5
        let = []
        try:
            with breaker.call():
                let.append(True)
                if step != "answer":
                    raise GONE if step == "fail" else Poison("no")
        except HubError:
            pass
        assert bool(let) == through
        if through:
            row = row + 1 if step == "fail" else 0
            since = clock.monotonic() if row >= 3 else since
