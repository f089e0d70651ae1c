"""Langfuse's client since version 3, which speaks OTLP: what its guide shows."""

import contextlib
import json
import os
import sys

import httpx
from langfuse import get_client, observe, propagate_attributes

PROVIDER = os.environ["PROVIDER"]
MESSAGES = [{"role": "user", "content": "Where is my order?"}]

langfuse = get_client()


def by_hand() -> str:
    """Observations by context managers."""
    with langfuse.start_as_current_observation(as_type="span", name="support", input={"q": "order"}) as root:
        with propagate_attributes(user_id="u-1", session_id="s-1", trace_name="support", metadata={"plan": "team"}):
            with root.start_as_current_observation(as_type="retriever", name="search", input="orders") as search:
                search.update(output=["d-1"])
            with root.start_as_current_observation(
                as_type="generation",
                name="answer",
                model="gpt-4o",
                input=MESSAGES,
                model_parameters={"temperature": 0.2, "max_tokens": 64},
            ) as answer:
                answer.update(
                    output={"role": "assistant", "content": "It arrives on Monday."},
                    usage_details={"input": 56, "input_cached_tokens": 64, "output": 20, "output_reasoning_tokens": 10},
                )
            with root.start_as_current_observation(as_type="generation", name="retry", model="gpt-4o") as failed:
                failed.update(level="ERROR", status_message="429: slow down")
            with root.start_as_current_observation(as_type="tool", name="get_order", input={"order": 17}) as tool:
                tool.update(output="shipped")
        answer.score(name="faithfulness", value=0.86, comment="cites the order")
        root.update(output="It arrives on Monday.")
        return root.trace_id


@observe(as_type="generation")
def answer(question: str) -> str:
    """A call that the decorator times, and whose usage it is told."""
    langfuse.update_current_generation(model="gpt-4o-mini", usage_details={"input": 120, "output": 30}, input=question)
    return "It arrives on Monday."


@observe(as_type="agent")
def decorated() -> str:
    """A function with a call in it."""
    with propagate_attributes(user_id="u-2", session_id="s-2"):
        answer("Where is my order?")
    return langfuse.get_current_trace_id() or ""


@observe()
def drop_in() -> str:
    """OpenAI's client as Langfuse wraps it."""
    from langfuse.openai import OpenAI, openai

    http = httpx.Client(trust_env=False)
    client = OpenAI(api_key="sk-test", base_url=f"{PROVIDER}/v1", max_retries=0, http_client=http)
    with propagate_attributes(user_id="u-3", session_id="s-3"):
        client.chat.completions.create(name="wrapped", model="gpt-4o", messages=MESSAGES, temperature=0.2)
        stream = client.chat.completions.create(
            name="streamed", model="gpt-4o", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        list(stream)
        with contextlib.suppress(openai.RateLimitError):
            client.chat.completions.create(name="failed", model="gpt-none", messages=MESSAGES)
    return langfuse.get_current_trace_id() or ""


def main() -> None:
    done = {"by_hand": by_hand(), "decorated": decorated(), "drop_in": drop_in()}
    langfuse.flush()
    langfuse.shutdown()
    json.dump(done, sys.stdout)


if __name__ == "__main__":
    main()
