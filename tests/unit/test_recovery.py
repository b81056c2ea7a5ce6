"""Which records the broker has already, whatever lies between them."""

from __future__ import annotations

from array import array
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.blocks import PaymentBlock
from producers.encoding import PaymentEncoder
from producers.engine import ProvinceSimulation
from producers.recovery import Recovery, fingerprint
from producers.simulation.transmission import transmit
from tests.worlds import world, written

WORLD = world()
PARTITIONS = 2


def day_block() -> PaymentBlock:
    day = next(ProvinceSimulation(WORLD).days(1))
    sending, _ = transmit(day.day, day.payments, day.sequence, WORLD, WORLD.scenario.stream_faults)
    return next(PaymentEncoder(WORLD, "r", PARTITIONS).blocks(day, sending, 10_000))


BLOCK = day_block()
ROWS = [BLOCK.records.rows_by_partition.get(partition, np.zeros(0, dtype=np.int64)) for partition in range(PARTITIONS)]
VALUES = written(BLOCK.records.value)


def marks(rows: list[int]) -> array[int]:
    return array("q", [fingerprint(VALUES[row]) for row in rows])


def found(recovery: Recovery, cuts: list[int]) -> list[int]:
    """Return the rows that are there, the block taken in pieces."""
    rows: list[int] = []
    for low, high in pairwise([0, *sorted(cuts), len(BLOCK)]):
        rows += (low + np.flatnonzero(recovery.on_topic(BLOCK.take(np.arange(low, high))))).tolist()
    return rows


def test_without_anything_there_all_is_new():
    recovery = Recovery({})
    assert recovery.done
    assert not recovery.on_topic(BLOCK).any()


places = st.integers(0, min(len(rows) for rows in ROWS))
cuts = st.lists(st.integers(0, len(BLOCK)), max_size=4)


@given(st.tuples(places, places), cuts)
def test_what_is_there_is_found_in_each_partition(there, where):
    recovery = Recovery({p: marks(ROWS[p][:count].tolist()) for p, count in enumerate(there)})
    wanted = sorted(row for p, count in enumerate(there) for row in ROWS[p][:count].tolist())
    assert found(recovery, where) == wanted
    assert recovery.done


@given(places, st.data(), cuts)
def test_batches_that_came_again_and_foreign_records_are_passed_over(count, data, where):
    there = ROWS[0][:count].tolist()
    listed = list(marks(there))
    for _ in range(data.draw(st.integers(0, 3))):
        high = data.draw(st.integers(0, count))
        low = data.draw(st.integers(0, high))
        again = [*marks(there[low:high]), fingerprint(b"another shard's")]
        at = data.draw(st.integers(high, len(listed)))  # a copy comes behind its original
        listed[at:at] = again
    recovery = Recovery({0: array("q", listed)})
    rows = found(recovery, where)
    # A copy may pass for the second record that was to come; then that one is there as well.
    assert [VALUES[row] for row in rows] == [VALUES[row] for row in ROWS[0][: len(rows)].tolist()]
    assert len(rows) >= count


def test_it_is_done_when_nothing_is_left_that_was_not_found():
    recovery = Recovery({0: marks(ROWS[0][:5].tolist()), 1: marks(ROWS[1][:9].tolist())})
    assert not recovery.done
    recovery.on_topic(BLOCK.take(np.arange(0, int(ROWS[0][4]))))
    assert not recovery.done
    recovery.on_topic(BLOCK.take(np.arange(int(ROWS[0][4]), len(BLOCK))))
    assert recovery.done


@pytest.mark.parametrize("headers", [None, [[("n", str(row).encode())] for row in range(len(BLOCK))]])
def test_a_part_of_a_block_has_its_rows(headers):

    rows = np.array([3, 1, 7])
    part = replace(BLOCK, records=replace(BLOCK.records, headers=headers)).take(rows)
    assert written(part.records.value) == [VALUES[row] for row in rows.tolist()]
    assert part.payments.source.tolist() == BLOCK.payments.source[rows].tolist()
    for column in ("cell", "sent_at", "fault"):
        assert getattr(part, column).tolist() == getattr(BLOCK, column)[rows].tolist()
    assert part.records.partition.tolist() == BLOCK.records.partition[rows].tolist()
    assert part.records.timestamp.tolist() == BLOCK.records.timestamp[rows].tolist()
    assert part.records.headers == (None if headers is None else [headers[row] for row in rows.tolist()])


def test_a_block_without_records_has_no_partitions():
    empty = BLOCK.take(np.zeros(0, dtype=np.int64))
    assert empty.records.rows_by_partition == {}
    assert empty.records.between(0, 0) == {}
