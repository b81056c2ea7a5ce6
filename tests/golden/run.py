"""A seeded run in numbers: what the golden file keeps of it, so that any change of output is seen.

In: nothing. Out: a JSON document: of each day the SHA-256 of its wire text, truth and codes, its payments by status,
labels, VND; the first payments. Floating point enters before amounts are rounded and chances compared.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from producers.encoding import PaymentEncoder, cell_records
from producers.engine import DayOfPayments, ProvinceSimulation
from producers.qr_codes import CodeEncoder
from producers.scenario_files import load_scenario
from producers.simulation.columns import SETTLED
from producers.simulation.transmission import transmit
from producers.simulation.world import World, build_world
from schemas.events import METHODS, STATUSES, TRUTH_LABELS, encode
from tests.worlds import written

if TYPE_CHECKING:
    from collections.abc import Iterable

SCENARIO, SEED, DAYS, SHARD, RUN = "an-giang", 57, 2, (1, 20), "golden"
FIRST = 3
"""Payments of the first day that are kept in clear."""
PATH = Path(__file__).with_name("an-giang-s57.json")


def digest(values: list[bytes]) -> str:
    """SHA-256 of records, each with a line feed behind it."""
    return hashlib.sha256(b"".join(value + b"\n" for value in values)).hexdigest()


def sums(world: World, day: DayOfPayments) -> dict[str, Any]:
    """A day in numbers."""
    paid, sectors = day.payments, [cell.sector for cell in world.cells]
    return {
        "day": day.day.date.isoformat(),
        "payments": len(paid),
        "by_sector": _counted(sectors[cell] for cell in world.cell_of_source[paid.source].tolist()),
        "by_method": _counted(METHODS[method] for method in paid.method.tolist()),
        "by_status": _counted(STATUSES[status] for status in paid.status.tolist()),
        "labels": _counted(TRUTH_LABELS[label] for label in paid.labels.label.tolist()),
        "settled_vnd": int(paid.amount_vnd[paid.status == SETTLED].sum()),
        "active": int(day.adoption.active.sum()),
        "stalls_with_qr": int(day.adoption.showing.sum()),
        "stalls_using_it": int(day.adoption.using.sum()),
    }


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def document() -> dict[str, Any]:
    """Simulate the run and sum it up."""
    world = build_world(load_scenario(SCENARIO), SEED, SHARD)
    payments, codes = PaymentEncoder(world, RUN, 4), CodeEncoder(world, RUN, 4)
    days, first = [], []
    for simulated in ProvinceSimulation(world).days(DAYS):
        sending, labelled = transmit(
            simulated.day, simulated.payments, simulated.sequence, world, world.scenario.stream_faults
        )
        day = replace(simulated, payments=labelled)
        values = [value for block in payments.blocks(day, sending, 1000) for value in written(block.records.value)]
        issued = [value for code in day.codes for value in written(codes.block(code).value)]
        first = first or values[:FIRST]
        days.append(
            sums(world, day)
            | {
                "records": len(values),
                "records_sha256": digest(values),
                "truth_sha256": digest(written(payments.truth(day).value)),
                "codes": len(issued),
                "codes_sha256": digest(issued),
            }
        )
    return {
        "scenario": SCENARIO,
        "seed": SEED,
        "shard": "/".join(map(str, SHARD)),
        "run": RUN,
        "cells": len(world.cells),
        "sources": world.source_count,
        "cells_sha256": digest([encode(cell) for cell in cell_records(world, RUN)]),
        "days": days,
        "first": [json.loads(value) for value in first],
    }


def text() -> str:
    """The document as it lies in the file."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"
