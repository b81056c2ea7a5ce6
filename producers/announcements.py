"""What a run tells beside its payments: records for topics of one partition.

In: a plan, records. Out: a `RecordBlock`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import polars as pl

from producers.blocks import RecordBlock
from producers.plan import Plan
from schemas.events import SCHEMA_VERSION, Checkpoint, RunStarted, encode
from schemas.scenario.hashing import scenario_hash

Keyed = tuple[str, bytes]
"""A record as its key and its value."""


def block_of(topic: str, records: Sequence[Keyed], at: int) -> RecordBlock:
    """Return a block of records for a topic of one partition.

    Args:
        topic: the topic.
        records: the records.
        at: their timestamp, UTC epoch milliseconds.
    """
    return RecordBlock(
        topic=topic,
        partition=np.zeros(len(records), dtype=np.int64),
        key=pl.Series([key for key, _ in records], dtype=pl.String),
        value=pl.Series([value for _, value in records], dtype=pl.Binary).cast(pl.String),
        timestamp=np.full(len(records), at),
    )


def keyed(checkpoint: Checkpoint) -> Keyed:
    """Return the record of a checkpoint."""
    return f"{checkpoint.run}|checkpoint|{checkpoint.shard}", encode(checkpoint)


def started(plan: Plan, version: str) -> RunStarted:
    """Return what a run announces of itself; its scenario is the one without orders."""
    world = plan.world
    return RunStarted(
        schema_version=SCHEMA_VERSION,
        run=plan.run,
        scenario=world.scenario.name,
        province=world.scenario.province.id,
        seed=world.seed,
        started_at=wall_clock(),
        version=version,
        scenario_hash=scenario_hash(world.scenario),
    )


def wall_clock() -> int:
    """Return the time, UTC epoch milliseconds."""
    return time.time_ns() // 1_000_000


def ignore(_: object) -> None:
    """Count nothing: for records that are in no ledger."""
