"""Everything random about a block of requests, as columns: drawn at once, then bent by the faults."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hub.simulate.arrivals import Floats, Ints
from hub.simulate.lengths import token_lengths
from hub.simulate.platform import (
    AGENT_CALL_SHARES,
    AGENT_CALLS,
    ENVIRONMENT_SHARES,
    MODEL_INDEX,
    MODELS,
    PROJECTS,
    REGION_SHARES,
    Project,
)

Flags = NDArray[np.bool_]

#: Providers keep and bill cached prompts in blocks of tokens, from a least length on.
CACHE_BLOCK, CACHE_MINIMUM = 128, 1024
_ATTEMPTS = 3


@dataclass(slots=True)
class Columns:
    """One block of requests of one tenant; all columns have the same length.

    Times and durations are whole microseconds, so that spans nest exactly. ``error_rate`` is the chance that an
    attempt fails (``fallback_error_rate`` with the model fallen back to), ``chance`` holds one uniform per attempt,
    ``slow`` multiplies the model's time, ``cached_share`` is the part of the prompt that a prefix cache may serve,
    ``quality`` the mean of the evaluation's score, ``relevance`` that of the retrieval, ``blocked_rate`` the chance
    that the input's guardrail blocks.
    """

    at: Ints
    project: Ints
    user: Ints
    model: Ints
    load: Floats
    input_tokens: Ints
    output_tokens: Ints
    cached_share: Floats
    error_rate: Floats
    fallback_error_rate: Floats
    chance: Floats
    slow: Floats
    quality: Floats
    relevance: Floats
    retrieval_slow: Floats
    blocked_rate: Floats
    version: Ints
    feature: Ints
    intent: Ints
    region: Ints
    environment: Ints
    calls: Ints
    retrieved: Flags
    guarded: Flags
    tool: Flags
    evaluated: Flags
    rated: Flags
    streamed: Flags
    with_content: Flags
    queue_us: Ints
    retrieval_us: Ints
    guard_us: Ints
    tool_us: Ints
    first_token_us: Ints
    per_token_us: Floats
    judge_us: Ints
    feedback_us: Ints
    noise: Floats
    dice: Ints


@cache
def _project_column(name: str) -> Floats:
    return np.array([getattr(project, name) for project in PROJECTS], dtype=np.float64)


@cache
def _model_column(name: str) -> Floats:
    return np.array([getattr(model, name) for model in MODELS], dtype=np.float64)


@cache
def _cumulative(shares: tuple[float, ...]) -> Floats:
    total = np.cumsum(np.asarray(shares, dtype=np.float64))
    return np.asarray(total / total[-1])


@cache
def _zipf(users: int) -> Floats:
    """Cumulative activity of users: a few are heavy, most are rare (exponent 1.05)."""
    return _cumulative(tuple(1 / (rank + 1) ** 1.05 for rank in range(users)))


def choose(rng: np.random.Generator, count: int, shares: tuple[float, ...]) -> Ints:
    """``count`` indexes, each with the share given."""
    return np.searchsorted(_cumulative(shares), rng.random(count), side="right").astype(np.int64)


def _lognormal_us(rng: np.random.Generator, count: int, median_ms: float, sigma: float) -> Ints:
    drawn = median_ms * 1000 * np.exp(sigma * rng.standard_normal(count))
    return np.maximum(1, drawn).astype(np.int64)


def draw(
    rng: np.random.Generator,
    at: Ints,
    project: Ints,
    load: Floats,
    content_share: float,
) -> Columns:
    """Draw a block of requests that arrive at ``at`` (sorted) for ``project``, under ``load`` (1 = ordinary)."""
    count = len(at)
    columns = Columns(
        at=at, project=project, load=load,
        user=np.zeros(count, np.int64), model=np.zeros(count, np.int64),
        input_tokens=np.zeros(count, np.int64), output_tokens=np.zeros(count, np.int64),
        cached_share=_cached_share(rng, project),
        error_rate=np.zeros(count), fallback_error_rate=np.full(count, 0.02), chance=rng.random((count, _ATTEMPTS)),
        slow=np.maximum(0.8, 1 + 0.12 * (np.minimum(load, 6) - 1)),
        quality=np.full(count, 0.86), relevance=np.full(count, 0.82), retrieval_slow=np.ones(count),
        blocked_rate=np.full(count, 0.012),
        version=_project_column("version")[project].astype(np.int64),
        feature=rng.integers(0, 1 << 30, count), intent=rng.integers(0, 1 << 30, count),
        region=choose(rng, count, REGION_SHARES), environment=choose(rng, count, ENVIRONMENT_SHARES),
        calls=np.asarray(AGENT_CALLS)[choose(rng, count, AGENT_CALL_SHARES)],
        retrieved=_share(rng, project, "retrieval"), guarded=_share(rng, project, "guarded"),
        tool=_share(rng, project, "tools"), evaluated=_share(rng, project, "evaluated"),
        rated=_share(rng, project, "rated"), streamed=_share(rng, project, "streamed"),
        with_content=rng.random(count) < content_share,
        queue_us=_lognormal_us(rng, count, 2.0, 0.8), retrieval_us=_lognormal_us(rng, count, 48.0, 0.4),
        guard_us=_lognormal_us(rng, count, 14.0, 0.35), tool_us=_lognormal_us(rng, count, 180.0, 0.7),
        first_token_us=np.zeros(count, np.int64), per_token_us=np.zeros(count),
        judge_us=_lognormal_us(rng, count, 1400.0, 0.4), feedback_us=_lognormal_us(rng, count, 25_000.0, 0.9),
        noise=rng.standard_normal(count), dice=rng.integers(0, 1 << 62, count),
    )  # fmt: skip
    _draw_by_project(rng, columns)
    _draw_times(rng, columns)
    return columns


def _share(rng: np.random.Generator, project: Ints, name: str) -> Flags:
    return np.asarray(rng.random(len(project)) < _project_column(name)[project])


def _cached_share(rng: np.random.Generator, project: Ints) -> Floats:
    """Share of the prompt in the cache: none for a miss, 30–95% for a hit."""
    hit = rng.random(len(project)) < _project_column("cached")[project]
    return np.asarray(hit * rng.uniform(0.3, 0.95, len(project)))


def _draw_by_project(rng: np.random.Generator, columns: Columns) -> None:
    for index, project in enumerate(PROJECTS):
        rows = np.flatnonzero(columns.project == index)
        if not len(rows):
            continue
        columns.user[rows] = np.searchsorted(_zipf(project.users), rng.random(len(rows)), side="right")
        columns.model[rows] = _models(rng, len(rows), project)
        lengths = token_lengths(rng, len(rows), project.lengths, project.correlation)
        columns.input_tokens[rows], columns.output_tokens[rows] = lengths


def _models(rng: np.random.Generator, count: int, project: Project) -> Ints:
    indexes = np.array([MODEL_INDEX[name] for name, _ in project.models])
    return np.asarray(indexes[choose(rng, count, tuple(share for _, share in project.models))])


def _draw_times(rng: np.random.Generator, columns: Columns) -> None:
    count = len(columns.at)
    columns.error_rate = _model_column("error_rate")[columns.model]
    first = _model_column("first_token_ms")[columns.model] * 1000
    columns.first_token_us = (first * np.exp(0.3 * rng.standard_normal(count))).astype(np.int64)
    per_token = _model_column("per_token_ms")[columns.model] * 1000
    columns.per_token_us = per_token * np.exp(0.15 * rng.standard_normal(count))


def cached_tokens(columns: Columns) -> Ints:
    """Prompt tokens read from the cache: whole blocks of a prompt that is long enough."""
    tokens = (columns.input_tokens * columns.cached_share).astype(np.int64) // CACHE_BLOCK * CACHE_BLOCK
    return np.where(columns.input_tokens >= CACHE_MINIMUM, tokens, 0)


def first_token_us(columns: Columns, cached: Ints) -> Ints:
    """Time to the first token: grows with the prompt that must be read afresh, and with the load."""
    reading = 1 + (columns.input_tokens - cached) / 12_000
    return (columns.first_token_us * reading * columns.slow).astype(np.int64)


def decode_us(columns: Columns) -> Floats:
    """Time of each further token, under the load."""
    return np.asarray(columns.per_token_us * columns.slow)
