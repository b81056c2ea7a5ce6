"""A small province for tests that write files: seven communes, all sectors, everything that may happen to a payment.

In: nothing. Out: its TOML text, and the scenario.
"""

from __future__ import annotations

from functools import cache

from producers.scenario_files import parse_scenario
from schemas.scenario import Scenario

SMALL = """
extends = "an-giang"
name = "small"
title = "Small"
start = 2025-12-30
scale = { value = 1.0, source = "assumed" }

[province]
communes = { value = 7, source = "assumed" }
households = { value = 900, source = "assumed" }

[markets]
count = { value = 4, source = "assumed" }
stalls_median = { value = 12, source = "assumed" }

[market_stall]
payments_per_stall_day = { value = 6.0, source = "assumed" }

[stream_faults]
duplicate_rate = { value = 0.01, source = "assumed" }
late_rate = { value = 0.01, source = "assumed" }
malformed_rate = { value = 0.01, source = "assumed" }

[payment_life]
reversal_rate = { value = 0.1, source = "assumed" }

[market_stall.cashless]
failure_rate = { value = 0.2, source = "assumed" }

[[intervention]]
id = "swapped"
kind = "fraud_wave"
source = "assumed"
start = 2025-12-30
end = 2026-12-30
stalls = { value = 0.5, source = "assumed" }
"""
"""Its days run over the end of a month."""


@cache
def small() -> Scenario:
    """Return the scenario."""
    return parse_scenario(SMALL, "small.toml").scenario
