"""What an owner says to what happens, step by step; `tests/simulator` has all orders of events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streams.partitions import Partition, PartitionSettings
from streams.protocol import CatchUp, Claim, Commit, Count, Look, Owner, Refresh, Seek, Write
from tests.stream_model import HOUR_MS, PLACES, Cells, Record, log_of, payment

if TYPE_CHECKING:
    from collections.abc import Sequence

MARKET, ELECTRICITY = PLACES[0], PLACES[1]


@dataclass(frozen=True)
class Piece:
    records: Sequence[Record]

    @property
    def first(self) -> int:
        return self.records[0].offset

    @property
    def last(self) -> int:
        return self.records[-1].offset

    def since(self, offset: int) -> Sequence[Record]:
        return [one for one in self.records if one.offset >= offset]


LOG = log_of(payment(MARKET), payment(ELECTRICITY), payment(MARKET, sequence=2), b"?")


def owner_at(epoch: int, table: dict[bytes, bytes] | None = None, cells: Cells | None = None) -> Owner[Partition]:
    def opened(epoch: int, recovered: Any) -> Partition:
        return Partition(7, epoch, recovered, PartitionSettings(2 * HOUR_MS))

    owner = Owner(7, cells or Cells(), opened)
    assert [type(one) for one in owner.open()] == [Claim]
    assert [type(one) for one in owner.claimed(epoch)] == [CatchUp]
    assert owner.recovered(table or {}) == []
    return owner


def flush(owner: Owner[Partition], table: dict[bytes, bytes]) -> list[Any]:
    """Execute a flush; return all commands."""
    said, commands = [], owner.tick()
    while commands:
        command = commands.pop(0)
        said.append(command)
        if isinstance(command, Write):
            for key, value in command.state:
                if value is None:
                    del table[key]
                else:
                    table[key] = value
            commands += owner.acknowledged(command)
    return said


def test_before_it_is_open_it_does_nothing():
    owner = Owner(7, Cells(), lambda *_: Partition(7, 0, *_, PartitionSettings(0)))
    assert owner.fetched(Piece(LOG)) == owner.tick() == []
    assert owner.partition is None


def test_a_flush_goes_step_by_step():
    table: dict[bytes, bytes] = {}
    owner = owner_at(3, table)
    (count,) = owner.fetched(Piece(LOG))
    assert isinstance(count, Count)
    assert (count.records, count.replayed) == (4, 0)
    cells, own, adoption, commit = flush(owner, table)
    assert [key for key, _ in cells.state] == [b"7|3|run-1|cho-binh-an", b"7|3|run-1|binh-an/electricity"]
    assert len(cells.dead_letters) == 1
    assert [key for key, _ in own.state] == [b"7|3|"]
    assert adoption.emissions
    assert not adoption.state
    assert isinstance(commit, Commit)
    assert commit.offset == 4
    assert owner.tick() == []


def test_nothing_is_begun_while_a_write_is_under_way():
    owner = owner_at(3)
    owner.fetched(Piece(LOG[:2]))
    (write,) = owner.tick()
    owner.fetched(Piece(LOG[2:]))
    assert owner.tick() == []
    assert owner.acknowledged(Write()) == []
    (own,) = owner.acknowledged(write)
    assert owner.acknowledged(write) == []
    assert owner.tick() == []
    assert isinstance(own, Write)


def test_a_write_that_failed_is_the_end():
    owner = owner_at(3)
    owner.fetched(Piece(LOG))
    (write,) = owner.tick()
    assert owner.failed(write) == owner.acknowledged(write) == owner.tick() == owner.fetched(Piece(LOG)) == []
    assert owner.partition is None


def test_a_write_that_nobody_waits_for_may_fail():
    owner = owner_at(3)
    owner.fetched(Piece(LOG))
    (write,) = owner.tick()
    owner.failed(Write())
    assert owner.acknowledged(write)


def test_after_it_is_closed_answers_are_none():
    owner = owner_at(3, cells=Cells([]))
    (refresh,) = owner.fetched(Piece(LOG))
    owner.close()
    assert owner.refreshed(refresh) == owner.claimed(9) == owner.recovered({}) == owner.tick() == []
    assert owner.partition is None


def test_stale_chunks_are_passed_over_and_overlaps_cut():
    owner = owner_at(3)
    owner.fetched(Piece(LOG[:2]))
    assert owner.fetched(Piece(LOG[:2])) == []
    (count,) = owner.fetched(Piece(LOG[1:]))
    assert count.records == 2


def test_a_hole_is_gone_back_for():
    owner = owner_at(3)
    owner.fetched(Piece(LOG[:1]))
    (look,) = owner.fetched(Piece(LOG[2:]))
    assert isinstance(look, Look)
    assert look.at_least == 1
    (seek,) = owner.looked(look, 1)
    assert isinstance(seek, Seek)
    assert seek.offset == 1
    assert owner.looked(look, 2) == []


def test_a_gap_is_not():
    owner = owner_at(3)
    (look,) = owner.fetched(Piece(LOG[2:]))
    (count,) = owner.looked(look, 2)
    assert count.records == 2


def test_an_answer_counts_for_the_last_question_only():
    owner = owner_at(3)
    (old,) = owner.fetched(Piece(LOG[1:2]))
    owner.fetched(Piece(LOG[2:]))
    assert owner.looked(old, 1) == []
    assert owner.partition is not None
    assert owner.partition.next_offset == 0


def test_an_unknown_cell_is_looked_up_once():
    cells = Cells([MARKET])
    owner = owner_at(3, cells=cells)
    count, refresh = owner.fetched(Piece(LOG))
    assert count.records == 1
    assert isinstance(refresh, Refresh)
    cells.known = Cells().known
    (count,) = owner.refreshed(refresh)
    assert count.records == 3
    assert owner.refreshed(refresh) == []


def test_a_successor_writes_all_under_its_own_epoch_and_sweeps_last():
    table: dict[bytes, bytes] = {}
    first = owner_at(3, table)
    first.fetched(Piece(LOG[:2]))
    flush(first, table)
    first.fetched(Piece(LOG[2:]))
    (late,) = first.tick()
    table[b"7|9|run-1|cho-binh-an"] = b"one after us was here"

    second = owner_at(8, table)
    assert second.resume_at == 2
    second.fetched(Piece(LOG[2:]))
    cells, own, _, _, sweep = flush(second, table)
    assert [key for key, _ in cells.state] == [b"7|8|run-1|cho-binh-an", b"7|8|run-1|binh-an/electricity"]
    assert [key for key, _ in own.state] == [b"7|8|"]
    assert {key for key, _ in sweep.state} == {b"7|3|", b"7|3|run-1|cho-binh-an", b"7|3|run-1|binh-an/electricity"}

    table.update(dict(late.state))
    third = owner_at(10, table)
    assert third.resume_at == 4
    assert third.partition is not None
    assert third.partition.fold.state.applied == 3


def test_when_it_settles_all_is_told_once_more():
    table: dict[bytes, bytes] = {}
    owner = owner_at(3, table)
    assert owner.settle() == []
    assert owner.tick() == []
    owner.fetched(Piece(LOG))
    _, _, told, _ = flush(owner, table)
    assert owner.settle() == []
    own, again, _ = flush(owner, table)
    assert [key for key, _ in own.state] == [b"7|3|"]
    assert again.emissions == told.emissions
    assert owner.tick() == []
