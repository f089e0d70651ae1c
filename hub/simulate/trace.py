"""A request's way through the platform, as a tree of spans."""

from typing import Any

from hub.simulate.calls import call_model
from hub.simulate.emit import Emitter
from hub.simulate.faults.cost_spike_user import user_name
from hub.simulate.faults.guardrail_storm import INPUT_POLICY
from hub.simulate.platform import ENVIRONMENTS, MODELS, PROJECTS, REGIONS, VARIANTS, WORKERS
from hub.simulate.requests import Request
from hub.simulate.spans import Trace
from hub.simulate.texts import COMMENTS, TOOLS, question

_OUTPUT_POLICY, _INPUT_CATEGORY, _OUTPUT_CATEGORY = "pii-leak", "prompt_injection", "pii"
_SESSION_US = 1_800_000_000
_ROUTE_POLICIES = ("least_loaded", "token_aware", "cost_aware", "least_loaded")


def build_trace(emitter: Emitter, request: Request) -> None:
    """Emit all events of one request, from the gateway to the feedback."""
    trace = open_trace(emitter, request)
    _route(trace)
    if request.retrieved:
        _retrieve(trace)
    if request.guarded:
        _check(trace, "input", blocked=request.blocked)
    if not request.blocked:
        _answer(trace)
    _close(trace)
    _after(trace)


def open_trace(emitter: Emitter, request: Request) -> Trace:
    """The trace with its envelope: who asks, from where, in which session."""
    project = PROJECTS[request.project]
    context: dict[str, Any] = {
        "project": project.name,
        "environment": ENVIRONMENTS[request.environment],
        "trace_id": emitter.trace_id(),
        "session_id": _session(request),
        "user_id": user_name(request.project, request.user),
        "attributes": {"region": REGIONS[request.region]},
    }
    labels = {
        "feature": project.features[request.feature % len(project.features)],
        "prompt_id": project.prompt,
        "prompt_version": f"v{request.version}",
    }
    if project.experiment:
        labels["experiment_id"] = project.experiment
        labels["variant"] = VARIANTS[request.user % 2]
    return Trace(emitter, request, project, context, labels, root=emitter.span_id(), now=request.at)


def _session(request: Request) -> str:
    """A session lasts half an hour at most; users' sessions do not all change at the same moment."""
    number = (request.at + request.user * 7_919_000_000) // _SESSION_US
    return f"s-{request.project}{request.user:x}-{number:x}"


def _route(trace: Trace) -> None:
    request = trace.request
    trace.now += request.queue_us
    model = MODELS[request.model]
    data = {
        "model": model.name,
        "provider": model.provider,
        "worker": WORKERS[request.dice % len(WORKERS)],
        "policy": _ROUTE_POLICIES[request.dice >> 4 & 3],
        "attempt": 1,
        "queue_ms": request.queue_us / 1000,
    }
    trace.child("gateway.route", "gateway", data)


