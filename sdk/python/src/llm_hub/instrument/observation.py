"""One call of a model that is being watched, from the request to the end of its answer."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final, Protocol

from llm_hub.default import get_client
from llm_hub.instrument.bodies import WatchedBody
from llm_hub.instrument.framework import run_around, start_within
from llm_hub.instrument.patching import Method
from llm_hub.instrument.reading import error_fields, first, get
from llm_hub.instrument.watching import Watched, WatchedAsync

_log = logging.getLogger("llm_hub")

#: Answers whose body the host reads itself.
_OF_BYTES: Final = frozenset({"APIResponse", "AsyncAPIResponse"})

#: A client's method that calls another one is one call.
_INSIDE: ContextVar[bool] = ContextVar("llm_hub_inside", default=False)


class Reader(Protocol):
    """Knows the requests and answers of one kind of call. Whatever it raises is logged and harms nobody."""

    event_type: str

    def request(self, resource: Any, arguments: dict[str, Any], content: bool) -> dict[str, Any]:
        """Fields of ``data`` that the request tells, ``model`` among them; may add to ``arguments``."""
        ...

    def answer(self, result: Any, content: bool) -> dict[str, Any]:
        """Fields that a whole answer tells."""
        ...

    def chunk(self, item: Any, fields: dict[str, Any], content: bool) -> bool:
        """Gather from a piece of a streamed answer into ``fields``; whether it brings some of the answer proper."""
        ...

    def hidden(self, item: Any, fields: Mapping[str, Any]) -> bool:
        """Whether a piece was sent only because :meth:`request` asked for it: the host is not shown it."""
        ...


class Observation:
    """A call under way; ends once, whatever happens.

    Parameters
    ----------
    reader
        Of this kind of call.
    resource, arguments
        As the host called it.
    """

    def __init__(self, reader: Reader, resource: Any, arguments: dict[str, Any]) -> None:
        client = get_client()
        self._reader = reader
        self._content = client.capture_content
        #: Of the event; those that begin with an underscore are the reader's own notes.
        self._fields = reader.request(resource, arguments, self._content)
        self._run = run_around(client) if reader.event_type == "llm.request" else None
        span = client.span(self._fields.get("model", "unknown"), event_type=reader.event_type)
        self._span = start_within(span, self._run)
        self._began = self._ended = False

    def returned(self, result: Any) -> Any:
        """The host gets ``result``; a stream is watched on its way."""
        try:
            kind = type(result).__name__
            parsed = result.parse() if kind == "LegacyAPIResponse" else result
            if kind in _OF_BYTES:
                WatchedBody(result.http_response, self)
            elif hasattr(type(parsed), "__anext__") and hasattr(parsed, "_iterator"):
                parsed._iterator = WatchedAsync(parsed._iterator, self)  # noqa: SLF001 - keeps the stream's own class
            elif hasattr(type(parsed), "__next__") and hasattr(parsed, "_iterator"):
                parsed._iterator = Watched(parsed._iterator, self)  # noqa: SLF001
            else:
                self.told(parsed)
                self.ended()
        except Exception:
            _trouble()
            self.ended()
        return result

    def told(self, answer: Any) -> None:
        """The whole answer, as an object or as JSON has it."""
        try:
            self._fields.update(self._reader.answer(answer, self._content))
        except Exception:
            _trouble()

    def saw(self, item: Any) -> bool:
        """Take note of a piece of a stream; whether the host is to see it."""
        try:
            if isinstance(item, dict) and (error := item.get("error")):  # as bytes bring it; else the client raises
                self._fields.update(status="error", error_type=first(get(error, "type")) or "error")
            if self._reader.chunk(item, self._fields, self._content) and not self._began:
                self._began = True
                self._span.set(time_to_first_token_ms=self._span.elapsed_ms())
            return not self._reader.hidden(item, self._fields)
        except Exception:
            _trouble()
            return True

    def failed(self, error: BaseException) -> None:
        """The call, or its stream, raised."""
        self._fields.update(error_fields(error))
        self.ended()

    def ended(self) -> None:
        """There is no more to come."""
        if self._ended:
            return
        self._ended = True
        self._span.set(**{name: value for name, value in self._fields.items() if not name.startswith("_")})
        if self._run is None or not self._run.ended(self._span):
            self._span.end()


def _trouble() -> None:
    _log.debug("an answer could not be read", exc_info=True)


def observation_of(reader: Reader, resource: Any, arguments: dict[str, Any]) -> Observation | None:
    """The observation of a call that begins; None inside of another one, or if it cannot be read."""
    if _INSIDE.get():
        return None
    try:
        return Observation(reader, resource, arguments)
    except Exception:
        _trouble()
        return None


def watched(reader: Reader) -> Callable[[Method], Method]:
    """Makes the watched form of a method that answers at once."""

    def make(original: Method) -> Method:
        def call(resource: Any, *args: Any, **kwargs: Any) -> Any:
            observation = observation_of(reader, resource, kwargs)
            if observation is None:
                return original(resource, *args, **kwargs)
            return run(observation, lambda: original(resource, *args, **kwargs))

        return call

    return make


def watched_async(reader: Reader) -> Callable[[Method], Method]:
    """Makes the watched form of a coroutine function."""

    def make(original: Method) -> Method:
        async def call(resource: Any, *args: Any, **kwargs: Any) -> Any:
            observation = observation_of(reader, resource, kwargs)
            if observation is None:
                return await original(resource, *args, **kwargs)
            return await run_async(observation, original(resource, *args, **kwargs))

        return call

    return make


def run(observation: Observation, original: Callable[[], Any]) -> Any:
    """Call, and watch what comes of it."""
    token = _INSIDE.set(True)
    try:
        result = original()
    except BaseException as error:
        observation.failed(error)
        raise
    finally:
        _INSIDE.reset(token)
    return observation.returned(result)


async def run_async(observation: Observation, original: Awaitable[Any]) -> Any:
    """Await, and watch what comes of it."""
    token = _INSIDE.set(True)
    try:
        result = await original
    except BaseException as error:
        observation.failed(error)
        raise
    finally:
        _INSIDE.reset(token)
    return observation.returned(result)
