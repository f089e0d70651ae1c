"""What a platform emits beside the requests: workers' samples, metrics, logs, jobs, audit, catalogue."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hub.simulate.arrivals import Floats, Ints, arrivals, window_count
from hub.simulate.columns import choose
from hub.simulate.config import SimulationConfig
from hub.simulate.emit import Emitter
from hub.simulate.faults import Fault
from hub.simulate.faults.base import deployment
from hub.simulate.faults.cost_spike_user import user_name
from hub.simulate.platform import (
    EMBEDDING_DIMENSIONS,
    EMBEDDING_MODEL,
    EMBEDDING_PROVIDER,
    MODELS,
    PROJECTS,
    SERVED_MODEL,
    WORKERS,
    tenant_weights,
)
from hub.simulate.texts import LOG_LINES, fill

#: Share of all events that are no part of a request.
BACKGROUND_SHARE = 0.15
_UNEVENNESS = 0.3

_Load = Callable[[Ints], Floats]


class Background:
    """Background of one tenant.

    Parameters
    ----------
    config
        The simulation's.
    tenant
        Index of the tenant.
    faults
        Those of the tenant that overlap the block.
    """

    def __init__(self, config: SimulationConfig, tenant: int, faults: Sequence[Fault]) -> None:
        self._config = config
        self._faults = faults
        share = tenant_weights(len(config.tenants))[tenant]
        self._rate = config.rate * share * BACKGROUND_SHARE

    def emit(self, rng: np.random.Generator, emitter: Emitter, start: int, end: int, load: _Load) -> None:
        """Emit the background of [start, end)."""
        windows = np.full(window_count(start, end), self._rate)
        at, _ = arrivals(rng, start, end, windows, _UNEVENNESS)
        kinds = choose(rng, len(at), tuple(share for share, _ in KINDS))
        dice = rng.integers(0, 1 << 40, len(at))
        levels = load(at)
        rows = zip(at.tolist(), kinds.tolist(), dice.tolist(), levels.tolist(), strict=True)
        for time, kind, number, level in rows:
            KINDS[kind][1](emitter, time, number, level + 2 * self._pressure(time))
        if start == self._config.start_us:
            _opening(emitter, start)
        self._changes(emitter, start, end)

    def _pressure(self, at_us: int) -> float:
        return max((fault.pressure(at_us) for fault in self._faults), default=0.0)

    def _changes(self, emitter: Emitter, start: int, end: int) -> None:
        for fault in self._faults:
            for at, event in fault.changes():
                if start <= at < end:
                    context = {"project": event["project"], "environment": "production"}
                    emitter.emit(at, event["type"], event["source"], event["data"], context)


def _context(dice: int) -> dict[str, Any]:
    return {"project": PROJECTS[dice % len(PROJECTS)].name, "environment": "production"}


def _serving(emitter: Emitter, at: int, dice: int, level: float) -> None:
    busy = min(0.98, 0.35 * level + (dice % 100) / 500)
    running = round(24 * busy)
    data = {
        "worker": WORKERS[dice % len(WORKERS)], "model": SERVED_MODEL,
        "queue_depth": float(max(0, round(12 * (level - 1)) + dice % 3)), "running": float(running),
        "waiting": float(max(0, round(6 * (level - 1.2)))), "kv_cache_usage": round(min(0.99, 0.4 * level + 0.1), 3),
        "gpu_utilization": round(busy, 3), "gpu_memory_bytes": 68_719_476_736 + dice % 4_000_000_000,
        "prompt_tokens_per_s": round(5200 * busy, 1), "generation_tokens_per_s": round(1400 * busy, 1),
        "preemptions": int(level > 1.8), "healthy": True,
    }  # fmt: skip
    emitter.emit(at, "serving.sample", "serving", data, {"environment": "production"})


def _metric(emitter: Emitter, at: int, dice: int, level: float) -> None:
    if dice % 4 == 0:
        counts = [float(dice >> 3 & 31), float(dice >> 8 & 15), float(dice >> 12 & 3)]
        total = int(sum(counts))
        spent = round(0.08 * level * total, 4)
        data: dict[str, Any] = {
            "name": "gateway.request.duration", "value": spent / max(1, total), "unit": "s",
            "kind": "histogram", "temporality": "delta", "count": total, "sum": spent, "bounds": [0.1, 1.0],
            "bucket_counts": counts,
        }  # fmt: skip
    elif dice % 4 == 1:
        data = {"name": "gateway.connections", "value": float(round(80 * level)), "unit": "1", "kind": "gauge"}
    else:
        data = {"name": "process.cpu.time", "value": round(0.4 * level, 3), "unit": "s", "kind": "counter"}
        data["temporality"] = "delta"
    emitter.emit(at, "metric.sample", "observatory", {**data, "service": "gateway"}, _context(dice >> 5))


def _log(emitter: Emitter, at: int, dice: int, level: float) -> None:
    del level
    severity, logger, line = LOG_LINES[dice % len(LOG_LINES)]
    data = {"body": fill(line, dice >> 3), "severity": severity, "logger": logger, "service": logger.split(".")[0]}
    emitter.emit(at, "log.record", "observatory", data, _context(dice >> 7))


_STEPS = ("app_opened", "question_asked", "answer_copied", "plan_upgraded")
_STEP_BY_SIXTEENTH = (0,) * 7 + (1,) * 5 + (2,) * 3 + (3,)


def _product(emitter: Emitter, at: int, dice: int, level: float) -> None:
    del level
    name = _STEPS[_STEP_BY_SIXTEENTH[dice & 15]]
    project = dice % len(PROJECTS)
    data: dict[str, Any] = {"name": name, "properties": {"surface": "web" if dice & 16 else "mobile"}}
    data["feature"] = PROJECTS[project].features[dice % len(PROJECTS[project].features)]
    if name == "plan_upgraded":
        data["revenue_usd"] = 29.0
    # Squaring a uniform leans to the low ranks, the busy users.
    rank = int(PROJECTS[project].users * ((dice >> 8) % 1000 / 1000) ** 2)
    context = {**_context(project), "user_id": user_name(project, rank)}
    emitter.emit(at, "product.event", PROJECTS[project].name, data, context)


def _embedding(emitter: Emitter, at: int, dice: int, level: float) -> None:
    failed = dice % 120 == 0
    data: dict[str, Any] = {
        "model": EMBEDDING_MODEL, "provider": EMBEDDING_PROVIDER, "dimensions": EMBEDDING_DIMENSIONS,
        "duration_ms": round((30 + dice % 40) * level, 3), "status": "error" if failed else "ok",
    }  # fmt: skip
    if failed:
        data["error_type"] = "rate_limit"
    else:
        data["input_tokens"] = 40 + dice % 900
    emitter.emit(at, "llm.embedding", "gateway", data, _context(dice >> 9))


def _rate_limit(emitter: Emitter, at: int, dice: int, level: float) -> None:
    del level
    action = "rejected" if dice % 4 == 0 else "delayed"
    data = {"limit_name": "tokens_per_minute", "limit": 200_000.0, "used": 200_000.0 + dice % 9000}
    more = {"retry_after_ms": float(200 + dice % 3000), "action": action}
    project = dice % len(PROJECTS)
    context = {**_context(project), "user_id": user_name(project, dice % 12)}
    emitter.emit(at, "gateway.rate_limit", "gateway", {**data, **more}, context)


_AUDITED = ("key.created", "prompt.edited", "policy.updated", "dashboard.shared", "export.started")


def _audit(emitter: Emitter, at: int, dice: int, level: float) -> None:
    del level
    denied = dice % 12 == 0
    data: dict[str, Any] = {
        "actor": f"staff-{dice % 9}", "action": _AUDITED[dice % len(_AUDITED)],
        "resource": f"{_AUDITED[dice % len(_AUDITED)].split('.')[0]}/{dice % 400}",
        "outcome": "denied" if denied else "success", "ip": f"10.2.{dice % 200}.{dice % 250}",
    }  # fmt: skip
    if denied:
        data["reason"] = "role viewer does not reach"
    emitter.emit(at, "audit.action", "audit", data, {"project": PROJECTS[dice % len(PROJECTS)].name})


_JOBS = ("reindex", "nightly-eval", "usage-export")


def _job(emitter: Emitter, at: int, dice: int, level: float) -> None:
    state = ("started", "succeeded", "succeeded", "succeeded", "failed", "skipped")[dice % 6]
    data: dict[str, Any] = {"job": _JOBS[dice % len(_JOBS)], "state": state, "pipeline": "platform", "attempt": 1}
    if state in ("succeeded", "failed"):
        data["duration_ms"] = round((20_000 + dice % 90_000) * level, 3)
        data["rows"] = dice % 50_000
    if state == "failed":
        data["error_type"] = "timeout"
    emitter.emit(at, "job.run", "scheduler", data, _context(dice >> 4))


_ITEMS = ("summary-tool", "sql-agent", "tone-pack", "pdf-reader")


def _marketplace(emitter: Emitter, at: int, dice: int, level: float) -> None:
    del level
    action = ("installed", "rated", "updated", "installed", "removed", "published")[dice % 6]
    item = dice % len(_ITEMS)
    data: dict[str, Any] = {
        "item": _ITEMS[item],
        "action": action,
        "version": f"1.{dice % 7}",
        "publisher": "acme-labs",
    }
    if action == "rated":
        data["rating"] = float(1 + dice % 5)
    if action == "published":
        data["price_usd"] = 4.99 * item
    emitter.emit(at, "marketplace.action", "marketplace", data, {"user_id": f"buyer-{dice % 300}"})


def _release(emitter: Emitter, at: int, dice: int, level: float) -> None:
    """An ordinary release of a service, that does no harm."""
    del level
    project = PROJECTS[dice % len(PROJECTS)]
    version = dice % 40
    event = deployment("service", f"{project.name}-api", f"2.{version + 1}", f"2.{version}", "deployed", project.name)
    emitter.emit(at, event["type"], event["source"], event["data"], _context(dice))


def _opening(emitter: Emitter, at: int) -> None:
    """The catalogue as it stands at the start, and one of each of the rare kinds."""
    for offset, model in enumerate(MODELS):
        data = {
            "model": model.name, "provider": model.provider, "action": "registered", "version": "1",
            "input_price_usd_per_mtok": model.input_price, "output_price_usd_per_mtok": model.output_price,
            "context_window": model.context_window,
        }  # fmt: skip
        emitter.emit(at + offset, "registry.model", "registry", data)
    for offset, project in enumerate(PROJECTS):
        new, old = f"v{project.version}", f"v{project.version - 1}"
        event = deployment("prompt", project.prompt, new, old, "deployed", project.name)
        emitter.emit(at + 100 + offset, event["type"], event["source"], event["data"], {"project": project.name})
    for offset, (_, kind) in enumerate(KINDS):
        kind(emitter, at + 1000 + offset, 1 + offset, 1.0)


#: Kinds of background and their shares of it.
KINDS: tuple[tuple[float, Callable[[Emitter, int, int, float], None]], ...] = (
    (0.26, _serving),
    (0.2, _metric),
    (0.17, _log),
    (0.17, _product),
    (0.13, _embedding),
    (0.02, _rate_limit),
    (0.02, _audit),
    (0.015, _job),
    (0.012, _marketplace),
    (0.0008, _release),
)
