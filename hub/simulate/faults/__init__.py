"""Named faults. A new one is a file here and a line in the list."""

from hub.simulate.faults.base import Fault
from hub.simulate.faults.cache_collapse import CacheCollapse
from hub.simulate.faults.cost_spike_user import CostSpikeUser
from hub.simulate.faults.guardrail_storm import GuardrailStorm
from hub.simulate.faults.latency_creep import LatencyCreep
from hub.simulate.faults.prompt_regression import PromptRegression
from hub.simulate.faults.provider_outage import ProviderOutage
from hub.simulate.faults.retrieval_degradation import RetrievalDegradation
from hub.simulate.faults.token_leak import TokenLeak

FAULTS: tuple[type[Fault], ...] = (
    ProviderOutage,
    LatencyCreep,
    CostSpikeUser,
    PromptRegression,
    GuardrailStorm,
    CacheCollapse,
    TokenLeak,
    RetrievalDegradation,
)

__all__ = ["FAULTS", "Fault"]
