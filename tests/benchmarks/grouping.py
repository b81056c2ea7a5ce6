"""What a flush takes for the cells of its partition that did not change: cells in, CPU time for each out.

In: so many cells, of which none is touched. Out: one line of JSON. Run as `python -m tests.benchmarks.grouping`.
"""

from __future__ import annotations

import json
import sys
import time
from types import SimpleNamespace
from typing import Any

from streams.emission import emissions

CELLS, CELLS_A_COMMUNE = 7_456, 9
"""Of a quarter of the country."""
SECONDS = 2.0


def main() -> dict[str, float]:
    cells: list[Any] = [
        SimpleNamespace(run="run", commune=f"commune-{number // CELLS_A_COMMUNE}") for number in range(CELLS)
    ]
    begun, flushes = time.process_time(), 0
    while time.process_time() - begun < SECONDS:
        assert not list(emissions([], cells, {}))
        flushes += 1
    each = (time.process_time() - begun) / flushes
    return {"cells": CELLS, "us_a_flush": round(each * 1e6), "us_a_cell": round(each * 1e6 / CELLS, 3)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main()) + "\n")
