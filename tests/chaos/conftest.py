"""How much is tried: a little by default, the issue's numbers with ``LLM_HUB_CHAOS_FULL=1``.

``LLM_HUB_CHAOS_SEED`` repeats a run, ``LLM_HUB_CHAOS_ROUNDS`` says how often a thing is broken, and
``LLM_HUB_CHAOS_OUT`` names a file that gets a JSON line of figures for each scenario.
"""

import os
import random
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Extent:
    """How much is tried."""

    seed: int
    full: bool

    def rounds(self, few: int, many: int) -> int:
        """How often a thing is broken."""
        return int(os.environ.get("LLM_HUB_CHAOS_ROUNDS", many if self.full else few))

    def seconds(self, short: float, long: float) -> float:
        """How long it stays broken."""
        return long if self.full else short

    def random(self, scenario: str) -> random.Random:
        """Chance of a scenario, the same for the same seed."""
        return random.Random(f"{self.seed}/{scenario}")


@pytest.fixture(scope="session")
def extent() -> Extent:
    """How much is tried in this run."""
    seed = int(os.environ.get("LLM_HUB_CHAOS_SEED", "1"))
    return Extent(seed, full=os.environ.get("LLM_HUB_CHAOS_FULL") == "1")
