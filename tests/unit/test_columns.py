"""Columns against the same done row by row: joining, taking, and what notes and labels say of which payment."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from producers.simulation.columns import (
    LUCK,
    NOTHING,
    Demand,
    Labels,
    Notes,
    Payments,
    join_demand,
    join_payments,
    label_number,
    no_demand,
    slice_demand,
    take_demand,
)
from schemas.events import TRUTH_LABELS


@st.composite
def tables(draw) -> Payments:
    """Payments whose amount tells them apart, some of them with notes and labels, in any order."""
    count = draw(st.integers(0, 12))
    amounts = draw(st.lists(st.integers(1, 10**10), min_size=count, max_size=count, unique=True))
    noted = draw(st.permutations(range(count)).flatmap(lambda one: st.integers(0, count).map(lambda n: one[:n])))
    labelled = draw(st.lists(st.integers(0, max(count - 1, 0)), max_size=8)) if count else []
    refers = [draw(st.just(NOTHING) | st.integers(0, count - 1)) for _ in noted]
    column, small = np.array(amounts, dtype=np.int64), np.zeros(count, dtype=np.int8)
    rows = np.array(noted, dtype=np.int64)
    notes = Notes(rows, np.array(refers, dtype=np.int64), rows % 3 + 1, rows % 5 - 1)
    labels = Labels(np.array(labelled, dtype=np.int64), np.array(labelled, dtype=np.int64) % len(TRUTH_LABELS))
    return Payments(column % 9, column, column, column % 5 - 1, small, small, notes, labels)


def said(payments: Payments) -> list[tuple[object, ...]]:
    """What is said of each payment: its notes, the amount of the payment that it refers to, its labels."""
    found: list[tuple[object, ...]] = []
    notes, labels = payments.notes, payments.labels
    for row, amount in enumerate(payments.amount_vnd.tolist()):
        more = [
            (None if refers == NOTHING else int(payments.amount_vnd[refers]), attempt, reason)
            for noted, refers, attempt, reason in zip(
                *map(np.ndarray.tolist, (notes.row, notes.refers_to, notes.attempt, notes.reason)), strict=True
            )
            if noted == row
        ]
        named = sorted(
            one for place, one in zip(labels.row.tolist(), labels.label.tolist(), strict=True) if place == row
        )
        found.append((amount, int(payments.source[row]), int(payments.bill[row]), more, named))
    return found


@given(st.lists(tables(), min_size=1, max_size=4))
def test_joining_keeps_what_is_said_of_each_payment(parts):
    assert said(join_payments(parts)) == [one for part in parts for one in said(part)]


@given(tables(), st.data())
def test_taking_rows_takes_what_is_said_of_them_however_often(payments, data):
    count = len(payments)
    rows = data.draw(st.lists(st.integers(0, count - 1), max_size=20) if count else st.just([]))
    taken = payments.take(np.array(rows, dtype=np.int64))
    assert taken.amount_vnd.tolist() == [int(payments.amount_vnd[row]) for row in rows]
    for name in ("row", "label"):
        assert len(getattr(taken.labels, name)) == sum(payments.labels.row.tolist().count(row) for row in rows)
    noted = dict(zip(payments.notes.row.tolist(), range(count), strict=False))
    expected = {position: noted[row] for position, row in enumerate(rows) if row in noted}
    assert taken.notes.row.tolist() == list(expected)
    for name in ("refers_to", "attempt", "reason"):
        assert getattr(taken.notes, name).tolist() == [int(getattr(payments.notes, name)[n]) for n in expected.values()]
    labels: list[tuple[int, int]] = []
    for position, row in enumerate(rows):
        pairs = zip(payments.labels.row.tolist(), payments.labels.label.tolist(), strict=True)
        labels += [(position, label) for place, label in pairs if place == row]
    assert list(zip(taken.labels.row.tolist(), taken.labels.label.tolist(), strict=True)) == labels


def demand_of(amounts: list[int]) -> Demand:
    column = np.array(amounts, dtype=np.int64)
    luck = np.tile(column, (LUCK, 1)) / 1e6
    return Demand(column % 7, column, column, column - 1, column / 1e6, luck)


amounts = st.lists(st.integers(1, 10**5), max_size=9)


@given(st.lists(amounts, max_size=4))
def test_demand_is_joined_end_to_end(parts):
    whole = join_demand(demand_of(part) for part in parts)
    flat = [amount for part in parts for amount in part]
    assert whole.amount_vnd.tolist() == whole.occurred_at.tolist() == flat
    assert whole.luck.shape == (LUCK, len(flat))
    assert (whole.luck * 1e6).round().astype(int).tolist() == [flat] * LUCK


@given(amounts, st.data())
def test_taking_demand_by_numbers_flags_or_a_slice(listed, data):
    whole = demand_of(listed)
    flags = np.array(data.draw(st.lists(st.booleans(), min_size=len(listed), max_size=len(listed))), dtype=bool)
    expected = [amount for amount, flag in zip(listed, flags.tolist(), strict=True) if flag]
    for rows in (flags, np.flatnonzero(flags)):
        taken = take_demand(whole, rows)
        assert taken.amount_vnd.tolist() == expected
        assert taken.luck.shape == (LUCK, len(expected))
    assert slice_demand(whole, slice(1, 3)).amount_vnd.tolist() == listed[1:3]


def test_no_demand_has_no_rows():
    assert len(no_demand()) == len(join_demand([])) == 0


def test_labels_are_numbered_as_they_stand():
    assert [label_number(label) for label in TRUTH_LABELS] == list(range(len(TRUTH_LABELS)))
