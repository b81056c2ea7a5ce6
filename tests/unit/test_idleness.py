"""Runs that have gone idle: their windows close, their state leaves, and no crash in between does any harm."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from schemas.events import DeadLetterReason
from streams.cells import CellState, close, day_of, unpack
from streams.fold import PartitionState
from streams.idleness import MAX_ENDED, Patience
from streams.lineage import recover
from streams.partitions import Flush, Partition, PartitionSettings
from tests.cell_reading import payments
from tests.stream_model import HOUR_MS, MIDNIGHT_MS, PLACES, Cells, Record, log_of, payment

MARKET, ELECTRICITY, OTHER_RUN = PLACES[0], PLACES[1], PLACES[4]
NOW = 1_790_000_000_000
CLOSE, FORGET = 10_000, 60_000
SETTINGS = PartitionSettings(2 * HOUR_MS, Patience(CLOSE, FORGET), filter_days=30)


def opened(table: dict[bytes, bytes] | None = None, epoch: int = 5) -> Partition:
    return Partition(7, epoch, recover(7, table or {}), SETTINGS)


def fold(partition: Partition, *documents: Any) -> list[Any]:
    log = log_of(*documents)
    at = partition.next_offset
    records = [Record(at + one.offset, one.value) for one in log]
    return partition.apply(records, Cells(), registry_is_fresh=True).dead_letters


def flushed(partition: Partition, now: int) -> Flush:
    flush = partition.flush(now)
    assert flush is not None
    partition.flushed(flush)
    return flush


def written(table: dict[bytes, bytes], flush: Flush, *, swept: bool = True) -> dict[bytes, bytes]:
    table = table | dict([*flush.cells, flush.own])
    return {key: value for key, value in table.items() if not (swept and key in flush.left)}


def final(flush: Flush) -> list[str]:
    return [one.key for one in flush.emissions if one.document["final"]]


def test_windows_of_an_idle_run_close_though_nothing_comes():
    partition = opened()
    fold(partition, payment(MARKET))
    assert final(flushed(partition, NOW)) == []
    assert partition.flush(NOW + CLOSE - 1) is None
    closing = flushed(partition, NOW + CLOSE)
    assert set(final(closing)) == {
        f"run-1|{place}|{window}|{MIDNIGHT_MS}" for place in ("cho-binh-an", "binh-an") for window in ("day", "hour")
    }
    (left,) = [unpack(value) for _, value in flushed(partition, NOW + CLOSE + 1).cells]
    assert (left.hours, left.days, payments(left.closed)) == ({}, {}, 1)
    assert partition.flush(NOW + CLOSE + 2) is None


def test_a_payment_after_all_is_late_and_in_the_totals():
    partition = opened()
    fold(partition, payment(MARKET))
    for now in (NOW, NOW + CLOSE, NOW + CLOSE + 1):
        flushed(partition, now)
    assert fold(partition, payment(MARKET, sequence=2)) == []
    total = next(one for one in flushed(partition, NOW + CLOSE + 2).emissions if one.document["window"] == "total")
    assert (total.document["revision"], total.document["late"]) == (2, 1)


def test_a_run_at_work_is_not_idle_and_holds_no_other_back():
    partition = opened()
    fold(partition, payment(MARKET), payment(OTHER_RUN))
    flushed(partition, NOW)
    fold(partition, payment(OTHER_RUN, sequence=2))
    flushed(partition, NOW + CLOSE - 1)
    closed = final(flushed(partition, NOW + CLOSE))
    assert closed
    assert {key.split("|")[0] for key in closed} == {MARKET.run}


def ending() -> tuple[Partition, dict[bytes, bytes], Flush]:
    """A run that is to be forgotten with the last flush, beside one that goes on."""
    partition, table = opened(), dict[bytes, bytes]()
    fold(partition, payment(MARKET), payment(MARKET), payment(ELECTRICITY), payment(OTHER_RUN))
    for now in (NOW, NOW + CLOSE, NOW + CLOSE + 1):
        table = written(table, flushed(partition, now))
    fold(partition, payment(OTHER_RUN, sequence=2))
    table = written(table, flushed(partition, NOW + FORGET - 1))
    return partition, table, flushed(partition, NOW + FORGET)


def test_a_run_is_forgotten_and_its_counts_are_not():
    partition, table, last = ending()
    assert len(last.left) == 2
    state = partition.fold.state
    assert (state.ended, state.applied, state.duplicates) == (["run-1"], 4, 1)
    assert {cell.run for cell in partition.fold.cells} == {OTHER_RUN.run}
    assert len(written(table, last)) == 2
    again = opened(written(table, last), epoch=6).fold.state
    assert again == state


@pytest.mark.parametrize("landed", ["nothing", "own state", "all"])
def test_a_crash_while_a_run_is_forgotten(landed):
    partition, table, last = ending()
    if landed != "nothing":
        table = written(table, last, swept=landed == "all")
    again = opened(table, epoch=6)
    assert again.fold.state.applied == partition.fold.state.applied == 4
    flush = again.flush(NOW + FORGET + 1)
    assert flush is not None
    assert again.fold.state == partition.fold.state
    assert {unpack(value).run for _, value in flush.cells} == {OTHER_RUN.run}


def test_payments_of_a_forgotten_run_are_set_aside():
    partition, _, _ = ending()
    (letter,) = fold(partition, payment(MARKET, sequence=3))
    assert (letter.reason, letter.detail) == (DeadLetterReason.ENDED_RUN, "run-1")
    own = msgspec.msgpack.decode(flushed(partition, NOW + FORGET + 1).own[1], type=PartitionState)
    assert own.dead_letters == {"ended_run": 1}


def test_only_so_many_ended_runs_are_remembered():
    partition, _, _ = ending()
    state = partition.fold.state
    state.ended = [f"run-{number}" for number in range(10, 10 + MAX_ENDED)]
    fold(partition, payment(OTHER_RUN, sequence=3))
    for now in (1, FORGET + 2, FORGET + 3, 3 * FORGET, 3 * FORGET + 1, 4 * FORGET):
        partition.flush(NOW + FORGET + now)
    assert len(state.ended) == MAX_ENDED
    assert state.ended[-1] == OTHER_RUN.run


def test_zero_means_never():
    partition = Partition(7, 5, recover(7, {}), PartitionSettings(2 * HOUR_MS))
    fold(partition, payment(MARKET))
    flushed(partition, NOW)
    assert partition.flush(NOW * 2) is None


class TestIdleSources:
    @staticmethod
    def cell(**highest: int) -> CellState:
        return CellState("r", "c", "c", "water", "p", highest=highest)

    @staticmethod
    def pass_to(cell: CellState, day: int) -> None:
        close(cell, day * 24, 30)

    def test_stay_for_so_many_days_at_least_and_twice_as_many_at_most(self):
        for first in range(3000, 3060):
            cell = self.cell(till=5)
            self.pass_to(cell, first)
            self.pass_to(cell, first + 1)
            gone = next(day for day in range(first, first + 100) if self._is_gone(cell, day))
            assert 30 <= gone - first <= 60

    def _is_gone(self, cell: CellState, day: int) -> bool:
        self.pass_to(cell, day)
        return "till" not in cell.highest and "till" not in cell.before

    def test_those_that_emit_stay_and_their_repeats_are_told_apart(self):
        cell = self.cell(till=5)
        for number, day in enumerate(range(3000, 3600, 25), 6):
            self.pass_to(cell, day)
            assert cell.admit("till", number)
            assert not cell.admit("till", number)
            assert not cell.admit("till", 3)

    def test_what_a_source_sends_that_comes_back_is_new_in_any_order(self):
        cell = self.cell(till=5)
        cell.gaps["till"] = [[2, 2]]
        for day in (3000, 3040, 3080):
            self.pass_to(cell, day)
        assert (cell.highest, cell.before, cell.gaps) == ({}, {}, {})
        assert [cell.admit("till", number) for number in (7, 6, 7, 8, 6)] == [True, True, False, True, False]

    def test_the_fold_counts_on_over_a_generation(self):
        partition = opened()
        day_ms = 24 * HOUR_MS
        for number in range(1, 9):
            at = MIDNIGHT_MS + 20 * number * day_ms
            assert fold(partition, payment(MARKET, sequence=number, occurred_at=at)) == []
            fold(partition, payment(MARKET, sequence=number, occurred_at=at))
            flushed(partition, 0)
            while partition.flush(0):
                pass
        assert (partition.fold.state.applied, partition.fold.state.duplicates) == (8, 8)
        (cell,) = partition.fold.cells
        assert cell.generation >= (day_of(MIDNIGHT_MS // HOUR_MS) + 159) // 30


def test_what_a_version_before_has_written_can_be_read():
    partition = opened()
    fold(partition, payment(MARKET))
    flush = flushed(partition, NOW)
    (key, value), (own_key, own) = flush.cells[0], flush.own
    old_cell = {k: v for k, v in msgspec.msgpack.decode(value).items() if k not in {"before", "generation"}}
    new = {"seen_at", "ended", "forgotten"}
    old_own = {k: v for k, v in msgspec.msgpack.decode(own).items() if k not in new}
    again = opened({key: msgspec.msgpack.encode(old_cell), own_key: msgspec.msgpack.encode(old_own)})
    assert again.fold.state.applied == 1
