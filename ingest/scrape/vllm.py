"""vLLM's page of metrics → the state of its engines."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

#: Metric, with ``_`` for ``:``, → fields of ``serving.sample``.
GAUGES: Final[Mapping[str, tuple[str, ...]]] = {
    "vllm_num_requests_running": ("running",),
    "vllm_num_requests_waiting": ("waiting", "queue_depth"),
    "vllm_gpu_cache_usage_perc": ("kv_cache_usage",),  # to 0.9
    "vllm_kv_cache_usage_perc": ("kv_cache_usage",),
    "vllm_num_preemptions_total": ("preemptions",),
    "vllm_avg_prompt_throughput_toks_per_s": ("prompt_tokens_per_s",),  # to 0.8
    "vllm_avg_generation_throughput_toks_per_s": ("generation_tokens_per_s",),
}
#: Counters that become rates between two looks.
COUNTERS: Final[Mapping[str, str]] = {
    "vllm_prompt_tokens_total": "prompt_tokens_per_s",
    "vllm_generation_tokens_total": "generation_tokens_per_s",
}
_WHOLE: Final = frozenset({"preemptions"})
_RATIOS: Final = frozenset({"kv_cache_usage"})


@dataclass(slots=True)
class Engine:
    """One engine of a worker at one moment: fields of a sample, and counters to compare with the next look."""

    model: str
    fields: dict[str, Any] = field(default_factory=dict)
    counters: dict[str, float] = field(default_factory=dict)


def read_page(text: str) -> dict[str, Engine]:
    """The engines of a worker, by the engine's name (empty where the page names none).

    Raises
    ------
    ValueError
        The page is no Prometheus text, or says nothing of vLLM.
    """
    engines: dict[str, Engine] = {}
    for name, labels, value in _samples(text):
        if name not in GAUGES and name not in COUNTERS:
            continue
        engine = engines.setdefault(labels.get("engine", ""), Engine(labels.get("model_name", "")))
        if name in COUNTERS:
            engine.counters[COUNTERS[name]] = engine.counters.get(COUNTERS[name], 0.0) + value
        for to in GAUGES.get(name, ()):
            if to not in _RATIOS or value <= 1:
                engine.fields[to] = int(value) if to in _WHOLE else value
    if not engines:
        raise ValueError("there are no metrics of vLLM on the page")
    return engines


def _samples(text: str) -> Iterator[tuple[str, Mapping[str, str], float]]:
    lines = "\n".join(line for line in text.splitlines() if line.startswith("vllm"))
    for family in text_string_to_metric_families(lines):
        for sample in family.samples:
            if math.isfinite(sample.value) and sample.value >= 0:
                yield sample.name.replace(":", "_"), sample.labels, sample.value


def rates(before: Engine, now: Engine, seconds: float) -> dict[str, float]:
    """Tokens a second between two looks; nothing of a counter that began anew."""
    if seconds <= 0:
        return {}
    return {
        name: (value - before.counters[name]) / seconds
        for name, value in now.counters.items()
        if name in before.counters and value >= before.counters[name]
    }
