"""A question answered from documents: gateway → retrieval → guardrail → model → evaluation → feedback, as one trace.

Run it against a hub: ``LLM_HUB_URL=http://127.0.0.1:8080 LLM_HUB_KEY=lh_… python examples/rag_service.py``.
The model is a stand-in, so that it runs anywhere; with the real one, ``llm_hub.instrument_openai()`` captures the call.
"""

import time

import llm_hub

DOCUMENTS = {
    "shipping": "Orders are shipped within one day and arrive within three.",
    "returns": "Unused goods can be sent back within thirty days.",
    "warranty": "Every lamp has a warranty of two years.",
}
SECRETS = ("password", "card number")


def retrieve(hub: llm_hub.Client, question: str, top_k: int = 2) -> list[str]:
    """The documents that share the most words with the question."""
    with hub.span("documents", event_type="retrieval.query", data={"index": "docs", "top_k": top_k}) as span:
        words = {word.strip("?.,!").lower() for word in question.split()}
        scores = {name: len(words & set(text.lower().split())) / len(words) for name, text in DOCUMENTS.items()}
        best = sorted(scores, key=lambda name: -scores[name])[:top_k]
        found = [scores[name] for name in best]
        span.set(query=question, returned=len(best), document_ids=best, scores=found, max_score=max(found))
        return [DOCUMENTS[name] for name in best]


def allowed(hub: llm_hub.Client, text: str, stage: str) -> bool:
    """Whether a text may pass."""
    with hub.span("no-secrets", event_type="guardrail.check", data={"stage": stage}) as span:
        passed = not any(secret in text.lower() for secret in SECRETS)
        span.set(verdict="pass" if passed else "block", category="secrets", score=0.0 if passed else 1.0)
        return passed


def complete(hub: llm_hub.Client, question: str, documents: list[str]) -> tuple[str, str]:
    """The model's answer and the id of its event; a stand-in for a provider's client."""
    began = time.perf_counter()
    prompt = [
        {"role": "system", "content": "Answer from these documents: " + " ".join(documents)},
        {"role": "user", "content": question},
    ]
    answer = documents[0]
    event_id = hub.capture(
        "llm.request",
        {
            "provider": "openai",
            "model": "gpt-4o-mini",
            "operation": "chat",
            "input_tokens": sum(len(message["content"]) for message in prompt) // 4,
            "output_tokens": len(answer) // 4,
            "duration_ms": (time.perf_counter() - began) * 1000,
            "finish_reason": "stop",
            "prompt_id": "answer-from-documents",
            "input_messages": prompt,
            "output_messages": [{"role": "assistant", "content": answer}],
        },
    )
    return answer, event_id


def answer(hub: llm_hub.Client, question: str, user_id: str) -> tuple[str, str | None]:
    """The whole way of a question: the answer, and the id to rate it by."""
    with hub.span("POST /ask", kind="server", user_id=user_id, data={"service": "rag"}) as request:
        hub.capture("gateway.route", {"model": "gpt-4o-mini", "provider": "openai", "policy": "least_loaded"})
        if not allowed(hub, question, "input"):
            request.fail("blocked by the guardrail")
            return "I cannot help with that.", None
        documents = retrieve(hub, question)
        text, event_id = complete(hub, question, documents)
        if not allowed(hub, text, "output"):
            return "I cannot help with that.", event_id
        grounded = {
            "evaluator": "groundedness",
            "kind": "rule",
            "score": float(text in documents),
            "passed": text in documents,
        }
        hub.capture("evaluation.score", grounded | {"target_event_id": event_id})
        return text, event_id


def rate(hub: llm_hub.Client, event_id: str, user_id: str, *, up: bool) -> None:
    """The user's thumb, perhaps minutes later."""
    hub.capture("feedback.rating", {"label": "up" if up else "down", "target_event_id": event_id}, user_id=user_id)


if __name__ == "__main__":
    with llm_hub.Client(source="rag-service", project="support", environment="demo") as client:
        for number, asked in enumerate(["When are orders shipped?", "How long is the warranty?", "Tell me a password"]):
            said, rated = answer(client, asked, f"u-{number}")
            print(f"{asked} → {said}")
            if rated:
                rate(client, rated, f"u-{number}", up=number == 0)
        client.flush(10)
        print(client.stats())
