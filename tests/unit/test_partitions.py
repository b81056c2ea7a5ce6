"""What a flush has in it, and what becomes of it: `tests/simulator` has the accidents."""

from __future__ import annotations

import msgspec
import pytest

from streams.cells import unpack
from streams.fold import PartitionState
from streams.lineage import recover
from streams.partitions import Flush, IncompleteStateError, Partition, PartitionSettings
from tests.stream_model import HOUR_MS, MIDNIGHT_MS, PLACES, Cells, Record, log_of, payment, wire

MARKET, ELECTRICITY = PLACES[0], PLACES[1]
EPOCH = 5
MARKET_KEY, ELECTRICITY_KEY, OWN = b"7|5|run-1|cho-binh-an", b"7|5|run-1|binh-an/electricity", b"7|5|"


def opened(table: dict[bytes, bytes] | None = None, lateness: int = 2 * HOUR_MS) -> Partition:
    return Partition(7, EPOCH, recover(7, table or {}), PartitionSettings(lateness))


def fold(partition: Partition, *values: dict[str, object] | bytes | None) -> None:
    begin = partition.next_offset
    records = [Record(begin + one.offset, one.value) for one in log_of(*values)]
    partition.apply(records, Cells(), registry_is_fresh=True)


def flushed(partition: Partition) -> Flush:
    flush = partition.flush()
    assert flush is not None
    partition.flushed(flush)
    return flush


def keys(flush: Flush) -> list[str]:
    return sorted(f"{one.topic.rpartition('.')[2]} {one.key}" for one in flush.emissions)


def table_of(*flushes: Flush) -> dict[bytes, bytes]:
    return {key: value for flush in flushes for key, value in (*flush.cells, flush.own)}


def test_nothing_to_write():
    assert opened().flush() is None


def test_nothing_again():
    partition = opened()
    fold(partition, payment())
    flushed(partition)
    assert partition.flush() is None


def test_a_flush_has_only_what_changed():
    partition = opened()
    fold(partition, payment(MARKET), payment(ELECTRICITY, occurred_at=MIDNIGHT_MS + HOUR_MS))
    first = flushed(partition)
    assert [key for key, _ in first.cells] == [MARKET_KEY, ELECTRICITY_KEY]
    fold(partition, payment(ELECTRICITY, sequence=2, occurred_at=MIDNIGHT_MS + HOUR_MS))
    second = flushed(partition)
    assert [key for key, _ in second.cells] == [ELECTRICITY_KEY]
    assert keys(second) == [
        f"commune run-1|binh-an|day|{MIDNIGHT_MS}",
        f"commune run-1|binh-an|hour|{MIDNIGHT_MS + HOUR_MS}",
        "commune run-1|binh-an|total",
    ]


def test_garbage_alone_is_written_too():
    partition = opened()
    fold(partition, b"?", None)
    flush = flushed(partition)
    assert (flush.cells, flush.emissions, flush.next_offset) == ([], [], 2)
    assert [letter.record.offset for letter in flush.dead_letters] == [0, 1]
    assert flush.own[0] == OWN
    own = msgspec.msgpack.decode(flush.own[1], type=PartitionState)
    assert (own.next_offset, own.processed, own.dead_letters) == (2, 2, {"malformed": 2})


def test_probes_are_in_one_flush():
    partition = opened()
    record = Record(0, wire(payment()), [("sent_at", b"1700000000000")])
    partition.apply([record], Cells(), registry_is_fresh=True)
    assert flushed(partition).probes == [1_700_000_000_000]
    fold(partition, payment(sequence=2))
    assert flushed(partition).probes == []


def test_windows_leave_one_flush_after_they_were_final():
    partition = opened()
    fold(partition, payment(), payment(sequence=2, occurred_at=MIDNIGHT_MS + 5 * HOUR_MS))
    hour = MIDNIGHT_MS // HOUR_MS
    first = flushed(partition)
    assert [one.key for one in first.emissions if one.document["final"]] == [
        f"run-1|cho-binh-an|hour|{MIDNIGHT_MS}",
        f"run-1|binh-an|hour|{MIDNIGHT_MS}",
    ]
    assert hour in unpack(dict(first.cells)[MARKET_KEY]).hours
    second = flushed(partition)
    state = unpack(dict(second.cells)[MARKET_KEY])
    assert set(state.hours) == {hour + 5}
    assert state.closed_until == hour + 3
    assert second.emissions == []
    assert partition.flush() is None


