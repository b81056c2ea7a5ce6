"""How many series a scenario's processes export, from the labels of the table of metrics.

In: a world, partitions and workers. Out: the most series that each row can have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.events import METHODS, SECTORS, STATUSES, DeadLetterReason
from schemas.metrics import BUCKETS, MAX_LOAD_ERROR_KINDS, METRICS, Metric, Process
from schemas.scenario.actions import ACTIONS
from schemas.topics import ADOPTION_COMMUNE, ADOPTION_MARKET, ALERTS, DEAD_LETTERS, LEDGER
from services.fraud_view import KINDS

if TYPE_CHECKING:
    from producers.simulation.world import World

TOPICS = (ADOPTION_COMMUNE, ADOPTION_MARKET, ALERTS, DEAD_LETTERS, LEDGER)
ONE = {"province": 1, "version": 1, "process": 1}
FIXED = {
    "by": 2,
    "window": 2,
    "sector": len(SECTORS),
    "method": len(METHODS),
    "status": len(STATUSES),
    "reason": len(DeadLetterReason),
    "topic": len(TOPICS),
    "error": MAX_LOAD_ERROR_KINDS,
}


def most_series(row: Metric, world: World, partitions: int) -> int:
    """The most series of one row in one process. A market lies in one commune, and a commune in one province."""
    kinds = len(ACTIONS if row.name == "quetma_active_interventions" else KINDS)
    places = {"commune": len(world.places), "market": len(world.markets)}
    sizes = {**ONE, **FIXED, **places, "kind": kinds, "partition": partitions}
    number = 1
    for label in row.labels:
        if label == "commune" and "market" in row.labels:
            continue
        number *= sizes[label]
    if row.kind == "histogram":
        # +Inf, sum, count, and when it was created
        return number * (len(BUCKETS[row.name]) + (3 if row.collected else 4))
    return number * 2 if row.kind == "counter" and not row.collected else number  # the client says when too


def most_series_of(process: Process, world: World, partitions: int) -> int:
    """The most series of one process."""
    return sum(most_series(row, world, partitions) for row in METRICS if process in row.processes)
