"""The client: ``capture`` is all that runs in the host's threads."""

import logging
import os
import re
import time as clock
from collections.abc import Callable, Mapping
from datetime import datetime
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Final, Self

from llm_hub import default, lifecycle
from llm_hub.context import CURRENT
from llm_hub.encode import Encoder
from llm_hub.ids import new_event_id
from llm_hub.kafka_address import MOST_BYTES, address_of
from llm_hub.options import Options
from llm_hub.pipeline import Pipeline
from llm_hub.snapshot import snapshot
from llm_hub.spans import Span
from llm_hub.transport import HttpTransport, Transport

_log = logging.getLogger("llm_hub")
_now: Final = clock.time_ns
_ADDRESS: Final = re.compile(r"https?://[^/\s:@]+(:\d+)?(/\S*)?$", re.IGNORECASE)


class Client:
    """Sends events to a hub from a background thread.

    The first client of a process becomes the default of :func:`llm_hub.observe` and of the instrumentation. A client
    without a URL or a key is disabled: it says so once in the log, takes everything and sends nothing.

    Parameters
    ----------
    url
        The hub's; ``LLM_HUB_URL`` if not given. Or ``kafka://host:9092,host:9092/topic``: a topic that the hub reads
        (``llm.events`` if not named); whose events they are is said there. Needs the extra ``kafka``, and no key.
    key
        An API key with the scope ``ingest``; ``LLM_HUB_KEY`` if not given.
    source
        The module or service that sends; ``LLM_HUB_SOURCE``, else ``app``.
    project, environment
        Of every event that does not say otherwise; ``LLM_HUB_PROJECT``, ``LLM_HUB_ENVIRONMENT``.
    capture_content
        Whether instrumentation sends prompts, completions, arguments and results; ``LLM_HUB_CAPTURE_CONTENT`` (``1``),
        else no. What the host captures itself is sent as it is.
    options
        Limits and times.
    kafka
        Options of ``aiokafka.AIOKafkaProducer`` for such a URL: ``security_protocol``, ``ssl_context`` …
    transport
        Makes the way to the hub, in the background thread; for tests.

    Raises
    ------
    ValueError
        ``url`` is no ``http://``, ``https://`` or ``kafka://`` address, or one of Kafka without the extra (one of the
        environment only disables the client). Nothing after the construction raises.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        source: str | None = None,
        project: str | None = None,
        environment: str | None = None,
        capture_content: bool | None = None,
        options: Options | None = None,
        kafka: Mapping[str, Any] | None = None,
        transport: Callable[[], Transport] | None = None,
    ) -> None:
        given = os.environ.get
        self.url = (url or given("LLM_HUB_URL", "")).rstrip("/")
        self.source = source or given("LLM_HUB_SOURCE") or "app"
        self.project = project or given("LLM_HUB_PROJECT")
        self.environment = environment or given("LLM_HUB_ENVIRONMENT")
        self.capture_content = given("LLM_HUB_CAPTURE_CONTENT") == "1" if capture_content is None else capture_content
        self.options = options or Options()
        self._key = (key or given("LLM_HUB_KEY", "")).strip()  # read from a file, it often brings its line end
        self._broker = address_of(self.url)
        self._kafka = kafka
        self._transport = transport or (self._http if self._broker is None else self._records)
        self.enabled = transport is not None or self._configured(told=url is not None)
        self._pipeline = self._new_pipeline()
        lifecycle.begin(self)
        default.offer(self)

    def _configured(self, *, told: bool) -> bool:
        if not self.url or not (self._key or self._broker):
            _log.warning("no URL or key of a hub (LLM_HUB_URL, LLM_HUB_KEY): no events are sent")
            return False
        if self._broker is not None and find_spec("aiokafka") is None:
            wrong = "events go to Kafka by the extra: pip install llm-analytics-hub-sdk[kafka]"
        elif self._broker is not None or _ADDRESS.match(self.url):
            return True
        else:
            wrong = f"the URL must be like https://hub.example.com or kafka://host:9092/topic, not {self.url[:100]!r}"
        if told:
            raise ValueError(wrong)
        _log.warning("%s: no events are sent", wrong)  # a decorator may have asked for this client
        return False

    def _http(self) -> Transport:
        return HttpTransport(self.url, self._key)

    def _records(self) -> Transport:
        from llm_hub.kafka import KafkaTransport  # only for those who use it

        assert self._broker is not None
        return KafkaTransport(self._broker, self.options.compression, self._kafka)

    def _new_pipeline(self) -> Pipeline:
        options = self.options
        if self._broker is not None:  # whose producer compresses
            options = options._replace(compression="none", event_bytes=min(options.event_bytes, MOST_BYTES))
        encoder = Encoder(self.source, self.project, self.environment, options.event_bytes)
        pipeline = Pipeline(options, encoder, self._transport)
        if not self.enabled:
            pipeline.limit, pipeline.full = 0, "disabled"
        return pipeline

    def capture(
        self,
        event_type: str,
        data: Mapping[str, Any] | None = None,
        *,
        time: datetime | int | float | str | None = None,  # noqa: PYI041 - the hub takes both kinds of numbers
        event_id: str | None = None,
        trace_id: str | None = None,
        span_id: str | None = None,
        parent_span_id: str | None = None,
        session_id: str | int | None = None,
        user_id: str | int | None = None,
        project: str | None = None,
        environment: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> str:
        """Take an event. Never blocks and never raises; a few microseconds.

        ``data`` and ``attributes`` may be changed afterwards: dicts, lists, tuples and sets in them are copied (up to
        1,000 of them), other objects are read a moment later.

        Parameters
        ----------
        event_type
            One of the hub's types, ``llm.request`` for example.
        data
            The fields of the type.
        time
            When it happened, or ended; now if not given. A datetime, epoch milliseconds, or RFC 3339 text.
        event_id
            A UUID of your own, so that the event counts once however often it is sent.
        trace_id, span_id, parent_span_id, session_id, user_id, project, environment
            Of the envelope; by default those of the current span and context.
        attributes
            Anything else worth filtering by, as text.

        Returns
        -------
        str
            The event's id, for ``target_event_id`` of a later evaluation or feedback.
        """
        identity = event_id
        try:
            now = _now()
            if identity is None:
                identity = new_event_id(now)
            pipeline = self._pipeline
            waiting = len(pipeline.queue)
            if waiting >= pipeline.limit:
                pipeline.refuse()
                return identity
            envelope = (time, trace_id, span_id, parent_span_id, session_id, user_id, project, environment)
            copy = None if attributes is None else snapshot(attributes)
            pipeline.queue.append((event_type, identity, now, CURRENT.get(), snapshot(data), copy, envelope))
            if pipeline.idle or waiting == pipeline.threshold:
                pipeline.wake()
        except Exception:
            self._pipeline.tally.drop("failed")
        return "" if identity is None else identity

    def span(
        self,
        name: str,
        *,
        kind: str = "internal",
        event_type: str = "span",
        data: Mapping[str, Any] | None = None,
        attributes: Mapping[str, Any] | None = None,
        **context: Any,
    ) -> Span:
        """A piece of work, captured when it ends: ``with hub.span("retrieve", kind="retrieval") as s: ...``.

        Also works as ``async with``. Everything captured inside belongs to it.

        Parameters
        ----------
        name
            Of the work: the tool's or agent's name for those types, the model for ``llm.request``.
        kind
            ``server``, ``client``, ``internal``, ``chain``, ``retrieval``, ``tool``, ``agent`` …
        event_type
            The type of the event: ``span``, or ``tool.call``, ``agent.run``, ``retrieval.query``, ``llm.request`` …
        data
            Further fields; see also :meth:`llm_hub.Span.set`.
        attributes
            Of the event.
        **context
            What everything inside inherits: ``trace_id``, ``session_id``, ``user_id``, ``project``, ``environment``.
        """
        return Span(self, name, kind, event_type, data, attributes, context)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until everything captured so far is at the hub or dropped; False if that took longer.

        It blocks: in a coroutine, ``await asyncio.to_thread(hub.flush)``.
        """
        return self._pipeline.flush(timeout)

    def close(self, timeout: float = 5.0) -> bool:
        """Send what there is within ``timeout``, drop the rest, end the thread. Events captured later are dropped."""
        lifecycle.forget(self)
        default.withdraw(self)
        return self._pipeline.close(timeout)

    def stats(self) -> dict[str, Any]:
        """What has come of the events, in this process.

        ``accepted`` (with ``duplicates`` among them), ``dropped`` by reason, ``queued``, ``in_flight``, ``cut`` (sent
        with their texts cut), ``requests``, ``retries``. The reasons are ``queue_full``, ``too_large``,
        ``unserialisable``, ``rejected`` (the hub found the row wrong), ``refused`` (the hub took no event of the
        request: wrong key, wrong URL), ``gave_up``, ``closed``, ``disabled``, ``failed``.
        """
        return self._pipeline.stats()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # For lifecycle

    @property
    def exit_timeout(self) -> float:
        """Seconds that the end of the process waits for what is left."""
        return self.options.exit_timeout

    def renew(self) -> None:
        """In a forked child: an empty queue and a thread of its own. What the parent has queued, the parent sends."""
        self._pipeline = self._new_pipeline()

    def hasten(self, deadline: float) -> None:
        """The process ends at ``deadline``."""
        self._pipeline.hasten(deadline)

    def end(self, deadline: float) -> None:
        """Wait for what is left until ``deadline``."""
        self.close(max(0.0, deadline - clock.monotonic()))
