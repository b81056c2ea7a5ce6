"""A scenario as a source: what `quetma produce` would send, in the same order, and what must be known of it before."""

from __future__ import annotations

import json
from contextlib import aclosing

import numpy as np
import polars as pl

from producers.announcements import wall_clock
from producers.blocks import PaymentBlock
from producers.checkpoints import Beginning, first_checkpoint
from producers.load.frames import RECORDS
from producers.load.sources.scenarios import frame_of, scenario_source
from producers.orders import Orders
from producers.outbox import Outbox
from producers.plan import Plan
from producers.recovery import Recovery
from producers.simulation.world import build_world
from schemas.topics import ACCOUNTS, CELLS, PAYMENTS, QR_CODES
from tests.small import small

PARTITIONS = 3
DAY_MS = 86_400_000


def plan(days: int | None) -> Plan:
    return Plan(build_world(small(), 7), "load-1", days)


async def test_it_gives_the_payments_that_produce_would_send():
    found = pl.concat([frame async for frame in scenario_source(plan(2), PARTITIONS, frame_records=500)])
    assert found.schema == RECORDS
    outbox = Outbox(plan(2), Orders(plan(2), wall_clock), PARTITIONS, 1000, cloud_events=False)
    beginning = Beginning(first_checkpoint(plan(2), [0] * PARTITIONS), Recovery({}), resumes=False)
    blocks = [item.records for item in outbox.items(beginning) if isinstance(item, PaymentBlock)]
    expected = pl.concat([frame_of(block, 0) for block in blocks])
    assert found.drop("offset").equals(expected.drop("offset"))
    assert found["offset"].to_list() == list(range(len(found)))
    assert set(found["topic"]) == {PAYMENTS}


async def test_it_has_no_end_and_tells_of_cells_accounts_and_codes_before_the_payments_that_need_them():
    known: dict[str, set[str]] = {CELLS: set(), ACCOUNTS: set(), QR_CODES: set()}
    days: set[int] = set()

    async def announce(block) -> None:
        known.setdefault(block.topic, set()).update(block.key.to_list())

    async with aclosing(scenario_source(plan(None), PARTITIONS, announce)) as source:
        async for frame in source:
            payments = [one for one in map(_payment, frame["value"].to_list()) if one is not None]
            assert {f"{one['run']}|{one['cell']}" for one in payments} <= known[CELLS]
            scanned = {f"{one['run']}|{one['source']}" for one in payments if "beneficiary" in one}
            assert scanned <= known[ACCOUNTS]
            assert scanned
            days |= set(np.unique(frame["timestamp"].to_numpy() // DAY_MS).tolist())
            if len(days) > 3:
                break
    assert known[QR_CODES]


async def test_headers_of_payments_come_along():
    async with aclosing(scenario_source(plan(1), PARTITIONS, cloud_events=True)) as source:
        frame = await anext(source)
    first = {header["name"]: header["value"] for header in frame["headers"][0]}
    assert first["ce_specversion"] == b"1.0"
    assert first["ce_source"].startswith(b"/quetma/load-1/")


def _payment(value: bytes) -> dict | None:
    try:
        return json.loads(value)
    except json.JSONDecodeError:  # malformed on purpose
        return None
