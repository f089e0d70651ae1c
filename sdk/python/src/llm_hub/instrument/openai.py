"""The ``openai`` package: chat completions, responses, text completions, embeddings; any server of its form."""

from collections.abc import Mapping
from typing import Any, Final

from llm_hub.instrument.observation import Reader, watched, watched_async
from llm_hub.instrument.patching import Patches
from llm_hub.instrument.reading import first, get, given

_patches: Final = Patches()

#: Where it is known who answers; other hosts are named as they are.
_PROVIDERS: Final[Mapping[str, str]] = {
    "api.openai.com": "openai",
    "openrouter.ai": "openrouter",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral",
    "api.together.xyz": "together",
    "api.fireworks.ai": "fireworks",
    "api.x.ai": "x-ai",
    "generativelanguage.googleapis.com": "google",
}


def instrument(*, provider: str | None = None, stream_usage: bool | None = None) -> None:
    """Capture every call of the package, of all its clients; a second time changes nothing.

    Parameters
    ----------
    provider
        Who answers, where the address does not tell it (a proxy, a server of your own).
    stream_usage
        Whether streamed chats ask for the usage that they otherwise do not tell (``stream_options``); the host is not
        shown the extra piece. By default where the server is OpenAI's own: others might not know the option.
    """
    if _patches:
        return
    chat, text = Chat("chat", provider, stream_usage), Chat("text_completion", provider, stream_usage)
    targets: tuple[tuple[str, str, Reader], ...] = (
        ("openai.resources.chat.completions", "Completions", chat),
        ("openai.resources.completions", "Completions", text),
        ("openai.resources.responses", "Responses", Responses(provider)),
        ("openai.resources.embeddings", "Embeddings", Embeddings(provider)),
    )
    for module, owner, reader in targets:
        _patches.replace(module, owner, ("create", "parse"), watched(reader))
        _patches.replace(module, f"Async{owner}", ("create", "parse"), watched_async(reader))


def uninstrument() -> None:
    """Restore the package exactly."""
    _patches.restore()


def usage_fields(usage: Any) -> dict[str, Any]:
    """Token counts of a chat, a response or an embedding, under the hub's names."""
    inputs = get(usage, "prompt_tokens_details") or get(usage, "input_tokens_details")
    outputs = get(usage, "completion_tokens_details") or get(usage, "output_tokens_details")
    return given(
        input_tokens=first(get(usage, "prompt_tokens"), get(usage, "input_tokens")),
        output_tokens=first(get(usage, "completion_tokens"), get(usage, "output_tokens")),
        cache_read_input_tokens=first(get(inputs, "cached_tokens")),
        cache_write_input_tokens=first(get(inputs, "cache_write_tokens")),
        reasoning_output_tokens=first(get(outputs, "reasoning_tokens")),
    )


class _Common:
    """What the calls share."""

    event_type = "llm.request"
    operation = "chat"

    def __init__(self, provider: str | None) -> None:
        self._provider = provider

    def request(self, resource: Any, arguments: dict[str, Any], content: bool) -> dict[str, Any]:
        """See :class:`Reader`."""
        limits = (arguments.get(name) for name in ("max_completion_tokens", "max_tokens", "max_output_tokens"))
        data = given(
            model=first(arguments.get("model")),
            provider=self._provider or provider_of(resource),
            operation=self.operation,
            stream=True if arguments.get("stream") is True else None,
            temperature=first(arguments.get("temperature")),
            max_tokens=first(*limits),
        )
        if content:
            asked = (arguments.get(name) for name in ("messages", "input", "prompt"))
            data |= given(
                input_messages=next((value for value in asked if isinstance(value, list | str)), None),
                tools=tools if isinstance(tools := arguments.get("tools"), list) else None,
            )
        return data

    def hidden(self, item: Any, fields: Mapping[str, Any]) -> bool:  # noqa: ARG002 - only chats ask for more
        """See :class:`Reader`."""
        return False


