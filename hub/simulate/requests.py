"""One row of the columns, as the trace builder reads it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hub.simulate.columns import Columns, cached_tokens, decode_us, first_token_us


@dataclass(slots=True)
class Request:
    """What is to happen to one request; see :class:`hub.simulate.columns.Columns` for the fields."""

    at: int
    project: int
    user: int
    model: int
    input_tokens: int
    output_tokens: int
    cached: int
    first_token_us: int
    decode_us: float
    error_rate: float
    fallback_error_rate: float
    chance: list[float]
    blocked: bool
    score: float
    relevance: float
    version: int
    feature: int
    intent: int
    region: int
    environment: int
    calls: int
    retrieved: bool
    guarded: bool
    tool: bool
    evaluated: bool
    rated: bool
    streamed: bool
    with_content: bool
    queue_us: int
    retrieval_us: int
    guard_us: int
    tool_us: int
    judge_us: int
    feedback_us: int
    dice: int


def requests(columns: Columns) -> Iterator[Request]:
    """The rows of a block, after the faults have bent its columns."""
    cached = cached_tokens(columns)
    # The last bits of a second draw decide on the block, so that a fault that only raises the rate keeps the rest.
    blocked = (columns.dice & 0xFFFFF) / 0x100000 < columns.blocked_rate
    derived = {
        "cached": cached,
        "first_token_us": first_token_us(columns, cached),
        "decode_us": decode_us(columns),
        "blocked": blocked & columns.guarded,
        "score": np.round(np.clip(columns.quality + 0.08 * columns.noise, 0, 1), 3),
        "relevance": np.round(np.clip(columns.relevance + 0.06 * columns.noise, 0.01, 0.99), 4),
        "retrieval_us": (columns.retrieval_us * columns.retrieval_slow).astype(np.int64),
    }
    names = Request.__dataclass_fields__
    rows = [(derived[name] if name in derived else getattr(columns, name)).tolist() for name in names]
    return map(Request, *rows)
