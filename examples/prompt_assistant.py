"""An assistant that tries two prompts on its users, and asks the hub which one they like better.

Run it against a hub: ``LLM_HUB_URL=http://127.0.0.1:8080 LLM_HUB_KEY=lh_… python examples/prompt_assistant.py``.
The model is a stand-in, so that it runs anywhere.
"""

import hashlib
import os
import random
import time

import httpx

import llm_hub

EXPERIMENT = "greeting-tone"
PROMPTS = {
    "control": ("Rewrite the text.", "zero_shot"),
    "examples": ("Rewrite the text as in these examples: …", "few_shot"),
}
#: How likely a user likes what the stand-in makes of a prompt.
LIKED = {"control": 0.5, "examples": 0.8}


def variant_of(user_id: str) -> str:
    """The same variant for the same user, always."""
    digest = hashlib.sha256(f"{EXPERIMENT}:{user_id}".encode()).digest()
    return list(PROMPTS)[digest[0] % len(PROMPTS)]


@llm_hub.observe(name="rewrite", kind="chain")
def rewrite(hub: llm_hub.Client, text: str) -> tuple[str, str]:
    """The rewritten text and the id of the model's event; experiment and prompt come from the context."""
    answer = f"{text.strip().capitalize()}."
    event_id = hub.capture(
        "llm.request",
        {
            "provider": "anthropic",
            "model": "claude-haiku-4-5",
            "operation": "chat",
            "input_tokens": 120 + len(text) // 4,
            "output_tokens": len(answer) // 4,
            "duration_ms": 420.0,
            "intent": "rewrite",
        },
    )
    return answer, event_id


def serve(hub: llm_hub.Client, user_id: str, text: str, dice: random.Random) -> str:
    """One request of one user: exposed, served, and sometimes rated."""
    variant = variant_of(user_id)
    _, technique = PROMPTS[variant]
    shared = {
        "experiment_id": EXPERIMENT,
        "variant": variant,
        "prompt_id": "rewrite",
        "prompt_version": variant,
        "technique": technique,
        "feature": "assistant",
    }
    with llm_hub.context(user_id=user_id, data=shared):
        hub.capture("experiment.exposure", {"experiment_id": EXPERIMENT, "variant": variant})
        answer, event_id = rewrite(hub, text)
        label = "up" if dice.random() < LIKED[variant] else "down"
        hub.capture("feedback.rating", {"label": label, "target_event_id": event_id})
        hub.capture("product.event", {"name": "accepted" if label == "up" else "discarded"})
        return answer


def compare(url: str, key: str) -> list[list[object]]:
    """What the hub says of the variants: users, requests, cost, share of thumbs up."""
    question = {
        "measures": ["users", "requests", "cost_usd", "feedback_up_rate"],
        "dimensions": ["variant"],
        "time": {"from": "now-1h", "to": "now+1m"},
        "filters": [{"field": "experiment_id", "op": "in", "values": [EXPERIMENT]}],
    }
    headers = {"Authorization": f"Bearer {key}"}
    return list(httpx.post(f"{url}/v1/query", json=question, headers=headers, trust_env=False).json()["rows"])


if __name__ == "__main__":
    with llm_hub.Client(source="prompt-assistant", project="assistant", environment="demo") as client:
        chance = random.Random(7)
        for number in range(200):
            serve(client, f"u-{number}", "please fix this sentence", chance)
        client.flush(10)
    for _ in range(100):  # accepted is durable; visible a moment later
        rows = compare(client.url, os.environ["LLM_HUB_KEY"])
        if sum(int(str(row[2])) for row in rows) == 200:
            break
        time.sleep(0.1)
    for variant, users, requests, cost, liked in rows:
        print(f"{variant}: {users} users, {requests} requests, ${cost}, liked {liked}")