def _retrieve(trace: Trace) -> None:
    request = trace.request
    top_k = 8 if trace.project.name == "rag-search" else 4
    returned = top_k if request.relevance > 0.55 else max(1, top_k // 3)
    scores = [round(request.relevance * 0.93**rank, 4) for rank in range(returned)]
    data: dict[str, Any] = {
        "index": trace.project.index,
        "top_k": top_k,
        "returned": returned,
        "scores": scores,
        "max_score": request.relevance,
        "document_ids": [f"doc-{(request.dice >> rank) % 5000}" for rank in range(returned)],
        "duration_ms": request.retrieval_us / 1000,
        "embedding_ms": request.retrieval_us // 4 / 1000,
        "status": "ok",
    }
    if request.with_content:
        data["query"] = question(trace.project.name, request.dice)
    trace.now += request.retrieval_us
    trace.child("retrieval.query", "retrieval", data)


def _check(trace: Trace, stage: str, *, blocked: bool) -> None:
    request = trace.request
    trace.now += request.guard_us
    unlikely = (request.dice >> 20) % 100 < 2
    verdict = "block" if blocked else "flag" if unlikely else "pass"
    score = 0.97 if blocked else 0.71 if unlikely else (request.dice >> 8) % 50 / 100
    data = {
        "policy": INPUT_POLICY if stage == "input" else _OUTPUT_POLICY,
        "verdict": verdict,
        "stage": stage,
        "score": score,
        "threshold": 0.8,
        "duration_ms": request.guard_us / 1000,
    }
    if verdict != "pass":
        data["category"] = _INPUT_CATEGORY if stage == "input" else _OUTPUT_CATEGORY
    trace.child("guardrail.check", "guardrails", data)


def _answer(trace: Trace) -> None:
    request = trace.request
    for call in range(request.calls if trace.project.agent else 1):
        if call or (request.tool and not trace.project.agent):
            _tool(trace, call)
        call_model(trace, call)
        if trace.failed:
            return
    if request.guarded:
        _check(trace, "output", blocked=False)


def _tool(trace: Trace, call: int) -> None:
    request = trace.request
    name = TOOLS[(request.dice >> 12 + call) % len(TOOLS)]
    failed = (request.dice >> 30 + call) % 50 == 0
    data: dict[str, Any] = {
        "tool_name": name,
        "tool_call_id": f"call_{request.dice + call & 0xFFFFFFFFFF:010x}",
        "duration_ms": request.tool_us / 1000,
        "status": "error" if failed else "ok",
    }
    if failed:
        data["error_type"] = "timeout"
    if request.with_content:
        data["arguments"] = {"query": question(trace.project.name, request.dice + call)}
    trace.now += request.tool_us
    trace.tools += 1
    trace.child("tool.call", "observatory", data)


def _close(trace: Trace) -> None:
    """The root: an agent's run, or the server's span around the request."""
    trace.now += 400
    project, request = trace.project, trace.request
    duration = (trace.now - request.at) / 1000
    status = "error" if trace.failed else "ok"
    data: dict[str, Any]
    if project.agent:
        data = {
            "agent_name": project.agent, "duration_ms": duration, "status": status,
            "steps": trace.calls + trace.tools, "llm_calls": trace.calls, "tool_calls": trace.tools,
            "input_tokens": trace.input_tokens, "output_tokens": trace.output_tokens, **trace.labels,
        }  # fmt: skip
        if trace.failed:
            data["error_type"] = trace.failed
        trace.root_event("agent.run", data)
        return
    name = "POST /v1/" + trace.labels["feature"]
    data = {"name": name, "kind": "server", "service": project.name, "duration_ms": duration, "status": status}
    if trace.failed:
        data["status_message"] = trace.failed
    trace.root_event("span", data)


def _after(trace: Trace) -> None:
    """What comes later and not in the way of the request: exposure, judgement, feedback."""
    request, labels = trace.request, trace.labels
    if trace.project.experiment and request.dice >> 40 & 3 == 0:
        exposure = {"experiment_id": labels["experiment_id"], "variant": labels["variant"]}
        trace.loose(request.at + 900, "experiment.exposure", "prompt-assistant", exposure)
    if not trace.answer_id:
        return
    if request.evaluated:
        _evaluate(trace)
    if request.rated:
        _rate(trace)


def _evaluate(trace: Trace) -> None:
    request = trace.request
    data = {
        "evaluator": "groundedness" if trace.project.index else "helpfulness",
        "score": request.score,
        "scale_min": 0.0,
        "scale_max": 1.0,
        "passed": request.score >= 0.7,
        "kind": "llm_judge",
        "judge_model": "gpt-4.1",
        "duration_ms": request.judge_us / 1000,
        "target_event_id": trace.answer_id,
        **trace.labels,
    }
    if request.with_content and request.score < 0.7:
        data["explanation"] = "The answer names a figure that no document supports."
    trace.loose(trace.now + request.judge_us + 2_000_000, "evaluation.score", "evaluation", data)


def _rate(trace: Trace) -> None:
    request = trace.request
    good = (request.dice >> 50) % 100 < 100 * request.score
    data: dict[str, Any] = {"label": "up" if good else "down", "rating": 1.0 if good else 0.0}
    data |= {"scale_min": 0.0, "scale_max": 1.0, "target_event_id": trace.answer_id, **trace.labels}
    if request.with_content:
        data["comment"] = COMMENTS[request.dice % len(COMMENTS)]
    trace.loose(trace.now + request.feedback_us, "feedback.rating", trace.project.name, data)
