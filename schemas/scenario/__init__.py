"""The scenario file: a province, how it adopts and how it pays, and for every figure where it comes from."""

from schemas.scenario.document import BILL_SECTORS, Scenario
from schemas.scenario.figures import HOURS, Sourced

__all__ = ["BILL_SECTORS", "HOURS", "Scenario", "Sourced"]