def test_a_window_is_final_though_its_cell_did_not_change():
    partition = opened()
    fold(partition, payment(MARKET))
    flushed(partition)
    fold(partition, payment(ELECTRICITY, occurred_at=MIDNIGHT_MS + 5 * HOUR_MS))
    final = [one.key for one in flushed(partition).emissions if one.document["final"]]
    assert f"run-1|cho-binh-an|hour|{MIDNIGHT_MS}" in final


def test_a_partition_opens_as_it_was_and_tells_all_again():
    partition = opened()
    fold(partition, payment(MARKET), payment(MARKET), payment(ELECTRICITY), b"?")
    flush = flushed(partition)
    other = {b"77|5|": b"not ours", b"70|5|run-1|x": b"not ours", b"7|claim": b"ours"}
    again = opened(table_of(flush) | other)
    assert again.fold.state == partition.fold.state
    assert again.next_offset == 4
    repeated = flushed(again)
    assert repeated.cells == flush.cells
    assert repeated.emissions == flush.emissions
    assert repeated.own == flush.own
    assert repeated.dead_letters == []


def test_a_partition_that_nothing_is_known_of():
    partition = opened({b"77|5|": b"not ours"})
    assert partition.next_offset == 0
    assert partition.flush() is None


def test_nothing_is_told_while_some_cells_are_ahead():
    """The market's state reached the broker, the electricity's and the partition's did not."""
    log = log_of(payment(MARKET), payment(ELECTRICITY), payment(ELECTRICITY, sequence=2), payment(MARKET, sequence=2))
    partition = opened()
    partition.apply(log[:2], Cells(), registry_is_fresh=True)
    first = flushed(partition)
    partition.apply(log[2:], Cells(), registry_is_fresh=True)
    torn = table_of(first) | {key: value for key, value in flushed(partition).cells if key == MARKET_KEY}
    again = opened(torn)
    assert again.next_offset == 2
    assert again.flush() is None
    again.apply(log[2:3], Cells(), registry_is_fresh=True)
    assert again.flush() is None
    assert again.apply(log[3:], Cells(), registry_is_fresh=True).replayed == 1
    flush = flushed(again)
    assert {one.document["revision"] for one in flush.emissions if one.topic.endswith("commune")} == {4}
    assert (again.fold.state.applied, again.fold.state.processed) == (4, 4)


def test_more_lateness_after_a_restart_changes_nothing_final():
    partition = opened()
    fold(partition, payment(), payment(sequence=2, occurred_at=MIDNIGHT_MS + 5 * HOUR_MS))
    first, second = flushed(partition), flushed(partition)
    final = f"run-1|cho-binh-an|hour|{MIDNIGHT_MS}"
    for table in (table_of(first), table_of(first, second)):
        again = opened(table, 48 * HOUR_MS)
        fold(again, payment(sequence=3), payment(sequence=4, occurred_at=MIDNIGHT_MS + 6 * HOUR_MS))
        told = [one.document for one in flushed(again).emissions if one.key == final]
        assert all(one["final"] and one["revision"] == 1 for one in told)
        assert again.fold.state.late == 1


def test_a_run_that_is_long_past_closes_nothing_of_a_new_one():
    partition = opened()
    second = PLACES[4]
    fold(partition, payment(MARKET, occurred_at=MIDNIGHT_MS + 1000 * HOUR_MS), payment(second))
    assert [one.key for one in flushed(partition).emissions if one.document["final"]] == []
    assert partition.flush() is None
    assert partition.fold.state.late == 0


def test_a_state_that_lacks_cells_is_refused():
    partition = opened()
    fold(partition, payment(MARKET), payment(ELECTRICITY, sequence=2))
    table = table_of(flushed(partition))
    assert opened(table).fold.state.applied == 2
    del table[ELECTRICITY_KEY]
    with pytest.raises(IncompleteStateError, match="counts 2 payments, and its cells only 1"):
        opened(table)
