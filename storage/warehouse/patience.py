"""What is done about a server that does not answer: try again for a moment, then leave it in peace for a while."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Final, Literal, TypeVar

from core.clock import Clock
from core.errors import HubError, Retryable
from storage.warehouse.config import WarehouseConfig
from storage.warehouse.failures import away

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")
State = Literal["closed", "half_open", "open"]
#: States as the gauge has them.
LEVELS: Final[dict[State, int]] = {"closed": 0, "half_open": 1, "open": 2}


class Breaker:
    """Lets calls through until several in a row had no answer; then, after a pause, one at a time to see.

    Safe to share between threads. An answer that says no (a wrong question, a full table) is an answer.

    Parameters
    ----------
    clock
        Decides when the pause is over.
    failures
        Calls without an answer, one after the other, that open it.
    seconds
        Length of the pause.
    """

    def __init__(self, clock: Clock, failures: int, seconds: float) -> None:
        self._clock, self._failures, self._seconds = clock, failures, seconds
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._until = 0.0
        self._probing = False

    @property
    def state(self) -> State:
        """``closed``: all is well; ``open``: nothing is let through; ``half_open``: one call is, to see."""
        with self._lock:
            return self._state()

    @contextmanager
    def call(self) -> Iterator[None]:
        """Around one call, which raises the hub's errors.

        Raises
        ------
        core.errors.Retryable
            It is open; ``retry_after`` says for how long.
        """
        probe = self._admit()
        answered = True
        try:
            yield
        except HubError as error:
            answered = not away(error)
            raise
        finally:
            self._note(answered=answered, probe=probe)

    def _state(self) -> State:
        if self._in_a_row < self._failures:
            return "closed"
        return "open" if self._clock.monotonic() < self._until else "half_open"

    def _admit(self) -> bool:
        """Let a call through, or raise; whether it is the one that finds out."""
        with self._lock:
            state = self._state()
            if state == "closed":
                return False
            if state == "half_open" and not self._probing:
                self._probing = True
                return True
            wait = self._until - self._clock.monotonic() if state == "open" else 1.0
        raise Retryable("The warehouse does not answer; it is asked again in a moment.", retry_after=wait)

    def _note(self, *, answered: bool, probe: bool) -> None:
        with self._lock:
            self._probing = self._probing and not probe
            before = self._in_a_row
            self._in_a_row = 0 if answered else before + 1
            opens = self._in_a_row >= self._failures
            if opens:
                self._until = self._clock.monotonic() + self._seconds
        if opens and before + 1 == self._failures:
            logger.warning("the warehouse does not answer; it is left in peace for %g s at a time", self._seconds)
        elif answered and before >= self._failures:
            logger.warning("the warehouse answers again")


class Patience:
    """Tries again what may be done twice, with growing, jittered pauses, behind a breaker.

    Parameters
    ----------
    config
        How often, how long, and when the breaker opens.
    clock
        For the breaker and for how long is tried.
    sleep, jitter
        How a thread waits, and where chance comes from.
    """

    def __init__(
        self,
        config: WarehouseConfig,
        clock: Clock,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Random | None = None,
    ) -> None:
        self._config, self._clock, self._sleep = config, clock, sleep
        self._jitter = jitter or Random()  # noqa: S311 - spreads retries, keeps no secret
        self.breaker = Breaker(clock, config.breaker_failures, config.breaker_seconds)

    def run(self, call: Callable[[], Answer], *, again: bool, retried: Callable[[], None]) -> Answer:
        """What ``call`` answers.

        Parameters
        ----------
        call
            Raises the hub's errors.
        again
            Whether doing it twice does no harm. Only what had no answer is tried again, and only while that is quick:
            whoever waits longer decides for themselves.
        retried
            Called before each further attempt.
        """
        began, pause = self._clock.monotonic(), self._config.retry_seconds
        for _ in range(self._config.retries if again else 0):
            try:
                with self.breaker.call():
                    return call()
            except Retryable as error:
                if not away(error) or self._clock.monotonic() - began > self._config.retry_within_seconds:
                    raise
                retried()
                self._sleep(pause * self._jitter.uniform(0.5, 1.0))
                pause *= 2
        with self.breaker.call():
            return call()
