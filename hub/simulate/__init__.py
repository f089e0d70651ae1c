"""Realistic traffic of an LLM platform, with faults whose truth is known.

The same configuration gives the same events, byte for byte; nothing here reads a clock or the network.
"""

from hub.simulate.config import FAULT_KINDS, SCENARIOS, Event, Label, PlannedFault, SimBatch, SimulationConfig
from hub.simulate.encode import to_ndjson
from hub.simulate.run import Outcome, simulate
from hub.simulate.simulation import Simulation

__all__ = [
    "FAULT_KINDS",
    "SCENARIOS",
    "Event",
    "Label",
    "Outcome",
    "PlannedFault",
    "SimBatch",
    "Simulation",
    "SimulationConfig",
    "simulate",
    "to_ndjson",
]