class Chat(_Common):
    """``chat.completions`` and ``completions``."""

    def __init__(self, operation: str, provider: str | None, stream_usage: bool | None) -> None:
        super().__init__(provider)
        self.operation = operation
        self._stream_usage = stream_usage

    def request(self, resource: Any, arguments: dict[str, Any], content: bool) -> dict[str, Any]:
        """See :class:`Reader`."""
        data = super().request(resource, arguments, content)
        wanted = host_of(resource) == "api.openai.com" if self._stream_usage is None else self._stream_usage
        options = arguments.get("stream_options")
        if wanted and data.get("stream") and not isinstance(options, dict) and not reads_itself(arguments):
            arguments["stream_options"] = {"include_usage": True}
            data["_asked"] = True
        return data

    def answer(self, result: Any, content: bool) -> dict[str, Any]:
        """See :class:`Reader`."""
        choices = get(result, "choices") or []
        fields = usage_fields(get(result, "usage")) | given(
            response_model=first(get(result, "model")),
            finish_reason=first(get(choices[0], "finish_reason")) if choices else None,
        )
        if content:
            fields["output_messages"] = [get(one, "message") or get(one, "text") for one in choices]
        return fields

    def chunk(self, item: Any, fields: dict[str, Any], content: bool) -> bool:
        """See :class:`Reader`."""
        fields |= usage_fields(get(item, "usage")) | given(response_model=first(get(item, "model")))
        begun = False
        for choice in get(item, "choices") or []:
            fields |= given(finish_reason=first(get(choice, "finish_reason")))
            delta = get(choice, "delta")
            text = get(delta, "content") or get(choice, "text")
            called = get(delta, "tool_calls") or []
            begun = begun or bool(text or called or get(delta, "refusal"))
            if content:
                message = fields.setdefault("output_messages", [{"role": "assistant", "content": ""}])[0]
                message["content"] += text or ""
                for call in called:
                    _add_tool_call(message.setdefault("tool_calls", {}), call)
        return begun

    def hidden(self, item: Any, fields: Mapping[str, Any]) -> bool:
        """See :class:`Reader`."""
        return "_asked" in fields and not get(item, "choices") and get(item, "usage") is not None


def _add_tool_call(calls: dict[int, dict[str, Any]], part: Any) -> None:
    call = calls.setdefault(get(part, "index") or 0, {"name": "", "arguments": ""})
    call["name"] += get(part, "function", "name") or ""
    call["arguments"] += get(part, "function", "arguments") or ""


class Responses(_Common):
    """``responses``."""

    def answer(self, result: Any, content: bool) -> dict[str, Any]:
        """See :class:`Reader`."""
        fields = usage_fields(get(result, "usage")) | given(
            response_model=first(get(result, "model")),
            finish_reason=first(get(result, "incomplete_details", "reason"), get(result, "status")),
        )
        if (error := get(result, "error")) is not None:
            fields |= {"status": "error", "error_type": first(get(error, "code")) or "error"}
        if content:
            fields["output_messages"] = get(result, "output")
        return fields

    def chunk(self, item: Any, fields: dict[str, Any], content: bool) -> bool:
        """See :class:`Reader`."""
        kind = get(item, "type") or ""
        if kind in ("response.completed", "response.incomplete", "response.failed"):
            fields |= self.answer(get(item, "response"), content)
        return kind.endswith(".delta")


class Embeddings(_Common):
    """``embeddings``."""

    event_type = "llm.embedding"

    def request(self, resource: Any, arguments: dict[str, Any], content: bool) -> dict[str, Any]:  # noqa: ARG002
        """See :class:`Reader`."""
        return given(
            model=first(arguments.get("model")),
            provider=self._provider or provider_of(resource),
            dimensions=first(arguments.get("dimensions")),
        )

    def answer(self, result: Any, content: bool) -> dict[str, Any]:  # noqa: ARG002
        """See :class:`Reader`."""
        rows = get(result, "data") or [None]
        vector = get(rows[0], "embedding")
        fields = given(input_tokens=first(get(result, "usage", "prompt_tokens")))
        return fields | ({"dimensions": len(vector)} if isinstance(vector, list) else {})

    def chunk(self, item: Any, fields: dict[str, Any], content: bool) -> bool:  # noqa: ARG002
        """There are no streams of embeddings."""
        return False


def reads_itself(arguments: Mapping[str, Any]) -> bool:
    """Whether the host reads the answer's bytes (``with_streaming_response``): no piece can be hidden from it."""
    return bool(get(arguments.get("extra_headers"), "X-Stainless-Raw-Response") == "stream")


def host_of(resource: Any) -> str:
    """The host that the resource's client talks to."""
    return str(get(resource, "_client", "base_url", "host") or "")


def provider_of(resource: Any) -> str | None:
    """Who answers."""
    if "Azure" in type(get(resource, "_client")).__name__:
        return "azure"
    host = host_of(resource)
    return _PROVIDERS.get(host, host) or None
