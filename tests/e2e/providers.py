"""Providers that answer from memory: as much as OpenAI's and Anthropic's own clients need of them."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: Status and content: an object of JSON, or the bytes of a stream.
Answer = tuple[int, dict[str, Any] | bytes]

OPENAI_USAGE = {
    "prompt_tokens": 120,
    "completion_tokens": 30,
    "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 64},
    "completion_tokens_details": {"reasoning_tokens": 10},
}
ANTHROPIC_USAGE = {
    "input_tokens": 100,
    "output_tokens": 25,
    "cache_read_input_tokens": 40,
    "cache_creation_input_tokens": 20,
}


def openai(path: str, given: dict[str, Any]) -> Answer:
    """The part of OpenAI's interface that the tests use."""
    if given["model"] == "gpt-none":
        error = {"message": "slow down", "type": "rate_limit", "code": "rate_limit_exceeded"}
        return 429, {"error": error}
    if path.endswith("/embeddings"):
        data = [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2, 0.3]}]
        usage = {"prompt_tokens": 8, "total_tokens": 8}
        return 200, {"object": "list", "data": data, "model": given["model"], "usage": usage}
    if given.get("stream"):
        return 200, b"".join(_openai_chunks(given))
    message: dict[str, Any] = {"role": "assistant", "content": "It arrives on Monday."}
    reason = "stop"
    if given.get("tools"):
        function = {"name": "get_order", "arguments": '{"order": 17}'}
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
        }
        reason = "tool_calls"
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return 200, _openai_answer(given, choices=[choice], usage=OPENAI_USAGE)


def _openai_answer(given: dict[str, Any], kind: str = "chat.completion", **more: Any) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1795176000, "model": given["model"] + "-2024-08-06", **more}


def _openai_chunks(given: dict[str, Any]) -> Iterator[bytes]:
    kind = "chat.completion.chunk"
    for text in ("It ", "arrives."):
        choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}
        yield _event(_openai_answer(given, kind, choices=[choice]))
    yield _event(_openai_answer(given, kind, choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]))
    yield _event(_openai_answer(given, kind, choices=[], usage=OPENAI_USAGE))
    yield b"data: [DONE]\n\n"


def _event(data: dict[str, Any], name: str = "") -> bytes:
    return (f"event: {name}\n" if name else "").encode() + b"data: " + json.dumps(data).encode() + b"\n\n"


def anthropic(given: dict[str, Any]) -> Answer:
    """The part of Anthropic's interface that the tests use."""
    if given["model"] == "claude-none":
        error = {"type": "error", "error": {"type": "overloaded_error", "message": "overloaded"}}
        return 529, error
    if given.get("stream"):
        return 200, b"".join(_anthropic_chunks(given))
    content: list[dict[str, Any]] = [{"type": "text", "text": "It arrives on Monday."}]
    reason = "end_turn"
    if given.get("tools"):
        content = [{"type": "tool_use", "id": "toolu_1", "name": "get_order", "input": {"order": 17}}]
        reason = "tool_use"
    return 200, _anthropic_message(given, content=content, stop_reason=reason, usage=ANTHROPIC_USAGE)


def _anthropic_message(given: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": given["model"],
        "stop_sequence": None,
        **more,
    }


def _anthropic_chunks(given: dict[str, Any]) -> Iterator[bytes]:
    start = _anthropic_message(given, content=[], stop_reason=None, usage={**ANTHROPIC_USAGE, "output_tokens": 0})
    yield _event({"type": "message_start", "message": start}, "message_start")
    block = {"type": "text", "text": ""}
    yield _event({"type": "content_block_start", "index": 0, "content_block": block}, "content_block_start")
    for text in ("It ", "arrives."):
        delta = {"type": "text_delta", "text": text}
        yield _event({"type": "content_block_delta", "index": 0, "delta": delta}, "content_block_delta")
    yield _event({"type": "content_block_stop", "index": 0}, "content_block_stop")
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    yield _event({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 25}}, "message_delta")
    yield _event({"type": "message_stop"}, "message_stop")


#: Answers a request: path and body → status and content.
Answers = Callable[[str, dict[str, Any]], Answer]


def both(path: str, given: dict[str, Any]) -> Answer:
    """Both providers, told apart by their paths."""
    return anthropic(given) if path.endswith("/messages") else openai(path, given)


@contextmanager
def running(answers: Answers = both) -> Iterator[str]:
    """The address of a server on the loopback interface."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            given = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, content = answers(self.path, given)
            kind = "text/event-stream" if isinstance(content, bytes) else "application/json"
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
