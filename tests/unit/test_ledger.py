"""The ledger against a naive recount, whatever the order and division of acknowledgements."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.encoding import PaymentEncoder
from producers.ledger import Ledger
from producers.sectors.sector import NO_BILL, Draws
from producers.simulation.calendar import Day
from producers.simulation.engine import simulate
from schemas.events import METHODS, LedgerEntry, MethodTally, decode_payment
from schemas.types import MAX_PAYMENT_VND
from tests.worlds import world

if TYPE_CHECKING:
    from producers.blocks import PaymentBlock

SMALL = world()
DAY = Day.of(SMALL.scenario.start)
ENCODER = PaymentEncoder(SMALL, "r", 4)

Counted = dict[tuple[str, str], dict[str, MethodTally]]
"""Tallies by method, by cell and day."""


def block_of(day: Day, rows: list[tuple[int, int, int, int]]) -> PaymentBlock:
    """A block of payments given by source, method, status and amount."""
    count = len(rows)
    source, method, status, amount = np.array(rows, dtype=np.int64).reshape(count, 4).T
    at = np.full(count, day.midnight_at)
    draws = Draws(source, at, method, status, amount, np.full(count, NO_BILL))
    return ENCODER.block(day, draws, np.arange(1, count + 1))


def recount(blocks: list[PaymentBlock]) -> Counted:
    """What the wire text says, counted one by one."""
    sums: dict[tuple[str, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0, 0]))
    for block in blocks:
        for payment in map(decode_payment, block.records.value):
            counts = sums[payment.cell, block.day.date.isoformat()][payment.method]
            settled = payment.status == "settled"
            counts[0] += settled
            counts[1] += not settled
            counts[2] += payment.amount_vnd if settled else 0
    return {
        place: {
            method: MethodTally(settled=settled, failed=failed, amount_vnd=vnd)
            for method, (settled, failed, vnd) in methods.items()
        }
        for place, methods in sums.items()
    }


def counted(entries: list[LedgerEntry]) -> Counted:
    assert len({(entry.cell, entry.day) for entry in entries}) == len(entries)
    return {(entry.cell, entry.day): dict(entry.tallies) for entry in entries}


rows = st.tuples(
    st.integers(0, SMALL.source_count - 1),
    st.integers(0, len(METHODS) - 1),
    st.integers(0, 1),
    st.integers(1, MAX_PAYMENT_VND),
)
parts = st.lists(st.tuples(st.integers(0, 2), st.lists(rows, min_size=1, max_size=25)), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(parts, st.randoms(use_true_random=False))
def test_any_division_of_acknowledgements_counts_the_same(listed, random):
    blocks = [block_of(DAY + day, payments) for day, payments in listed]
    slices = []
    for block in blocks:
        order = list(range(len(block)))
        random.shuffle(order)
        while order:
            take = random.randint(1, len(order))
            slices.append((block, np.array(sorted(order[:take]), dtype=np.int64)))
            del order[:take]
    random.shuffle(slices)
    ledger, entries = Ledger(SMALL, "r"), {}
    for block, chosen in slices:
        ledger.count(block, chosen)
        if random.random() < 0.3:
            entries |= counted(list(ledger.changed_entries()))
    entries |= counted(list(ledger.changed_entries()))
    assert entries == recount(blocks)


def test_a_simulation_is_counted_in_full():
    blocks = [block for day in simulate(SMALL, days=3) for block in ENCODER.blocks(day, 100)]
    ledger = Ledger(SMALL, "r")
    for block in blocks:
        for rows_ in block.records.rows_by_partition.values():
            ledger.count(block, rows_)
    entries = counted(list(ledger.changed_entries()))
    assert entries == recount(blocks)
    assert {day for _, day in entries} == {"2025-11-17", "2025-11-18", "2025-11-19"}


def test_entries_are_those_that_changed_and_hold_everything_so_far():
    first = SMALL.cells[1].first_source
    ledger = Ledger(SMALL, "r")
    assert list(ledger.changed_entries()) == []
    ledger.count(block_of(DAY, [(0, 0, 0, 5_000), (first, 1, 0, 7_000)]), np.array([0, 1]))
    assert sorted(entry.cell for entry in ledger.changed_entries()) == ["cong-su", "tron"]
    assert list(ledger.changed_entries()) == []
    ledger.count(block_of(DAY, [(first, 1, 0, 8_000), (first, 1, 1, 9_000)]), np.array([0, 1]))
    ledger.count(block_of(DAY + 1, [(first, 0, 0, 1_000)]), np.array([0]))
    assert list(ledger.changed_entries()) == [
        LedgerEntry(
            schema_version=1,
            run="r",
            cell="tron",
            commune="kien-luong",
            sector="market_stall",
            day=day,
            tallies=tallies,
        )
        for day, tallies in [
            ("2025-11-17", {"vietqr": MethodTally(settled=2, failed=1, amount_vnd=15_000)}),
            ("2025-11-18", {"cash": MethodTally(settled=1, amount_vnd=1_000)}),
        ]
    ]


def test_rows_that_are_not_acknowledged_do_not_count():
    ledger = Ledger(SMALL, "r")
    ledger.count(block_of(DAY, [(0, 0, 0, 5_000), (0, 0, 0, 6_000), (0, 0, 0, 7_000)]), np.array([1]))
    (entry,) = ledger.changed_entries()
    assert entry.tallies == {"cash": MethodTally(settled=1, amount_vnd=6_000)}


def test_sums_are_exact_beyond_what_floats_hold():
    ledger = Ledger(SMALL, "r")
    block = block_of(DAY, [(0, 0, 0, MAX_PAYMENT_VND - 1)] * 1000)
    for _ in range(1000):
        ledger.count(block, np.arange(1000))
    (entry,) = ledger.changed_entries()
    assert entry.tallies["cash"] == MethodTally(settled=10**6, amount_vnd=10**6 * (MAX_PAYMENT_VND - 1))
    assert 10**6 * (MAX_PAYMENT_VND - 1) > 2**53
