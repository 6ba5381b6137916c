"""A GPU market inside the process, for demos, rehearsals and tests. It bills, and misbehaves as real ones do."""

from providers.mock.faults import Fault, Operation
from providers.mock.market import Market
from providers.mock.provider import MockProvider
from providers.mock.scenario import Step, read_scenario
from providers.mock.settings import MockSettings, Stock

__all__ = ["Fault", "Market", "MockProvider", "MockSettings", "Operation", "Step", "Stock", "read_scenario"]
