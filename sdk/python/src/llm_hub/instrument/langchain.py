"""LangChain: a callback handler for chains, models, tools and retrievers, synchronous or not.

Where the client below a model is instrumented as well, a call counts once: see :mod:`llm_hub.instrument.framework`.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler

from llm_hub.client import Client
from llm_hub.context import CURRENT, leave
from llm_hub.default import get_client
from llm_hub.instrument.framework import Run
from llm_hub.instrument.openai import usage_fields
from llm_hub.instrument.reading import error_fields, first, get, given
from llm_hub.spans import Span

#: Runs that never ended are forgotten beyond this.
_MOST: Final = 10_000


class HubCallbackHandler(BaseCallbackHandler):
    """Captures the runs of LangChain: ``chain.invoke(question, config={"callbacks": [HubCallbackHandler()]})``.

    Models become ``llm.request``, tools ``tool.call``, retrievers ``retrieval.query``, chains spans of kind ``chain``:
    the tree of their runs, below the current span. ``user_id`` and ``session_id`` (or ``thread_id``) of the run's
    metadata go along.

    Parameters
    ----------
    client
        The default one if not given.
    """

    run_inline = True  # in the caller's task, so that the current span is known

    def __init__(self, client: Client | None = None) -> None:
        self._client = client
        self._runs: OrderedDict[UUID, Span] = OrderedDict()
        self._models: dict[UUID, Run] = {}
        self._lock = threading.Lock()

    # Models

    def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[Any]], *, run_id: UUID, **kwargs: Any
    ) -> None:
        """A chat begins."""
        said = [{"role": get(one, "type"), "content": get(one, "content")} for one in (messages or [[]])[0]]
        self._model(serialized, "chat", said, run_id, kwargs)

    def on_llm_start(self, serialized: dict[str, Any], prompts: list[str], *, run_id: UUID, **kwargs: Any) -> None:
        """A completion begins."""
        self._model(serialized, "text_completion", prompts, run_id, kwargs)

    def on_llm_new_token(self, token: Any, *, run_id: UUID, **_: Any) -> None:
        """A piece of a streamed answer."""
        if token:
            self._first_token(run_id)

    def on_stream_event(self, event: Any, *, run_id: UUID, **_: Any) -> None:
        """A piece of an answer in the newer protocol."""
        if get(event, "event") == "content-block-delta":
            self._first_token(run_id)

    def on_llm_end(self, response: Any, *, run_id: UUID, **_: Any) -> None:
        """A model has answered."""
        generations = get(response, "generations") or [[]]
        best = generations[0][0] if generations[0] else None
        message = get(best, "message")
        meta = get(message, "response_metadata") or {}
        usage = get(message, "usage_metadata")
        told = _usage(usage) if usage else usage_fields(get(response, "llm_output", "token_usage"))
        reason = first(
            get(meta, "finish_reason"), get(meta, "stop_reason"), get(best, "generation_info", "finish_reason")
        )
        fields = given(response_model=first(get(meta, "model_name"), get(meta, "model")), finish_reason=reason)
        if self._hub.capture_content:
            answer = given(content=get(message, "content") or get(best, "text"), tool_calls=get(message, "tool_calls"))
            fields["output_messages"] = [{"role": "assistant", **answer}]
        self._end(run_id, **told, **fields)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """A model has failed."""
        self._end(run_id, **error_fields(error))

    # Chains, tools, retrievers

    def on_chain_start(self, serialized: Any, inputs: Any, *, run_id: UUID, **kwargs: Any) -> None:  # noqa: ARG002
        """A chain begins."""
        self._begin(_name(serialized, kwargs, "chain"), "span", {}, run_id, kwargs, kind="chain")

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **_: Any) -> None:  # noqa: ARG002
        """A chain has ended."""
        self._end(run_id)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """A chain has failed."""
        self._end(run_id, **error_fields(error), status_message=str(error))

    def on_tool_start(self, serialized: Any, input_str: str, *, run_id: UUID, **kwargs: Any) -> None:
        """A tool begins."""
        data = given(tool_call_id=first(kwargs.get("tool_call_id")))
        if self._hub.capture_content:
            data["arguments"] = kwargs.get("inputs") or input_str
        self._begin(_name(serialized, kwargs, "tool"), "tool.call", data, run_id, kwargs)

    def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
        """A tool has answered."""
        self._end(run_id, **({"result": get(output, "content") or output} if self._hub.capture_content else {}))

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """A tool has failed."""
        self._end(run_id, **error_fields(error))

    def on_retriever_start(self, serialized: Any, query: str, *, run_id: UUID, **kwargs: Any) -> None:
        """A retriever begins."""
        data = {"index": _name(serialized, kwargs, "retriever")}
        self._begin(
            "", "retrieval.query", data | ({"query": query} if self._hub.capture_content else {}), run_id, kwargs
        )

    def on_retriever_end(self, documents: Sequence[Any], *, run_id: UUID, **_: Any) -> None:
        """A retriever has answered."""
        ids = [str(found) for document in documents if (found := get(document, "id")) is not None]
        self._end(run_id, returned=len(documents), **({"document_ids": ids} if ids else {}))

    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """A retriever has failed."""
        self._end(run_id, **error_fields(error))

    # Runs

    @property
    def _hub(self) -> Client:
        return self._client or get_client()

    def _model(self, serialized: Any, operation: str, said: Any, run_id: UUID, kwargs: dict[str, Any]) -> None:
        asked, meta = kwargs.get("invocation_params") or {}, kwargs.get("metadata") or {}
        data = given(
            provider=first(get(meta, "ls_provider")),
            operation=operation,
            temperature=first(get(asked, "temperature"), get(meta, "ls_temperature")),
            max_tokens=first(get(asked, "max_tokens"), get(meta, "ls_max_tokens")),
        )
        if self._hub.capture_content:
            data |= given(input_messages=said, tools=get(asked, "tools"))
        model = first(get(meta, "ls_model_name"), get(asked, "model"), get(asked, "model_name"))
        span = self._begin(model or _name(serialized, kwargs, "unknown"), "llm.request", data, run_id, kwargs)
        above: Any = kwargs.get("parent_run_id")
        if above in self._models:  # a model that asks another one
            self._models[above].calls.append(span)
        self._models[run_id] = Run(span, self._hub, above)
        self._models[run_id].begin()

    def _begin(
        self,
        name: str,
        event_type: str,
        data: dict[str, Any],
        run_id: UUID,
        run: dict[str, Any],
        kind: str = "internal",
    ) -> Span:
        meta = run.get("metadata") or {}
        who = given(
            user_id=first(get(meta, "user_id")), session_id=first(get(meta, "session_id"), get(meta, "thread_id"))
        )
        span = self._hub.span(name, kind=kind, event_type=event_type, data=data, **who)
        with self._lock:
            above = self._runs.get(run["parent_run_id"]) if run.get("parent_run_id") else None
            token = CURRENT.set(above.scope if above else CURRENT.get())
            try:
                self._runs[run_id] = span.start()
            finally:
                leave(token)
            if len(self._runs) > _MOST:
                forgotten, _ = self._runs.popitem(last=False)
                self._models.pop(forgotten, None)
        return span

    def _first_token(self, run_id: UUID) -> None:
        span = self._runs.get(run_id)
        if span is not None and not span.has("time_to_first_token_ms"):
            span.set(time_to_first_token_ms=span.elapsed_ms(), stream=True)

    def _end(self, run_id: UUID, **fields: Any) -> None:
        with self._lock:
            span, model = self._runs.pop(run_id, None), self._models.pop(run_id, None)
        if model is not None:
            model.end(**fields)
        elif span is not None:
            span.set(**fields).end()


def _name(serialized: Any, run: dict[str, Any], otherwise: str) -> str:
    return str(first(run.get("name"), get(serialized, "name")) or (get(serialized, "id") or [otherwise])[-1])


def _usage(usage: Any) -> dict[str, Any]:
    """LangChain's own counts, the same of every provider: ``input_tokens`` hold what was cached."""
    inputs, outputs = get(usage, "input_token_details"), get(usage, "output_token_details")
    return given(
        input_tokens=first(get(usage, "input_tokens")),
        output_tokens=first(get(usage, "output_tokens")),
        cache_read_input_tokens=first(get(inputs, "cache_read")),
        cache_write_input_tokens=first(get(inputs, "cache_creation")),
        reasoning_output_tokens=first(get(outputs, "reasoning")),
    )
