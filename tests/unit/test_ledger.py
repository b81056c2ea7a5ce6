"""The ledger against a naive recount, whatever the order and division of acknowledgements."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.blocks import PaymentBlock, RecordBlock
from producers.encoding import PaymentEncoder
from producers.engine import ProvinceSimulation
from producers.ledger import Ledger
from producers.simulation.calendar import Day
from producers.simulation.columns import NO_BILL, Labels, Notes, Payments, no_numbers
from producers.simulation.transmission import PLAIN, transmit
from schemas.events import METHODS, STATUSES, LedgerEntry, MethodTally, RunFaults, decode_payment, encode
from schemas.topics import PAYMENTS
from schemas.types import MAX_PAYMENT_VND
from tests.worlds import world, written

if TYPE_CHECKING:
    from collections.abc import Iterable

SMALL = world()
DAY = Day.of(SMALL.scenario.start)
SOURCES = min(SMALL.source_count, 30)
FIRST, SECOND = SMALL.cells[:2]

Counted = dict[tuple[str, str], dict[str, MethodTally]]
"""Tallies by method, by cell and day."""


def block_of(day: Day, rows: list[tuple[int, int, int, int]]) -> PaymentBlock:
    """A block of payments given by source, method, status and amount."""
    count = len(rows)
    source, method, status, amount = np.array(rows, dtype=np.int64).reshape(count, 4).T
    at, none = np.full(count, day.midnight_at), no_numbers()
    methods, statuses = method.astype(np.int8), status.astype(np.int8)
    payments = Payments(
        source,
        at,
        amount,
        np.full(count, NO_BILL),
        methods,
        statuses,
        Notes(none, none, none, none),
        Labels(none, none),
    )
    nothing = pl.Series([""] * count)
    records = RecordBlock(PAYMENTS, np.zeros(count, dtype=np.int64), nothing, nothing, at)
    plain = np.full(count, PLAIN, dtype=np.int8)
    return PaymentBlock(day, records, payments, SMALL.cell_of_source[source], at, plain)


Paid = tuple[str, str, str, str, int]
"""Cell, day, method, status, amount."""


def recount(paid: Iterable[Paid]) -> Counted:
    """Payments counted one by one."""
    sums: dict[tuple[str, str], dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
    for cell, day, method, status, amount in paid:
        counts = sums[cell, day][method]
        counts[status] += 1
        if status != "failed":
            counts["amount_vnd" if status == "settled" else "reversed_vnd"] += amount
    return {
        place: {method: MethodTally(**counts) for method, counts in methods.items()} for place, methods in sums.items()
    }


def told(ledger: Ledger) -> list[LedgerEntry]:
    """Return the entries that changed; each has the key and the wire form that its contract gives."""
    entries = []
    for key, value in ledger.changed_entries():
        entries.append(LedgerEntry.model_validate_json(value))
        assert json.loads(value) == json.loads(encode(entries[-1]))
        assert key == f"{entries[-1].run}|{entries[-1].cell}|{entries[-1].day}"
    return entries


def counted(entries: list[LedgerEntry]) -> Counted:
    assert len({(entry.cell, entry.day) for entry in entries}) == len(entries)
    return {(entry.cell, entry.day): dict(entry.tallies) for entry in entries}


rows = st.tuples(
    st.integers(0, SOURCES - 1),
    st.integers(0, len(METHODS) - 1),
    st.integers(0, len(STATUSES) - 1),
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
            entries |= counted(told(ledger))
    entries |= counted(told(ledger))
    assert entries == recount(
        (
            SMALL.cells[SMALL.cell_of_source[source]].id,
            (DAY + day).date.isoformat(),
            METHODS[method],
            STATUSES[status],
            amount,
        )
        for day, payments in listed
        for source, method, status, amount in payments
    )


def test_a_simulation_is_counted_in_full():
    """As its wire text says, faults on the way or not."""
    ledger, encoder, paid = Ledger(SMALL, "r"), PaymentEncoder(SMALL, "r", 4), list[Paid]()
    for day in ProvinceSimulation(SMALL).days(3):
        sending, payments = transmit(day.day, day.payments, day.sequence, SMALL, SMALL.scenario.stream_faults)
        for block in encoder.blocks(replace(day, payments=payments), sending, 100):
            for rows_ in block.records.rows_by_partition.values():
                ledger.count(block, rows_[block.is_payment[rows_]])
            texts = map(decode_payment, written(block.records.value[np.flatnonzero(block.is_payment)]))
            date = day.day.date.isoformat()
            paid += [(one.cell, date, one.method, one.status, one.amount_vnd) for one in texts]
    entries = counted(told(ledger))
    assert entries == recount(paid)
    assert {day for _, day in entries} == {(DAY + n).date.isoformat() for n in range(3)}


def test_a_day_that_is_forgotten_is_told_no_more_and_others_stay():
    ledger = Ledger(SMALL, "r")
    for day in (DAY, DAY + 1):
        block = block_of(day, [(0, 0, 0, 1000)])
        ledger.count(block, np.array([0]))
    assert len(told(ledger)) == 2
    ledger.forget(DAY)
    ledger.forget(DAY + 7)
    later = block_of(DAY + 1, [(0, 0, 0, 500)])
    ledger.count(later, np.array([0]))
    (entry,) = told(ledger)
    assert entry.tallies[METHODS[0]].amount_vnd == 1500


def test_entries_are_those_that_changed_and_hold_everything_so_far():
    first = SECOND.first_source
    ledger = Ledger(SMALL, "r")
    assert told(ledger) == []
    ledger.count(block_of(DAY, [(FIRST.first_source, 0, 0, 5_000), (first, 1, 0, 7_000)]), np.array([0, 1]))
    assert {entry.cell for entry in told(ledger)} == {FIRST.id, SECOND.id}
    assert told(ledger) == []
    ledger.count(block_of(DAY, [(first, 1, 0, 8_000), (first, 1, 1, 9_000), (first, 1, 2, 7_000)]), np.arange(3))
    ledger.count(block_of(DAY + 1, [(first, 0, 0, 1_000)]), np.array([0]))
    assert told(ledger) == [
        LedgerEntry(
            schema_version=1,
            run="r",
            cell=SECOND.id,
            commune=SMALL.places[SECOND.commune].id,
            sector=SECOND.sector,
            day=day.date.isoformat(),
            tallies=tallies,
        )
        for day, tallies in [
            (DAY, {"vietqr": MethodTally(settled=2, failed=1, amount_vnd=15_000, reversed=1, reversed_vnd=7_000)}),
            (DAY + 1, {"cash": MethodTally(settled=1, amount_vnd=1_000)}),
        ]
    ]


def test_rows_that_are_not_acknowledged_do_not_count():
    ledger = Ledger(SMALL, "r")
    ledger.count(block_of(DAY, [(0, 0, 0, 5_000), (0, 0, 0, 6_000), (0, 0, 0, 7_000)]), np.array([1]))
    (entry,) = told(ledger)
    assert entry.tallies == {"cash": MethodTally(settled=1, amount_vnd=6_000)}


def test_sums_are_exact_beyond_what_floats_hold():
    ledger = Ledger(SMALL, "r")
    block = block_of(DAY, [(0, 0, 0, MAX_PAYMENT_VND - 1)] * 1000)
    for _ in range(1000):
        ledger.count(block, np.arange(1000))
    (entry,) = told(ledger)
    assert entry.tallies["cash"] == MethodTally(settled=10**6, amount_vnd=10**6 * (MAX_PAYMENT_VND - 1))
    assert 10**6 * (MAX_PAYMENT_VND - 1) > 2**53


def test_faults_are_told_when_there_are_more_and_all_of_them():
    ledger = Ledger(SMALL, "r")
    assert ledger.changed_faults() is None
    ledger.count_faults()
    assert ledger.changed_faults() is None
    ledger.count_faults(duplicates=2, late=1)
    ledger.count_faults(malformed=1, duplicates=1)
    found = ledger.changed_faults()
    assert found == RunFaults(schema_version=1, run="r", shard=FIRST.id, duplicates=3, malformed=1, late=1)
    assert RunFaults.model_validate_json(encode(found)) == found
    assert ledger.changed_faults() is None
    ledger.count_faults(out_of_order=4)
    assert ledger.changed_faults() == found.model_copy(update={"out_of_order": 4})


def test_shards_of_a_run_tell_their_faults_apart():
    shards = []
    for number in (1, 2):
        ledger = Ledger(world(shard=(number, 2)), "r")
        ledger.count_faults(late=1)
        shards.append(ledger.changed_faults())
    first, second = shards
    assert first is not None
    assert second is not None
    assert first.shard != second.shard
