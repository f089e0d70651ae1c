"""From the queue to the hub: the queue that callers append to, and the one thread that empties it."""

import logging
import random
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from llm_hub.answers import Verdict, backoff, judge, receipt_of, retry_after
from llm_hub.batch import Batch, Compressor, compressor
from llm_hub.context import EMPTY
from llm_hub.encode import Captured, Encoder
from llm_hub.ids import new_event_id
from llm_hub.lifecycle import CONNECTING, watch_multiprocessing
from llm_hub.options import Options
from llm_hub.tally import Tally
from llm_hub.transport import Answer, Transport, Unreachable, headers_of

_log = logging.getLogger("llm_hub")

#: An empty queue is looked at so often, in case of anything.
_IDLE_S: Final = 30.0
_QUIET_S: Final = 60.0
_TROUBLE_S: Final = 0.25
_FEW: Final = 100
_NO_ENVELOPE: Final = (None,) * 8


class Mark(threading.Event):
    """Stands in the queue where somebody flushes: set when everything before it is dealt with."""


class Pipeline:
    """What a client is made of in one process; after a fork the child makes a new one.

    ``queue``, ``limit``, ``idle`` and ``threshold`` are for the caller's hot path, which does nothing but append and,
    now and then, :meth:`wake`. Nothing there takes a lock that a signal handler or a finaliser could find taken.

    Parameters
    ----------
    options
        Of the client.
    encoder
        Writes the lines.
    connect
        Makes the transport; called in the thread.
    """

    def __init__(self, options: Options, encoder: Encoder, connect: Callable[[], Transport]) -> None:
        self.queue: deque[Captured | Mark] = deque()
        self.limit = options.queue_size
        self.threshold = options.batch_size
        self.idle = True
        self.full = "queue_full"
        self.tally = Tally()
        self.thread: threading.Thread | None = None
        self._options = options
        self._encoder = encoder
        self._connect = connect
        self._transport: Transport | None = None
        self._compress: Compressor = compressor("none")
        self._starting = threading.Lock()
        # A lock as a binary semaphore: released to wake, taken to sleep. Unlike a condition it can be used anywhere.
        self._woken = threading.Lock()
        self._woken.acquire()
        self._marks: set[Mark] = set()
        self._ending = threading.Event()
        self._ended = threading.Event()
        self._deadline = float("inf")
        self._not_before = 0.0
        self._line_bytes = 1_024.0
        self._told: dict[str, float] = {}

    # The callers' side

    def wake(self) -> None:
        """Let the thread look at the queue; start it if there is none."""
        self.idle = False
        if self.thread is None and self._start():
            return  # it looks at the queue before it sleeps
        with suppress(RuntimeError):  # it is awake
            self._woken.release()

    def refuse(self) -> None:
        """Count an event that finds no room."""
        self.tally.drop(self.full)

    def flush(self, timeout: float) -> bool:
        """Wait until all that is in the queue has been dealt with; False if that took too long."""
        if threading.current_thread() is self.thread:  # a log handler that flushes
            return False
        if self.full == "disabled":
            return True
        if not self.queue and (self._ended.is_set() or (self.thread is None and not self.tally.unreported())):
            return True
        mark = Mark()
        self._marks.add(mark)
        self.queue.append(mark)
        self.wake()
        if self._ended.is_set():
            return False
        if self.thread is None and self._starting.acquire(blocking=False):
            # No thread to be had, the interpreter may be going down: this one does it.
            before, self._deadline = self._deadline, min(self._deadline, time.monotonic() + timeout)
            self._empty()
            self._deadline = before
            self._starting.release()
        return mark.wait(timeout)

    def close(self, timeout: float) -> bool:
        """Take nothing more, send what there is within ``timeout``, count the rest as ``closed``."""
        if self._ended.is_set() or self.full == "disabled":
            return True
        self.hasten(time.monotonic() + timeout)
        done = self.flush(timeout)
        if self.thread is not None and done:
            self.thread.join(max(0.0, self._deadline - time.monotonic()) + 0.1)
        self._drop_all()
        self._ended.set()
        if self.thread is None and self._transport is not None:
            self._transport.close()
        return done

    def hasten(self, deadline: float) -> None:
        """Take nothing more; retries are to be done by ``deadline`` (monotonic)."""
        self.limit, self.full, self._deadline = 0, "closed", deadline
        self._ending.set()
        if self.queue:
            self.wake()

    def stats(self) -> dict[str, Any]:
        """See :meth:`llm_hub.Client.stats`."""
        return {**self.tally.stats(), "queued": len(self.queue), "cut": self._encoder.cut}

    def _start(self) -> bool:
        if not self._starting.acquire(blocking=False):
            return False  # another caller does it
        thread = threading.Thread(target=self._run, name="llm-hub", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads: the next event tries again, the end of the process sends by itself
            self._starting.release()
            self.idle = True
            return False
        self.thread = thread
        watch_multiprocessing()
        return True

    # The thread's side

    def _run(self) -> None:
        try:
            while not (self._ending.is_set() and not self.queue):
                self._rest()
                self._empty()
        finally:
            self._ended.set()
            self._empty()  # who flushed in the meantime
            if self._transport is not None:
                self._transport.close()

    def _rest(self) -> None:
        """Sleep while there is nothing, then let the first events gather."""
        self.idle = True
        if not self.queue:
            self._woken.acquire(timeout=_IDLE_S)
        self.idle = False
        until = time.monotonic() + self._options.interval
        while not self._pressing() and (left := until - time.monotonic()) > 0:
            self._woken.acquire(timeout=left)

    def _pressing(self) -> bool:
        return bool(self._marks) or self._ending.is_set() or not 0 < len(self.queue) < self.threshold

    def _empty(self) -> None:
        try:
            while self.queue:
                self._send_next()
        except BaseException:  # the thread must not end before its client does
            self._say("trouble", "an unexpected error of the client itself", exc_info=True)
            self._ended.wait(_TROUBLE_S)

    def _connected(self) -> Transport:
        if self._transport is None:
            with CONNECTING:
                self._compress = compressor(self._options.compression)
                self._transport = self._connect()
        return self._transport

    def _send_next(self) -> None:
        lines, mark = self._gather()
        try:
            reports, drops = self._reports() if lines or mark else ([], Counter[str]())
            if lines or reports:
                self._deliver(Batch(lines, reports, drops))
        finally:
            self.tally.drop("failed", self.tally.in_flight)
            self.tally.in_flight = 0
            if mark is not None:
                self._marks.discard(mark)
                mark.set()

    def _gather(self) -> tuple[list[bytes], Mark | None]:
        lines: list[bytes] = []
        mark, size = None, 0
        while len(lines) < self._options.batch_size and size < self._options.batch_bytes:
            try:
                item = self.queue.popleft()
            except IndexError:
                break
            if isinstance(item, Mark):
                mark = item
                break
            self.tally.in_flight += 1
            if (line := self._line(item)) is not None:
                lines.append(line)
                size += len(line) + 1
        if lines:
            self._reckon(size / len(lines))
        return lines, mark

    def _line(self, captured: Captured) -> bytes | None:
        reason = "too_large"
        try:
            line = self._encoder.line(captured)
        except BaseException:  # whatever it is, it is the event's and not the others'
            line, reason = None, "unserialisable"
        if line is None:
            self.tally.in_flight -= 1
            self.tally.drop(reason)
        return line

    def _reckon(self, line_bytes: float) -> None:
        """The room in the queue, from the size of the latest events."""
        self._line_bytes += 0.3 * (line_bytes - self._line_bytes)
        room = max(_FEW, int(self._options.queue_bytes / self._line_bytes))
        if not self._ending.is_set():
            self.limit = min(self._options.queue_size, room)

    def _reports(self) -> tuple[list[bytes], Counter[str]]:
        """One line a reason of what was dropped since the last one that the hub has."""
        drops, lines = self.tally.unreported(), []
        for reason, count in drops.items():
            data = {
                "name": "llm_hub.sdk.dropped",
                "value": count,
                "unit": "{event}",
                "kind": "counter",
                "temporality": "delta",
            }
            now = time.time_ns()
            event = ("metric.sample", new_event_id(now), now, EMPTY, data, {"reason": reason}, _NO_ENVELOPE)
            if (line := self._encoder.line(event)) is not None:
                lines.append(line)
        return lines, drops

    def _deliver(self, batch: Batch) -> None:
        """Send a batch until it is taken, refused or given up."""
        answer = self._answer_to(batch)
        if answer is None:
            self._settle(batch, "closed" if self._ending.is_set() else "gave_up")
            return
        verdict = judge(answer)
        if verdict is Verdict.TAKEN:
            self._take(batch, answer)
        elif verdict is Verdict.SMALLER and len(batch.lines) > 1:
            for half in batch.halves():
                self._deliver(half)
        elif verdict is Verdict.SMALLER:
            self._settle(batch, "too_large")
        else:
            self._say("refused", "the hub refused events: %s %s", answer.status, answer.body[:300])
            self._settle(batch, "refused")

    def _answer_to(self, batch: Batch) -> Answer | None:
        """The answer to the batch; None if there was none that counts for as long as one may wait."""
        transport = self._connected()
        encoding, body = self._compress(batch.body)
        headers = headers_of(encoding, new_event_id(time.time_ns()))
        until = time.monotonic() + self._options.give_up_after
        attempt = 0
        # What the hub asked one batch to wait, the next waits too.
        while self._pause(self._not_before - time.monotonic(), until):
            left = min(until, self._deadline) - time.monotonic()
            attempt += 1
            try:
                self.tally.requests += 1
                answer = transport.post(body, headers, min(self._options.timeout, left))
                if judge(answer) is not Verdict.LATER:
                    return answer
                self._not_before = time.monotonic() + retry_after(answer.retry_after)
                self._say("later", "the hub is busy: %s; the events wait", answer.status)
            except Unreachable as error:
                self._say("unreachable", "no answer from the hub (%s); the events wait", error)
            chance = random.random()  # noqa: S311 - jitter
            wait = backoff(attempt, self._options.backoff, self._options.backoff_most, chance)
            if not self._pause(max(self._not_before - time.monotonic(), 0.0) + wait, until):
                break
            self.tally.retries += 1
        return None

    def _pause(self, seconds: float, until: float) -> bool:
        """Wait before a try, or less if the client is closed meanwhile; False if there is no time left for one."""
        now = time.monotonic()
        if now + seconds > self._deadline:
            return False
        event = self._ended if self._ending.is_set() else self._ending
        if seconds > 0:
            event.wait(min(seconds, max(0.0, until - now)))
        return time.monotonic() < min(until, self._deadline)

    def _take(self, batch: Batch, answer: Answer) -> None:
        """Count what the hub says of a batch; its verdict on the client's own lines is nobody's loss."""
        count = len(batch.lines)
        receipt = receipt_of(answer, count + len(batch.reports))
        own = sum(1 for index, _ in receipt.rows if index >= count)
        rejected = min(receipt.rejected - own, count)
        if rejected:
            reason = next((reason for index, reason in receipt.rows if index < count), "")
            self._say("rejected", "the hub rejected %s events, the first for: %s", rejected, reason)
        duplicates = min(receipt.duplicates, count - rejected)
        self.tally.drop("rejected", rejected)
        self.tally.duplicates += duplicates
        self.tally.accepted += count - rejected
        self.tally.in_flight -= count
        self.tally.reported(batch.drops)

    def _settle(self, batch: Batch, reason: str) -> None:
        self.tally.in_flight -= len(batch.lines)
        self.tally.drop(reason, len(batch.lines))

    def _drop_all(self) -> None:
        while self.queue:
            try:
                item = self.queue.popleft()
            except IndexError:
                break
            if isinstance(item, Mark):
                item.set()
            else:
                self.tally.drop("closed")

    def _say(self, kind: str, message: str, *values: object, exc_info: bool = False) -> None:
        """A warning in the host's log, once a minute a kind."""
        now = time.monotonic()
        if now >= self._told.get(kind, 0.0) and not sys.is_finalizing():
            self._told[kind] = now + _QUIET_S
            _log.warning(message, *values, exc_info=exc_info)
