"""A seeded run in numbers: what the golden file keeps of it, so that any change of output is seen.

In: nothing. Out: a JSON document: of each day the SHA-256 of its wire text, its payments and VND; the first payments.
Floating point enters before amounts are rounded and shares compared, so that neither numpy of the lock (2.4 below
Python 3.12, 2.5 from it on) nor the processor's vector instructions showed a difference in 1.2 million payments.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from producers.encoding import PaymentEncoder, cell_records
from producers.qr_codes import CodeEncoder
from producers.scenario_files import load_scenario
from producers.simulation.engine import simulate
from producers.simulation.world import build_world
from schemas.events import encode

SCENARIO, SEED, DAYS, SHARD, RUN = "an-giang", 57, 2, (1, 20), "golden"
FIRST = 3
"""Payments of the first day that are kept in clear."""
PATH = Path(__file__).with_name("an-giang-s57.json")


def digest(values: list[bytes]) -> str:
    """SHA-256 of records, each with a line feed behind it."""
    return hashlib.sha256(b"".join(value + b"\n" for value in values)).hexdigest()


def document() -> dict[str, Any]:
    """Simulate the run and sum it up."""
    world = build_world(load_scenario(SCENARIO), SEED, SHARD)
    payments, codes = PaymentEncoder(world, RUN, 4), CodeEncoder(world, RUN, 4)
    days, first = [], []
    for day in simulate(world, days=DAYS):
        values = [value for block in payments.blocks(day, 1000) for value in block.records.value]
        issued = [value for code in day.codes for value in codes.block(code).value]
        first = first or values[:FIRST]
        days.append(
            {
                "day": day.day.date.isoformat(),
                "payments": len(values),
                "cashless": int((day.payments.method > 0).sum()),
                "failed": int(day.payments.status.sum()),
                "amount_vnd": int(day.payments.amount_vnd.sum()),
                "payments_sha256": digest(values),
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
