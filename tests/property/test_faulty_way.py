"""Faults on the way change no sum: repeats, spoiled copies, payments held back come to what the clean log comes to."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from streams.cells import CellState
from streams.fold import PartitionFold, PartitionState
from tests.cell_reading import as_document, open_days, paid_on
from tests.stream_model import HOUR_MS, METHODS, MIDNIGHT_MS, PLACES, Cells, log_of, payment, wire

Json = dict[str, object]
SPOIL = (lambda text: text[: len(text) // 2], lambda text: text[:-1], lambda text: text.replace(b'"method"', b'"m"'))
DELAYS = (1, 3, 30, 200)
"""Places that a record may come too late by."""


def clean(rng: random.Random, length: int) -> list[Json]:
    """Return payments in order of time, numbered without gaps."""
    numbers: Counter[tuple[str, str]] = Counter()
    documents: list[Json] = []
    for step in range(length):
        place, source = rng.choice(PLACES[:4]), rng.choice("ab")
        numbers[place.cell, source] += 1
        status = rng.choice(("settled", "settled", "failed", "reversed"))
        changes = {"method": rng.choice(METHODS), "status": status, "occurred_at": MIDNIGHT_MS + step * 400_000}
        documents.append(payment(place, source, numbers[place.cell, source], **changes))
    return documents


def on_the_way(rng: random.Random, documents: list[Json], rate: float) -> tuple[list[Json | bytes], Counter[str]]:
    """Return what arrives of them, and how many faults were put in."""
    arriving: list[tuple[int, int, Json | bytes]] = []
    faults: Counter[str] = Counter()
    for place, document in enumerate(documents):
        here = place
        if rng.random() < rate:
            arriving.append((place, 0, rng.choice(SPOIL)(wire(document))))
            faults["malformed"] += 1
        if rng.random() < rate:
            here += rng.choice(DELAYS)
        arriving.append((here, 1, document))
        if rng.random() < rate:
            arriving.append((here + rng.choice(DELAYS), 2, document))
            faults["duplicates"] += 1
    return [what for _, _, what in sorted(arriving, key=lambda one: one[:2])], faults


def folded(values: list[Json] | list[Json | bytes]) -> PartitionFold:
    fold = PartitionFold(PartitionState(partition=0), [], 2 * HOUR_MS)
    assert fold.apply(log_of(*values), Cells(), registry_is_fresh=True).consumed == len(values)
    return fold


def totals(fold: PartitionFold) -> dict[str, object]:
    return {cell.key: as_document(cell.total()) for cell in fold.cells}


def in_days_and_outside(cell: CellState) -> object:
    return as_document(cell.outside + sum(paid_on(cell, day) for day in open_days(cell)))


@given(st.integers(0, 2**32), st.integers(1, 150), st.sampled_from((0.05, 0.2, 0.5)))
def test_faults_change_no_sum_and_are_all_counted(seed, length, rate):
    rng = random.Random(seed)
    documents = clean(rng, length)
    arriving, faults = on_the_way(rng, documents, rate)
    fold = folded(arriving)
    assert totals(fold) == totals(folded(documents))
    state = fold.state
    assert (state.applied, state.duplicates) == (length, faults["duplicates"])
    assert state.dead_letters == ({"malformed": faults["malformed"]} if faults["malformed"] else {})
    assert state.processed == length + faults.total()
    assert state.late == sum(cell.late for cell in fold.cells)
    for cell in fold.cells:
        assert cell.gaps == {}
        assert in_days_and_outside(cell) == as_document(cell.total())
