"""A server that answers like OpenAI and Anthropic do: whole, in pieces, with tools, and with errors; or as told."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {
    "prompt_tokens": 812,
    "completion_tokens": 96,
    "total_tokens": 908,
    "prompt_tokens_details": {"cached_tokens": 512},
    "completion_tokens_details": {"reasoning_tokens": 32},
}
RESPONSE_USAGE = {
    "input_tokens": 812,
    "output_tokens": 96,
    "total_tokens": 908,
    "input_tokens_details": {"cached_tokens": 512, "cache_write_tokens": 0},
    "output_tokens_details": {"reasoning_tokens": 32},
}
CLAUDE_USAGE = {
    "input_tokens": 200,
    "output_tokens": 96,
    "cache_read_input_tokens": 512,
    "cache_creation_input_tokens": 100,
}
BROKEN = {"error": {"type": "overloaded_error", "message": "broken"}, "type": "error"}
TOOL_CALL = {"id": "call_1", "type": "function", "function": {"name": "search", "arguments": '{"q": "x"}'}}


#: Status, and content: an object of JSON, or a stream as its events (name, data) or its bytes.
Answer = tuple[int, dict[str, Any] | list[tuple[str, Any]] | bytes]
#: Answers a request: path and body.
Answers = Callable[[str, dict[str, Any]], Answer]


class Providers:
    """What was asked, and where; ``answers`` says what comes back."""

    def __init__(self, answers: Answers) -> None:
        self.asked: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # the kernel waits 40 ms with the body, after the head

            def handle(self) -> None:
                with suppress(ConnectionError):  # the client has gone, perhaps in the middle of a stream
                    super().handle()

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append(asked)
                status, content = answers(self.path, asked)
                if isinstance(content, dict):
                    self.whole(status, json.dumps(content).encode())
                else:
                    self.stream([content] if isinstance(content, bytes) else [_piece(*one) for one in content])

            def whole(self, status: int, content: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def stream(self, pieces: list[bytes]) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Connection", "close")
                self.end_headers()
                self.close_connection = True
                for piece in pieces:
                    self.wfile.write(piece)
                    self.wfile.flush()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


def _piece(name: str, data: Any) -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()


def both(path: str, asked: dict[str, Any]) -> Answer:
    """Both providers, told apart by their paths; the models ``status-NNN`` and ``broken`` fail."""
    model, kind = asked["model"], path.removeprefix("/v1")
    if model.startswith("status-"):
        error = {"error": {"type": "error", "message": "no", "code": "no"}, "type": "error"}
        return int(model.removeprefix("status-")), error
    if not asked.get("stream"):
        return 200, WHOLE[kind](asked)
    events = list(STREAMS[kind](asked))
    if model == "broken":
        events[2] = ("error", BROKEN)
    return 200, events


def dated(asked: dict[str, Any]) -> str:
    """OpenAI answers with the dated name of the model that was asked for."""
    return f"{asked['model']}-2024-08-06"


def chat(asked: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": '{"word": "hello"}'}
    reason = "stop"
    if asked.get("tools"):
        message, reason = {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]}, "tool_calls"
    choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
    return {
        "id": "c-1",
        "object": "chat.completion",
        "created": 1,
        "model": dated(asked),
        "choices": [choice],
        "usage": USAGE,
    }


def chat_pieces(asked: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    if asked.get("tools"):
        deltas.append({"tool_calls": [{"index": 0, **TOOL_CALL}]})
    deltas += [{"content": "hel"}, {"content": "lo"}]
    base = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": dated(asked)}
    for delta in deltas:
        yield "", {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield "", {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    if (asked.get("stream_options") or {}).get("include_usage"):
        yield "", {**base, "choices": [], "usage": USAGE}
    yield "", "[DONE]"


def completion(asked: dict[str, Any]) -> dict[str, Any]:
    choice = {"index": 0, "text": "hello", "finish_reason": "length", "logprobs": None}
    return {
        "id": "t",
        "object": "text_completion",
        "created": 1,
        "model": asked["model"],
        "choices": [choice],
        "usage": USAGE,
    }


def response(asked: dict[str, Any]) -> dict[str, Any]:
    text = {"type": "output_text", "text": "hello", "annotations": []}
    message = {"id": "m-1", "type": "message", "role": "assistant", "status": "completed", "content": [text]}
    return {
        "id": "r-1",
        "object": "response",
        "created_at": 1,
        "model": dated(asked),
        "status": "completed",
        "output": [message],
        "usage": RESPONSE_USAGE,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        "incomplete_details": None,
    }


def response_pieces(asked: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "", {"type": "response.created", "sequence_number": 0, "response": response(asked) | {"usage": None}}
    delta = {"type": "response.output_text.delta", "item_id": "m-1", "output_index": 0, "content_index": 0}
    yield "", {**delta, "delta": "hello", "sequence_number": 1, "logprobs": []}
    yield "", {"type": "response.completed", "sequence_number": 2, "response": response(asked)}


def embedding(asked: dict[str, Any]) -> dict[str, Any]:
    rows = [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2, 0.3]}]
    return {"object": "list", "data": rows, "model": asked["model"], "usage": {"prompt_tokens": 7, "total_tokens": 7}}


def message(asked: dict[str, Any]) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": "hello"}]
    if asked.get("tools"):
        content.append({"type": "tool_use", "id": "t-1", "name": "search", "input": {"q": "x"}})
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": asked["model"],
        "content": content,
        "stop_reason": "tool_use" if asked.get("tools") else "end_turn",
        "stop_sequence": None,
        "usage": CLAUDE_USAGE,
    }


def message_pieces(asked: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    start = message(asked) | {"content": [], "stop_reason": None, "usage": {**CLAUDE_USAGE, "output_tokens": 1}}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hel"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 96},
        },
        {"type": "message_stop"},
    ]
    return iter([(event["type"], event) for event in events])


WHOLE = {
    "/chat/completions": chat,
    "/completions": completion,
    "/responses": response,
    "/embeddings": embedding,
    "/messages": message,
    "/messages?beta=true": message,
}
STREAMS = {
    "/chat/completions": chat_pieces,
    "/responses": response_pieces,
    "/messages": message_pieces,
    "/messages?beta=true": message_pieces,
}


@contextmanager
def providers(answers: Answers = both) -> Iterator[Providers]:
    """Serve as long as the context lasts."""
    made = Providers(answers)
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        thread.join()
        made.server.server_close()
