"""Serving: the state of each worker. What vLLM says of itself is scraped, see :mod:`ingest.scrape`."""

from typing import Final

from ingest.adapters.form import PERCENT, Adapter, Form

ADAPTER: Final = Adapter(
    "serving",
    {
        "1": Form(
            "serving.sample",
            "serving",
            {
                "worker": "data.worker",
                "model": "data.model",
                "queue.depth": "data.queue_depth",
                "queue.running": "data.running",
                "queue.waiting": "data.waiting",
                "gpu.kv_cache_percent": ("data.kv_cache_usage", PERCENT),
                "gpu.utilization_percent": ("data.gpu_utilization", PERCENT),
                "gpu.memory_bytes": "data.gpu_memory_bytes",
                "tokens_per_s.prompt": "data.prompt_tokens_per_s",
                "tokens_per_s.generation": "data.generation_tokens_per_s",
                "preemptions": "data.preemptions",
                "ready": "data.healthy",
            },
        )
    },
)
