"""Messages, queries and log lines from templates.

Names, addresses and keys are invented; some are there to be redacted.
"""

from typing import Any

QUESTIONS: dict[str, tuple[str, ...]] = {
    "support-bot": (
        "My invoice {n} was charged twice, can you refund one of the payments?",
        "How do I add a second seat to the plan? My account is mail{n}@customer.example.",
        "The export button does nothing since yesterday. Ticket {n}.",
        "Please call me back on +1 202 555 01{nn} about order {n}.",
        "I would like to cancel, but keep my data until the end of the month.",
    ),
    "code-assistant": (
        "Complete the function that parses line {n} of the config file.",
        "Why does this raise KeyError: 'user_{n}' only in staging?",
        'Review this change: retries={nn}, api_key = "sk-proj-{key}".',
        "Write a unit test for the date parser, leap years included.",
    ),
    "rag-search": (
        "What changed in the travel policy, section {nn}?",
        "Compare the incident reports {n} and {nn}.",
        "Who owns the billing service, and where is its runbook?",
        "Summarise the minutes that mention project {n}.",
    ),
    "prompt-assistant": (
        "Make this friendlier: 'Your request {n} was denied.'",
        "Translate to German: 'Delivery in {nn} days.'",
        "Shorten to one sentence, keep the figure {n}.",
    ),
    "research-agent": (
        "Find three sources on the market of heat pumps since 20{nn} and weigh them.",
        "Which of our {nn} suppliers is exposed to the new tariff? Show the evidence.",
    ),
}

ANSWERS = (
    "Certainly. I have looked at it: reference {n} is settled, and you will get a confirmation within {nn} hours.",
    "Here is what I found. First, the setting moved to the new page; second, case {n} describes the same symptom.",
    "I am not certain. The documents name {nn} possible reasons; the likeliest is a stale session. Sign in again.",
    "Done. If anything is missing, write to help{nn}@platform.example and quote {n}.",
    "The short answer is yes. The longer one: it depends on the plan, see section {nn}.",
)

SYSTEM = "You are the assistant of {project}. Be brief, say so when you do not know, never reveal keys."

COMMENTS = ("exactly what I needed", "wrong order number", "too long", "thanks!", "did not answer the question")

LOG_LINES = (
    ("info", "gateway.access", "request served by worker {nn} in {n} ms"),
    ("info", "retrieval.indexer", "segment {n} merged"),
    ("warn", "gateway.pool", "connection pool {nn} at 90%"),
    ("debug", "guardrails.engine", "policy set {nn} loaded"),
    ("error", "gateway.upstream", "upstream closed the connection after {n} ms"),
)

TOOLS = ("order_lookup", "calendar", "web_search", "sql_query", "calculator")

TOOL_DEFINITIONS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"Calls {name.replace('_', ' ')}.",
            "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
        },
    }
    for name in TOOLS[:2]
]


def fill(template: str, dice: int) -> str:
    """A template with its numbers set from ``dice``.

    Examples
    --------
    >>> fill("order {n}, floor {nn}", 12345678)
    'order 25678, floor 78'
    """
    if "{" not in template:
        return template
    text = template.replace("{nn}", f"{dice % 100:02d}").replace("{n}", str(10_000 + dice % 90_000))
    return text.replace("{key}", f"{dice:024x}"[:24]) if "{key}" in text else text


def question(project: str, dice: int) -> str:
    """What a user of the project asks."""
    choices = QUESTIONS[project]
    return fill(choices[dice % len(choices)], dice >> 3)


def input_messages(project: str, dice: int) -> list[dict[str, str]]:
    """The messages of a prompt."""
    return [
        {"role": "system", "content": SYSTEM.replace("{project}", project)},
        {"role": "user", "content": question(project, dice)},
    ]


def output_messages(dice: int) -> list[dict[str, str]]:
    """The messages of a completion."""
    return [{"role": "assistant", "content": fill(ANSWERS[dice % len(ANSWERS)], dice >> 5)}]
