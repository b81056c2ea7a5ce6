"""Folding comes to what plain counting comes to, however the records are divided into chunks."""

from __future__ import annotations

import itertools
import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.cells import pack, unpack
from streams.emission import emissions
from streams.fold import PartitionFold, PartitionState
from tests.stream_model import (
    GARBAGE,
    HOUR_MS,
    METHODS,
    MIDNIGHT_MS,
    PLACES,
    Cells,
    Record,
    Reference,
    comparable,
    log_of,
    payment,
    random_log,
)

payments = st.builds(
    payment,
    st.sampled_from(PLACES),
    st.sampled_from("ab"),
    st.integers(1, 12),
    method=st.sampled_from(METHODS),
    status=st.sampled_from(("settled", "failed", "reversed")),
    amount_vnd=st.integers(1, 5).map(lambda thousands: thousands * 1000),
    occurred_at=st.integers(-3 * 24 * 6, 2 * 24 * 6).map(lambda tens: MIDNIGHT_MS + tens * 600_000),
)
scattered_logs = st.lists(payments | st.sampled_from(GARBAGE), max_size=50).map(lambda values: log_of(*values))
flowing_logs = st.builds(lambda seed: random_log(random.Random(seed), 60), st.integers(0, 2**32))
logs = scattered_logs | flowing_logs
latenesses = st.sampled_from((0, 1, HOUR_MS, 2 * HOUR_MS, 7 * HOUR_MS + 1))


def folded(log: list[Record], cuts: list[int], lateness: int) -> PartitionFold:
    fold = PartitionFold(PartitionState(partition=0), [], lateness)
    borders = [0, *sorted(cut for cut in cuts if cut < len(log)), len(log)]
    for begin, end in itertools.pairwise(borders):
        fold.apply(log[begin:end], Cells(), registry_is_fresh=True)
    return fold


def facts(fold: PartitionFold) -> tuple[object, ...]:
    """Return the logical state: all but how far each cell has been brought, which is the chunk's end."""
    cells = {cell.key: unpack(pack(cell)) for cell in fold.cells}
    for cell in cells.values():
        cell.applied_offset = 0
    return fold.state, {key: pack(cell) for key, cell in sorted(cells.items())}


@given(logs, st.lists(st.integers(0, 60)), latenesses)
def test_chunks_do_not_matter(log, cuts, lateness):
    assert facts(folded(log, cuts, lateness)) == facts(folded(log, [], lateness))


@given(logs, st.lists(st.integers(0, 60)), latenesses)
@settings(max_examples=200)
def test_the_fold_is_plain_counting(log, cuts, lateness):
    reference = Reference(lateness)
    for record in log:
        reference.take(record)
    fold = folded(log, cuts, lateness)
    state = fold.state
    assert (state.next_offset, state.processed) == (len(log), len(log))
    assert state.applied == len(reference.counted)
    assert state.duplicates == len(reference.repeated)
    assert state.late == len(reference.late)
    assert sum(state.dead_letters.values()) == len(reference.set_aside)
    told = {(one.topic, one.key): one.document for one in emissions(fold.cells, fold.cells, fold.watermark_hours())}
    assert {place: comparable(document) for place, document in told.items()} == reference.documents()


@given(logs, latenesses)
def test_the_filter_of_each_cell_holds_what_it_has_seen(log, lateness):
    seen: dict[tuple[str, str, str], set[int]] = {}
    reference = Reference(lateness)
    for record in log:
        reference.take(record)
    for one in reference.counted:
        seen.setdefault((one.payment.run, one.payment.cell, one.payment.source), set()).add(one.payment.sequence)
    cells = folded(log, [], lateness).cells
    assert {(cell.run, cell.cell, source) for cell in cells for source in cell.highest} == set(seen)
    for cell in cells:
        for source, highest in cell.highest.items():
            missing = {n for low, high in cell.gaps.get(source, []) for n in range(low, high + 1)}
            assert set(range(1, highest + 1)) - missing == seen[cell.run, cell.cell, source]


@given(logs, st.integers(0, 60), latenesses)
def test_records_read_again_change_nothing(log, since, lateness):
    fold = folded(log, [], lateness)
    before = facts(fold)[1], dict(fold.state.watermarks)
    again = log[since:]
    result = fold.apply(again, Cells(), registry_is_fresh=True)
    assert (facts(fold)[1], fold.state.watermarks) == before
    assert (result.touched, result.replayed + len(result.dead_letters)) == ([], len(again))


@given(logs, st.lists(st.integers(0, 60)), latenesses)
def test_each_record_is_counted_as_one_thing(log, cuts, lateness):
    state = folded(log, cuts, lateness).state
    assert state.processed == state.applied + state.duplicates + sum(state.dead_letters.values())
    assert Counter(state.dead_letters) == Counter(folded(log, [], lateness).state.dead_letters)
