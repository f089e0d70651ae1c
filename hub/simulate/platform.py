"""The simulated platform: its models, its projects, and who uses them.

Prices are the list prices that the platform's own registry announces; what a request costs is the hub's to find out.
Names are those of the public price table, so that every request can be priced.
"""

from dataclasses import dataclass

from hub.simulate.fitted import (
    AZURE_CHAT,
    AZURE_CODE,
    CHAT_UNEVENNESS,
    CODE_UNEVENNESS,
    KIMI_CHAT,
    QWEN_SMALL,
    REASONING,
    TokenLengths,
)


@dataclass(frozen=True, slots=True)
class Model:
    """A language model as a gateway sees it.

    ``first_token_ms`` and ``per_token_ms`` are medians without load; ``error_rate`` is the share of attempts that fail
    on a good day; ``reasoning`` the share of the completion that is spent on reasoning; ``fallback`` is asked when
    the retries are used up.
    """

    name: str
    provider: str
    input_price: float
    output_price: float
    context_window: int
    first_token_ms: float
    per_token_ms: float
    fallback: str
    error_rate: float = 0.006
    reasoning: float = 0.0
    writes_cache: bool = False


MODELS = (
    Model("gpt-4o", "openai", 2.5, 10.0, 128_000, 420, 14.0, "claude-sonnet-4-5"),
    Model("gpt-4o-mini", "openai", 0.15, 0.6, 128_000, 310, 9.0, "gemini-2.5-flash"),
    Model("gpt-4.1", "openai", 2.0, 8.0, 1_047_576, 450, 12.0, "claude-sonnet-4-5"),
    Model("gpt-5-mini", "openai", 0.25, 2.0, 400_000, 700, 8.0, "gemini-2.5-flash", reasoning=0.45),
    Model("claude-sonnet-4-5", "anthropic", 3.0, 15.0, 200_000, 620, 16.0, "gpt-4.1", writes_cache=True),
    Model("claude-haiku-4-5", "anthropic", 1.0, 5.0, 200_000, 380, 8.0, "gpt-4o-mini", writes_cache=True),
    Model("gemini-2.5-flash", "google", 0.3, 2.5, 1_048_576, 350, 6.0, "gpt-4o-mini", error_rate=0.009),
    Model("mistral-large-latest", "mistral", 2.0, 6.0, 131_072, 480, 15.0, "gpt-4.1", error_rate=0.012),
    Model("llama-3.3-70b-versatile", "groq", 0.59, 0.79, 131_072, 190, 3.2, "gpt-4o-mini", error_rate=0.010),
)
MODEL_INDEX = {model.name: index for index, model in enumerate(MODELS)}
PROVIDERS = tuple(sorted({model.provider for model in MODELS}))

EMBEDDING_MODEL, EMBEDDING_PROVIDER, EMBEDDING_DIMENSIONS = "text-embedding-3-small", "openai", 1536


@dataclass(frozen=True, slots=True)
class Project:
    """An application on the platform.

    Shares are of its requests, 0–1. ``correlation`` is that of prompt and completion length (Gaussian copula);
    ``agent`` projects make several calls of models and tools in a trace; ``version`` is the prompt's at the start.
    """

    name: str
    weight: float
    lengths: TokenLengths
    correlation: float
    unevenness: float
    models: tuple[tuple[str, float], ...]
    features: tuple[str, ...]
    intents: tuple[str, ...]
    prompt: str
    technique: str
    version: int
    users: int
    index: str = ""
    retrieval: float = 0.0
    guarded: float = 0.0
    tools: float = 0.0
    evaluated: float = 0.0
    rated: float = 0.0
    streamed: float = 0.9
    cached: float = 0.0
    experiment: str = ""
    agent: str = ""


