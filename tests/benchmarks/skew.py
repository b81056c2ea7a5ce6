"""How uneven the keys are: scenarios in, the largest commune and the largest partition beside the mean one out.

One line of JSON for a province and one for a country of 34: the four that come with Quetma over and over, under other
names. Payments by commune are those of two simulated weeks. Run as `python -m tests.benchmarks.skew`.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from itertools import cycle, islice
from typing import Any

import numpy as np

from producers.encoding import partition_of
from producers.engine import ProvinceSimulation
from producers.scenario_files import load_scenario, scenario_names
from producers.simulation.world import build_world

DAYS = 14
PROVINCES = 34
PARTITIONS = (4, 8, 16, 32, 64, 128, 256)

Payments = dict[str, float]
"""By commune."""


def of_province(name: str) -> tuple[Payments, Payments, int]:
    """Return payments a day by commune, payments by hour of the day, and the number of cells."""
    scenario = load_scenario(name)
    world = build_world(scenario, scenario.seed)
    by_commune, by_hour = np.zeros(len(world.places)), np.zeros(24)
    for day in ProvinceSimulation(world).days(DAYS):
        by_commune += np.bincount(world.commune_of_source[day.payments.source], minlength=len(by_commune))
        by_hour += np.bincount((day.payments.occurred_at // 3_600_000 + 7) % 24, minlength=24)
    ids = [place.id for place in world.places]
    hours = {str(hour): count / DAYS for hour, count in enumerate(by_hour.tolist())}
    return dict(zip(ids, (by_commune / DAYS).tolist(), strict=True)), hours, len(world.cells)


def of_country() -> tuple[Payments, Payments, int]:
    """Return the same of all provinces."""
    parts = [of_province(name) for name in scenario_names()]
    many = list(enumerate(islice(cycle(parts), PROVINCES)))
    communes = {f"p{number}-{commune}": count for number, (one, _, _) in many for commune, count in one.items()}
    hours: Counter[str] = Counter()
    for _, (_, one, _) in many:
        hours.update(one)
    return communes, hours, sum(cells for _, (_, _, cells) in many)


def row(name: str, communes: Payments, hours: Payments, cells: int) -> dict[str, Any]:
    whole = sum(communes.values())
    return {
        "name": name,
        "communes": len(communes),
        "cells": cells,
        "payments_a_day": round(whole),
        "peak_hour": round(max(hours.values()) / whole * 24, 2),
        "largest_commune": round(max(communes.values()) / whole, 5),
        "largest_partition": {str(count): round(unevenness(communes, count), 2) for count in PARTITIONS},
    }


def unevenness(communes: Payments, partitions: int) -> float:
    """Return the payments of the largest partition over those of the mean one."""
    of_partition: Counter[int] = Counter()
    for commune, payments in communes.items():
        of_partition[partition_of(commune.encode(), partitions)] += payments  # type: ignore[assignment]
    return max(of_partition.values()) * partitions / sum(communes.values())


if __name__ == "__main__":
    for line in (row("an-giang", *of_province("an-giang")), row("country", *of_country())):
        sys.stdout.write(json.dumps(line) + "\n")
