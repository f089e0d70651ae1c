"""An answer that came as a stream, put together again: the usage at its end belongs to the model at its beginning."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from ingest.decode.explain import RowInvalid

_DONE: Final = "[DONE]"
#: Names whose values are pieces of the whole.
_PIECES: Final = frozenset({"usage", "choices", "type", "delta", "candidates"})


def whole_answer(response: Any) -> dict[str, Any]:
    """The answer as an object, whether it was recorded as one, as a list of chunks or as server-sent events.

    Raises
    ------
    RowInvalid
        It is none of these.
    """
    if response is None:
        return {}
    if isinstance(response, str):
        response = _events(response)
    if isinstance(response, list):
        return _joined([chunk for chunk in response if isinstance(chunk, dict)])
    if not isinstance(response, dict):
        raise RowInvalid("response", "must be an object, a list of chunks or the text of a stream")
    return response


def _events(text: str) -> Any:
    """The data of server-sent events; a text that is one JSON value is that value."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    chunks = []
    for line in text.splitlines():
        data = line.removeprefix("data:").strip()
        if line.startswith("data:") and data != _DONE:
            try:
                chunks.append(orjson.loads(data))
            except orjson.JSONDecodeError:
                raise RowInvalid("response", "is neither JSON nor a stream of JSON events") from None
    if not chunks:
        raise RowInvalid("response", "is neither JSON nor a stream of JSON events")
    return chunks


def _joined(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """One answer of its chunks: names of later ones win, usage is merged, the texts follow each other."""
    answer: dict[str, Any] = {}
    usage: dict[str, Any] = {}
    texts: list[str] = []
    for chunk in chunks:
        inner = next((chunk[name] for name in ("message", "response") if isinstance(chunk.get(name), dict)), chunk)
        answer |= {name: value for name, value in inner.items() if value is not None and name not in _PIECES}
        for holder in (inner, chunk, chunk.get("delta"), chunk.get("x_groq")):
            if isinstance(holder, dict) and isinstance(holder.get("usage"), dict):
                usage |= {name: value for name, value in holder["usage"].items() if value is not None}
        _finish(answer, chunk)
        texts += _text(chunk)
    if usage:
        answer["usage"] = usage
    if texts and "output" not in answer:
        answer["content"] = "".join(texts)
    return answer


def _finish(answer: dict[str, Any], chunk: Mapping[str, Any]) -> None:
    for holder, name in ((chunk.get("delta"), "stop_reason"), (_choice(chunk), "finish_reason")):
        if isinstance(holder, dict) and isinstance(holder.get(name), str):
            answer[name] = holder[name]


def _choice(chunk: Mapping[str, Any]) -> Any:
    for name in ("choices", "candidates"):
        if isinstance(chunk.get(name), list) and chunk[name]:
            return chunk[name][0]
    return None


def _text(chunk: Mapping[str, Any]) -> list[str]:
    """The piece of text in a chunk."""
    delta = chunk.get("delta")
    choice = _choice(chunk)
    if isinstance(choice, dict):
        delta = choice.get("delta", choice)
    if isinstance(delta, str):
        return [delta]
    if not isinstance(delta, dict):
        return []
    return [piece for name in ("content", "text") if isinstance(piece := delta.get(name), str)]
