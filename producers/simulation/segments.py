"""Groups of adults that differ in how fast they adopt: settlement × age group × income.

In: ``producers/world/segments.csv``. Out: `Segments` of one kind of settlement, as columns.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from producers.simulation.columns import FloatArray
from schemas.scenario.places import Settlement

OLDEST = "55+"
"""The age group to which pensions are paid."""
_TABLE = Path(__file__).parents[1] / "world" / "segments.csv"


@dataclass(frozen=True)
class Segments:
    """The segments of one kind of settlement, shape (segments,)."""

    share: FloatArray
    """Of the adults; sums to 1."""
    susceptibility: FloatArray
    """σ: factor on the hazard of becoming active; its mean over the adults is 1, whatever the table's scale."""
    eligible_odds: FloatArray
    """Odds of being eligible at the start, relative to one another."""
    active_odds: FloatArray
    """Odds of being active at the start of those who are eligible, relative to one another."""
    oldest: FloatArray
    """Share of the segment that is of the oldest age group."""


@lru_cache(maxsize=4)
def segments_of(settlement: Settlement) -> Segments:
    """Return the segments of urban or rural communes."""
    rows = [row for row in csv.DictReader(_TABLE.read_text("utf-8").splitlines()) if row["settlement"] == settlement]

    def column(name: str) -> FloatArray:
        return np.array([float(row[name]) for row in rows])

    share, susceptibility = column("share"), column("susceptibility")
    return Segments(
        share=share / share.sum(),
        susceptibility=susceptibility * share.sum() / (share * susceptibility).sum(),
        eligible_odds=column("eligible_odds"),
        active_odds=column("active_odds"),
        oldest=np.array([float(row["age_group"] == OLDEST) for row in rows]),
    )


@lru_cache(maxsize=4)
def one_segment(settlement: Settlement) -> Segments:
    """Return all adults of a settlement as one segment, of which some are of the oldest age group."""
    one, segments = np.ones(1), segments_of(settlement)
    return Segments(one, one, one, one, np.array([segments.share @ segments.oldest]))
