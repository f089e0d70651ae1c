"""The ``anthropic`` package: messages, whole and streamed, also of its beta."""

from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any, Final

from llm_hub.instrument.observation import Reader, observation_of, run, run_async, watched, watched_async
from llm_hub.instrument.patching import Method, Patches
from llm_hub.instrument.reading import first, get, given

_patches: Final = Patches()
_PROVIDERS: Final[Mapping[str, str]] = {"Bedrock": "aws", "Vertex": "google", "Foundry": "azure"}


def instrument(*, provider: str | None = None) -> None:
    """Capture every call of the package, of all its clients; a second time changes nothing.

    Parameters
    ----------
    provider
        Who answers, where the client does not tell it.
    """
    if _patches:
        return
    reader = Messages(provider)
    for module in ("anthropic.resources.messages", "anthropic.resources.beta.messages"):
        _patches.replace(module, "Messages", ("create", "parse"), watched(reader))
        _patches.replace(module, "AsyncMessages", ("create", "parse"), watched_async(reader))
        for owner in ("Messages", "AsyncMessages"):
            _patches.replace(module, owner, ("stream",), watched_manager(reader))


def uninstrument() -> None:
    """Restore the package exactly."""
    _patches.restore()


def usage_fields(usage: Any) -> dict[str, Any]:
    """Token counts under the hub's names: its ``input_tokens`` hold what was read from and written to the cache."""
    read, written = first(get(usage, "cache_read_input_tokens")), first(get(usage, "cache_creation_input_tokens"))
    plain = first(get(usage, "input_tokens"))
    return given(
        input_tokens=None if plain is None else plain + (read or 0) + (written or 0),
        output_tokens=first(get(usage, "output_tokens")),
        cache_read_input_tokens=read,
        cache_write_input_tokens=written,
        reasoning_output_tokens=first(get(usage, "output_tokens_details", "thinking_tokens")),
    )


class Messages:
    """``messages``."""

    event_type = "llm.request"

    def __init__(self, provider: str | None) -> None:
        self._provider = provider

    def request(self, resource: Any, arguments: dict[str, Any], content: bool) -> dict[str, Any]:
        """See :class:`Reader`."""
        data = given(
            model=first(arguments.get("model")),
            provider=self._provider or provider_of(resource),
            operation="chat",
            stream=True if arguments.get("stream") is True else None,
            temperature=first(arguments.get("temperature")),
            max_tokens=first(arguments.get("max_tokens")),
        )
        if content:
            system, messages, tools = (arguments.get(name) for name in ("system", "messages", "tools"))
            before = [{"role": "system", "content": system}] if isinstance(system, str | list) else []
            data["input_messages"] = [*before, *messages] if isinstance(messages, list) else before
            data |= {"tools": tools} if isinstance(tools, list) else {}
        return data

    def answer(self, result: Any, content: bool) -> dict[str, Any]:
        """See :class:`Reader`."""
        fields = usage_fields(get(result, "usage")) | given(
            response_model=first(get(result, "model")), finish_reason=first(get(result, "stop_reason"))
        )
        if content:
            fields["output_messages"] = [{"role": "assistant", "content": get(result, "content")}]
        return fields

    def chunk(self, item: Any, fields: dict[str, Any], content: bool) -> bool:
        """See :class:`Reader`."""
        match get(item, "type"):
            case "message_start":
                message = get(item, "message")
                fields |= usage_fields(get(message, "usage")) | given(response_model=first(get(message, "model")))
            case "message_delta":
                # Counts of the whole so far; what it does not repeat stands as it was told at the start.
                told = usage_fields(get(item, "usage"))
                fields |= told | given(finish_reason=first(get(item, "delta", "stop_reason")))
            case "content_block_start" if content:
                fields.setdefault("_blocks", []).append(_Block(get(item, "content_block")))
                fields["output_messages"] = [{"role": "assistant", "content": fields["_blocks"]}]
            case "content_block_delta":
                if content and (blocks := fields.get("_blocks")):
                    blocks[-1].add(get(item, "delta"))
                return True
        return False

    def hidden(self, item: Any, fields: Mapping[str, Any]) -> bool:  # noqa: ARG002 - nothing more is asked for
        """See :class:`Reader`."""
        return False


class _Block(dict[str, Any]):
    """A block of content as its pieces come in."""

    def __init__(self, start: Any) -> None:
        super().__init__(given(type=first(get(start, "type")), name=first(get(start, "name")), text=""))

    def add(self, delta: Any) -> None:
        parts = (get(delta, name) for name in ("text", "partial_json", "thinking"))
        self["text"] += next((part for part in parts if isinstance(part, str)), "")


def watched_manager(reader: Reader) -> Callable[[Method], Method]:
    """Makes the watched form of ``stream``: its manager makes the request when it is entered."""

    def make(original: Method) -> Method:
        def call(resource: Any, *args: Any, **kwargs: Any) -> Any:
            manager = original(resource, *args, **kwargs)
            name = next((name for name in vars(manager) if name.endswith("__api_request")), None)
            if name is not None:
                request = getattr(manager, name)
                asked = {**kwargs, "stream": True}
                entered = _entered if callable(request) else _EnteredAsync
                setattr(manager, name, entered(reader, resource, asked, request))
            return manager

        return call

    return make


def _entered(reader: Reader, resource: Any, asked: dict[str, Any], request: Callable[[], Any]) -> Callable[[], Any]:
    def enter() -> Any:
        observation = observation_of(reader, resource, asked)
        return request() if observation is None else run(observation, request)

    return enter


class _EnteredAsync:
    """Awaited by the manager; no coroutine is made before that."""

    def __init__(self, reader: Reader, resource: Any, asked: dict[str, Any], request: Awaitable[Any]) -> None:
        self._reader = reader
        self._resource = resource
        self._asked = asked
        self._request = request

    def __await__(self) -> Generator[Any, Any, Any]:
        observation = observation_of(self._reader, self._resource, self._asked)
        if observation is None:
            return self._request.__await__()
        return run_async(observation, self._request).__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)


def provider_of(resource: Any) -> str:
    """Who answers."""
    client = type(get(resource, "_client")).__name__
    return next((provider for part, provider in _PROVIDERS.items() if part in client), "anthropic")
