"""``serving.sample``: the state of one serving worker."""

from typing import Any, ClassVar

from pydantic import Field

from schemas.data import EventData
from schemas.fields import Count, Dimension, Flag, Number, Ratio, Real


class ServingSample(EventData):
    """The state of one serving worker at one moment."""

    TYPE: ClassVar[str] = "serving.sample"
    SOURCE: ClassVar[str] = "serving"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "worker": "vllm-0",
        "model": "llama-3.3-70b",
        "queue_depth": 3,
        "running": 18,
        "kv_cache_usage": 0.71,
        "gpu_utilization": 0.93,
        "generation_tokens_per_s": 1480.0,
        "healthy": True,
    }

    worker: Dimension = Field(min_length=1, description="The worker.")
    model: Dimension | None = Field(None, description="Model it serves.")
    queue_depth: Number | None = Field(None, ge=0, description="Requests in the queue.")
    running: Number | None = Field(None, ge=0, description="Requests running.")
    waiting: Real | None = Field(None, ge=0, description="Requests waiting for memory.")
    kv_cache_usage: Ratio | None = Field(None, description="Share of the KV cache in use, 0–1.")
    gpu_utilization: Ratio | None = Field(None, description="Share of the GPU's time in use, 0–1.")
    gpu_memory_bytes: Count | None = Field(None, description="GPU memory in use.")
    prompt_tokens_per_s: Real | None = Field(None, ge=0, description="Prompt tokens a second.")
    generation_tokens_per_s: Number | None = Field(None, ge=0, description="Generated tokens a second.")
    preemptions: Count | None = Field(None, description="Requests pre-empted since the start.")
    healthy: Flag | None = Field(None, description="Whether the worker is healthy.")
