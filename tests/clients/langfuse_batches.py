"""Langfuse's client before version 3, which sends batches to ``/api/public/ingestion``: what its guide shows."""

import contextlib
import json
import os
import sys
import time
from datetime import datetime

import httpx
from langfuse import Langfuse
from langfuse.decorators import langfuse_context, observe

PROVIDER = os.environ["PROVIDER"]
MESSAGES = [{"role": "user", "content": "Where is my order?"}]


def by_hand() -> str:
    """A trace with a span, a generation in it, an event and scores, told as they happen."""
    client = Langfuse()
    trace = client.trace(
        name="support", user_id="u-1", session_id="s-1", input=MESSAGES, metadata={"plan": "team"}, tags=["beta"]
    )
    span = trace.span(name="retrieve", input={"query": "orders"})
    client.flush()  # what begins and what ends come in different batches
    span.event(name="cache-miss")
    generation = span.generation(
        name="answer", model="gpt-4o", model_parameters={"temperature": 0.2, "max_tokens": 64}, input=MESSAGES
    )
    generation.update(completion_start_time=datetime.now().astimezone())
    time.sleep(0.02)
    generation.end(
        output={"role": "assistant", "content": "It arrives on Monday."},
        usage_details={"input": 56, "input_cached_tokens": 64, "output": 20, "output_reasoning_tokens": 10},
    )
    failed = span.generation(name="retry", model="gpt-4o", input=MESSAGES)
    failed.end(level="ERROR", status_message="429: slow down")
    generation.score(name="faithfulness", value=0.86, comment="cites the order")
    span.end(output={"documents": 2})
    trace.update(output="It arrives on Monday.")
    trace.score(name="tone", value="kind", data_type="CATEGORICAL")
    client.flush()
    client.shutdown()
    return trace.id


@observe(as_type="generation")
def answer(question: str) -> str:
    """A call that the decorator times, and whose usage it is told."""
    langfuse_context.update_current_observation(
        model="gpt-4o-mini", usage={"input": 120, "output": 30, "unit": "TOKENS"}, input=question
    )
    return "It arrives on Monday."


@observe()
def decorated() -> str:
    """A function with a call in it."""
    langfuse_context.update_current_trace(user_id="u-2", session_id="s-2", name="decorated")
    answer("Where is my order?")
    return langfuse_context.get_current_trace_id() or ""


def drop_in() -> str:
    """OpenAI's client as Langfuse wraps it."""
    from langfuse.openai import OpenAI, modifier, openai

    http = httpx.Client(trust_env=False)
    client = OpenAI(api_key="sk-test", base_url=f"{PROVIDER}/v1", max_retries=0, http_client=http)
    said = {"name": "wrapped", "user_id": "u-3", "session_id": "s-3", "trace_id": "wrapped-1"}
    client.chat.completions.create(model="gpt-4o", messages=MESSAGES, temperature=0.2, **said)
    stream = client.chat.completions.create(
        model="gpt-4o", messages=MESSAGES, stream=True, stream_options={"include_usage": True}, **said
    )
    list(stream)
    with contextlib.suppress(openai.RateLimitError):
        client.chat.completions.create(model="gpt-none", messages=MESSAGES, **said)
    modifier._langfuse.flush()
    return "wrapped-1"


def main() -> None:
    done = {"by_hand": by_hand(), "decorated": decorated()}
    langfuse_context.flush()
    done["drop_in"] = drop_in()
    json.dump(done, sys.stdout)


if __name__ == "__main__":
    main()
