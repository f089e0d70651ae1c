"""The simulation against the public traces: rhythm, unevenness of arrivals, token lengths."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from hub.simulate import Simulation, SimulationConfig
from hub.simulate.arrivals import WINDOW_US, arrivals, mean_rhythm, rhythm
from hub.simulate.config import to_us
from hub.simulate.fitted import AZURE_CHAT, AZURE_CODE, CHAT_UNEVENNESS, CODE_UNEVENNESS, KIMI_CHAT, TokenLengths
from hub.simulate.lengths import token_lengths
from hub.simulate.traces import azure_events, mooncake_events

DATA = Path(os.environ.get("LLM_HUB_BENCH_DATA", Path(__file__).parents[4] / "shared" / "data"))
MONDAY = to_us(datetime(2026, 11, 2, tzinfo=UTC))
HOUR = 3_600_000_000


def window_counts(unevenness: float, per_second: float = 6.0, hours: int = 4) -> np.ndarray:
    rng = np.random.default_rng(1)
    windows = hours * HOUR // WINDOW_US
    at, _ = arrivals(rng, 0, hours * HOUR, np.full(windows, per_second), unevenness)
    return np.bincount(at // WINDOW_US, minlength=windows)


def test_a_week_has_busy_evenings_and_quiet_weekends() -> None:
    week = rhythm(MONDAY + HOUR * np.arange(7 * 24))
    days = week.reshape(7, 24)
    assert days[0].max() / days[0].min() > 2
    assert days[5:].mean() < 0.8 * days[:5].mean()
    assert week.mean() == pytest.approx(1, abs=0.01)


def test_the_mean_rhythm_of_a_week_is_one_and_of_a_night_less() -> None:
    assert mean_rhythm(MONDAY, MONDAY + 7 * 24 * HOUR) == pytest.approx(1, abs=0.01)
    assert mean_rhythm(MONDAY + HOUR, MONDAY + 5 * HOUR) < 0.8


def test_simulated_traffic_follows_the_hours() -> None:
    config = SimulationConfig(seed=1, rate=1, start=datetime(2026, 11, 2, tzinfo=UTC), duration=timedelta(days=1))
    by_hour = [0] * 24
    for batch in Simulation(config).batches(5000):
        for event in batch.events:
            by_hour[int(event["time"][11:13])] += 1
    assert sum(by_hour[20:23]) > 1.6 * sum(by_hour[2:5])


def test_an_even_simulation_does_not() -> None:
    config = SimulationConfig(seed=1, rate=1, duration=timedelta(days=1), rhythm=False)
    halves = [0, 0]
    for batch in Simulation(config).batches(5000):
        for event in batch.events:
            halves[int(event["time"][11:13]) // 12] += 1
    assert halves[0] == pytest.approx(halves[1], rel=0.05)


@pytest.mark.parametrize("unevenness", [CHAT_UNEVENNESS, CODE_UNEVENNESS])
def test_counts_in_windows_vary_as_fitted(unevenness: float) -> None:
    counts = window_counts(unevenness)
    assert counts.mean() == pytest.approx(60, rel=0.15)
    assert (counts.var() / counts.mean() - 1) / counts.mean() == pytest.approx(unevenness, rel=0.3)


def test_arrivals_are_sorted_and_within() -> None:
    at, load = arrivals(np.random.default_rng(2), 5, 25_000_005, np.full(3, 40.0), 0.1)
    assert at[0] >= 5
    assert at[-1] < 25_000_005
    assert (np.diff(at) >= 0).all()
    assert len(at) == len(load)


def test_a_few_users_are_heavy(calm: tuple[dict[str, object], ...]) -> None:
    users = [event["user_id"] for event in calm if event["type"] == "llm.request"]
    counts = np.sort(np.unique(np.array(users, dtype=str), return_counts=True)[1])[::-1]
    assert counts[: len(counts) // 20].sum() > 0.25 * counts.sum()


def test_longer_prompts_get_longer_answers_without_bending_the_marginals() -> None:
    rng = np.random.default_rng(3)
    prompts, answers = token_lengths(rng, 50_000, AZURE_CHAT, 0.25)
    ranks = [values.argsort().argsort() for values in (prompts, answers)]
    assert np.corrcoef(*ranks)[0, 1] == pytest.approx(0.24, abs=0.03)
    assert np.median(prompts) == pytest.approx(AZURE_CHAT.input_knots[12], rel=0.03)


def real_lengths(folder: str, file: str) -> tuple[np.ndarray, np.ndarray]:
    path = DATA / folder / file
    if not path.exists():
        pytest.skip(f"the public traces are not at {DATA} (LLM_HUB_BENCH_DATA)")
    read = azure_events if folder.startswith("azure") else mooncake_events
    rows = [event["data"] for event in read(path)]
    return np.array([row["input_tokens"] for row in rows]), np.array([row["output_tokens"] for row in rows])


@pytest.mark.data
@pytest.mark.parametrize(
    ("folder", "file", "fitted"),
    [
        ("azure_llm_2023", "conv.csv.gz", AZURE_CHAT),
        ("azure_llm_2023", "code.csv.gz", AZURE_CODE),
        ("mooncake", "conversation_trace.jsonl.gz", KIMI_CHAT),
    ],
)
def test_token_lengths_have_the_quantiles_of_the_trace(folder: str, file: str, fitted: TokenLengths) -> None:
    drawn = token_lengths(np.random.default_rng(4), 60_000, fitted, 0.2)
    for ours, theirs in zip(drawn, real_lengths(folder, file), strict=True):
        for probability in (0.1, 0.25, 0.5, 0.75, 0.9, 0.95):
            low, high = np.quantile(theirs, [probability - 0.03, probability + 0.03])
            assert low * 0.93 - 1 <= np.quantile(ours, probability) <= high * 1.07 + 1