PROJECTS = (
    Project(
        name="support-bot", weight=0.34, lengths=AZURE_CHAT, correlation=0.25, unevenness=CHAT_UNEVENNESS,
        models=(("gpt-4o-mini", 0.55), ("gpt-4o", 0.25), ("claude-haiku-4-5", 0.2)),
        features=("chat-widget", "ticket-reply", "email-draft"), intents=("billing", "how_to", "refund", "complaint"),
        prompt="support-answer", technique="few_shot", version=7, users=900, index="help-center", retrieval=0.7,
        guarded=0.95, tools=0.12, evaluated=0.12, rated=0.07, cached=0.55,
    ),
    Project(
        name="code-assistant", weight=0.3, lengths=AZURE_CODE, correlation=0.1, unevenness=CODE_UNEVENNESS,
        models=(("claude-sonnet-4-5", 0.45), ("gpt-4.1", 0.35), ("llama-3.3-70b-versatile", 0.2)),
        features=("completion", "explain", "review"), intents=("complete", "fix", "explain"),
        prompt="code-complete", technique="zero_shot", version=12, users=350, guarded=0.25, evaluated=0.05,
        rated=0.03, streamed=0.97, cached=0.7,
    ),
    Project(
        name="rag-search", weight=0.16, lengths=KIMI_CHAT, correlation=0.15, unevenness=CHAT_UNEVENNESS,
        models=(("gemini-2.5-flash", 0.5), ("gpt-4.1", 0.3), ("mistral-large-latest", 0.2)),
        features=("search", "summarise"), intents=("lookup", "compare", "summarise"),
        prompt="grounded-answer", technique="retrieval_augmented", version=4, users=500, index="company-wiki",
        retrieval=1.0, guarded=0.5, evaluated=0.25, rated=0.05, cached=0.35,
    ),
    Project(
        name="prompt-assistant", weight=0.14, lengths=QWEN_SMALL, correlation=0.3, unevenness=CHAT_UNEVENNESS,
        models=(("gpt-4o-mini", 0.6), ("claude-haiku-4-5", 0.4)),
        features=("improve", "shorten", "translate"), intents=("rewrite", "translate"),
        prompt="rewrite", technique="chain_of_thought", version=3, users=600, guarded=0.6, evaluated=0.2,
        rated=0.1, cached=0.2, experiment="exp-rewrite-tone",
    ),
    Project(
        name="research-agent", weight=0.06, lengths=REASONING, correlation=0.35, unevenness=CHAT_UNEVENNESS,
        models=(("gpt-5-mini", 0.6), ("claude-sonnet-4-5", 0.4)),
        features=("deep-research",), intents=("research",),
        prompt="agent-plan", technique="react", version=2, users=120, index="web-cache", retrieval=0.8,
        guarded=0.8, tools=1.0, evaluated=0.3, rated=0.12, streamed=0.4, cached=0.5, agent="researcher",
    ),
)  # fmt: skip
PROJECT_INDEX = {project.name: index for index, project in enumerate(PROJECTS)}

REGIONS, REGION_SHARES = ("eu-west-1", "us-east-1", "ap-southeast-1"), (0.5, 0.35, 0.15)
ENVIRONMENTS, ENVIRONMENT_SHARES = ("production", "staging"), (0.94, 0.06)
VARIANTS = ("control", "treatment")

#: Calls of models in an agent's trace, and how likely each number is.
AGENT_CALLS, AGENT_CALL_SHARES = (2, 3, 4, 5), (0.35, 0.35, 0.2, 0.1)

#: GPU workers of a tenant's own serving fleet, and the model they serve.
WORKERS = ("gpu-a1", "gpu-a2", "gpu-b1", "gpu-b2")
SERVED_MODEL = "llama-3.3-70b-versatile"


def tenant_weights(count: int) -> list[float]:
    """Shares of the traffic of ``count`` tenants, the first the largest."""
    weights = [1 / (rank + 1) ** 0.8 for rank in range(count)]
    return [weight / sum(weights) for weight in weights]


def project_weights(tenant: int) -> list[float]:
    """Shares of the projects in a tenant's traffic: each tenant leans to another one."""
    weights = [project.weight for project in PROJECTS]
    favourite = tenant % len(weights)
    weights[favourite] += 0.25 if tenant else 0.0
    return [weight / sum(weights) for weight in weights]


def events_per_request(project: Project) -> float:
    """Expected events of one request's trace, to turn a rate of events into one of requests."""
    calls = sum(n * share for n, share in zip(AGENT_CALLS, AGENT_CALL_SHARES, strict=True)) if project.agent else 1
    tools = (calls - 1) if project.agent else project.tools
    exposure = 0.25 if project.experiment else 0.0
    checks = 2 * project.guarded
    return 2 + 1.015 * calls + tools + project.retrieval + checks + project.evaluated + project.rated + exposure
