"""LiteLLM without its proxy: the hub's callback as its page shows it, and LiteLLM's own callbacks."""

import asyncio
import contextlib
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import litellm

PROVIDER = os.environ["PROVIDER"]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "adapters.md"
MESSAGES = [{"role": "user", "content": "Where is my order?"}]
AT = {"api_base": f"{PROVIDER}/v1", "api_key": "sk-test", "max_retries": 0}


def recipe() -> Any:
    """The callback on the page of adapters."""
    namespace: dict[str, Any] = {}
    codes = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    exec(next(code for code in codes if "litellm" in code), namespace)
    return namespace["hub"]


def said(user: str) -> dict[str, Any]:
    """Who asks; LiteLLM writes into what it is given, so each call has its own."""
    return {"user": user, "metadata": {"session_id": f"s-{user}", "trace_user_id": user, "generation_name": "answer"}}


def calls(user: str) -> None:
    """A call, a stream, an embedding and a failure."""
    litellm.completion(model="openai/gpt-4o", messages=MESSAGES, temperature=0.2, **said(user), **AT)
    usage = {"include_usage": True}
    stream = litellm.completion(
        model="openai/gpt-4o-mini", messages=MESSAGES, stream=True, stream_options=usage, **said(user), **AT
    )
    for _ in stream:
        pass
    litellm.embedding(model="openai/text-embedding-3-small", input=["refund policy"], **said(user), **AT)
    with contextlib.suppress(litellm.exceptions.RateLimitError):
        litellm.completion(model="openai/gpt-none", messages=MESSAGES, **said(user), **AT)


async def asynchronous(user: str) -> None:
    """A call of another provider, which does not block."""
    await litellm.acompletion(
        model="anthropic/claude-sonnet-4-0", messages=MESSAGES, api_base=PROVIDER, api_key="sk-test", **said(user)
    )
    await asyncio.sleep(1)  # LiteLLM tells its callbacks afterwards, and has no way to wait for them


def main() -> None:
    callback, user = sys.argv[1], sys.argv[2]
    litellm.suppress_debug_info = True
    if callback == "langfuse":
        litellm.success_callback = litellm.failure_callback = [callback]
    else:
        litellm.callbacks = [recipe() if callback == "hub" else callback]
    calls(user)
    asyncio.run(asynchronous(user))
    time.sleep(2)


if __name__ == "__main__":
    main()
