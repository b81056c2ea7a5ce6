"""A partition through crashes: whatever is lost between two writes, each payment counts once and nothing false is told.

A simulated log, a simulated broker that keeps what reached it, and a worker that may die, or have a write fail, at any
single record of any flush. What it did not know to be written, it must have written again.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import msgspec
import pytest

from streams.cells import CellState, has_closed, unpack
from streams.fold import PartitionState
from streams.partitions import Flush, Partition
from streams.tallies import as_document, payments
from tests.stream_model import HOUR_MS, PLACES, Cells, Record, Reference, comparable, random_log

NUMBER = 3
OWN = b"3|"
LOGS, SCHEDULES = 60, 40
"""Logs, and ways to die on each of them."""


class WorkerDiesError(Exception):
    """The process ends here."""


class WriteFailsError(Exception):
    """The worker hears of an error, and lives on. The record may have been written all the same."""


@dataclass
class History:
    """A log, and what should have been told after each of its records."""

    log: list[Record]
    lateness: int
    told: list[dict[tuple[str, str], dict[str, Any]]]
    """By number of records."""
    paid: list[Counter[str]]
    """Payments by table key, by number of records."""
    reference: Reference


@cache
def history(seed: int) -> History:
    rng = random.Random(seed)
    log, lateness = random_log(rng, rng.randint(1, 60)), rng.choice((0, HOUR_MS, 2 * HOUR_MS))
    reference = Reference(lateness)
    told, paid = [reference.documents()], [Counter[str]()]
    for record in log:
        reference.take(record)
        told.append(reference.documents())
        paid.append(Counter(f"{NUMBER}|{one.payment.run}|{one.payment.cell}" for one in reference.counted))
    return History(log, lateness, told, paid, reference)


@dataclass
class Broker:
    """What has reached the broker: compacted topics as the newest value of each key."""

    history: History
    table: dict[bytes, bytes] = field(default_factory=dict)
    adoption: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    set_aside: Counter[int] = field(default_factory=Counter)
    committed: int = 0
    finals: set[tuple[str, str]] = field(default_factory=set)

    def write_state(self, key: bytes, value: bytes) -> None:
        self.table[key] = value
        if key == OWN:
            self._check_complete(msgspec.msgpack.decode(value, type=PartitionState).next_offset)
        else:
            cell = unpack(value)
            expected = self.history.paid[min(cell.applied_offset + 1, len(self.history.log))][key.decode()]
            assert payments(cell.total()) == expected, f"{key!r} after offset {cell.applied_offset}"

    def _check_complete(self, next_offset: int) -> None:
        """Check that no cell lacks a payment which the partition's state says has been counted."""
        for key, expected in self.history.paid[next_offset].items():
            assert key.encode() in self.table, f"{key}: state up to {next_offset} is written, the cell is not"
            assert payments(unpack(self.table[key.encode()]).total()) >= expected

    def tell(self, topic: str, key: str, document: dict[str, Any], next_offset: int) -> None:
        place = (topic, key)
        assert comparable(document) == self.history.told[next_offset][place], f"{place} after {next_offset} records"
        before = self.adoption.get(place)
        if before is not None:
            assert document["revision"] >= before["revision"], f"{place} falls"
            assert not before["final"] or document["tallies"] == before["tallies"], f"{place} was final"
            assert document["final"] or not before["final"], f"{place} was final"
        self.adoption[place] = document

    def commit(self, offset: int) -> None:
        own = msgspec.msgpack.decode(self.table[OWN], type=PartitionState)
        assert offset <= own.next_offset
        self.committed = max(self.committed, offset)


class Worker:
    """What `streams.app` does with a partition, with accidents."""

    def __init__(self, broker: Broker, rng: random.Random, accidents: float, memory: dict[bytes, bytes]) -> None:
        self.broker, self.rng, self.accidents = broker, rng, accidents
        self.memory = memory | broker.table
        self.partition = Partition(NUMBER, dict(self.memory), broker.history.lateness)
        self.position = self.partition.next_offset if self.partition.known else broker.committed
        self.cells = Cells(rng.sample(PLACES, rng.randint(0, len(PLACES))))

    def step(self) -> None:
        if self.rng.random() < 0.35:
            self.flush()
        else:
            self.fold()

    def fold(self) -> None:
        """Fold what was fetched, which may begin before what is needed and stop before a cell to be looked up."""
        begin = max(0, self.position - self.rng.choice((0, 0, 5)))
        fetched = self.broker.history.log[begin : self.position + self.rng.choice((1, 3, 10))]
        records = [one for one in fetched if one.offset >= self.partition.next_offset]
        consumed = self.partition.apply(records, self.cells, registry_is_fresh=False).consumed
        if consumed < len(records):
            self._maybe_die()
            self.cells = Cells()
            self.partition.apply(records[consumed:], self.cells, registry_is_fresh=True)
        self.position = max(self.position, self.partition.next_offset)

    def flush(self) -> bool:
        """Write what changed; return whether there was anything."""
        flush = self.partition.flush()
        if flush is None:
            return False
        try:
            self._write(flush)
        except WriteFailsError:
            return True
        if self.rng.random() < 0.3:
            self.fold()
        self.partition.flushed(flush)
        if self.rng.random() < 0.7:
            self.broker.commit(flush.next_offset)
        return True

    def _write(self, flush: Flush) -> None:
        """Write in two steps; within a step records to different topics overtake each other. Folding goes on."""
        self._write_all(
            [lambda key=key, value=value: self._set(key, value) for key, value in flush.cells],
            [lambda one=one: self.broker.set_aside.update([one.record.offset]) for one in flush.dead_letters],
        )
        self._write_all(
            [lambda: self._set(*flush.own)],
            *(
                [
                    lambda one=one: self.broker.tell(one.topic, one.key, one.document, flush.next_offset)
                    for one in flush.emissions
                    if one.topic == topic
                ]
                for topic in {one.topic for one in flush.emissions}
            ),
        )

    def _set(self, key: bytes, value: bytes) -> None:
        self.memory[key] = value
        self.broker.write_state(key, value)

    def _write_all(self, *queues: list[Any]) -> None:
        """Write to topics in order within each; an accident leaves a part of each written."""
        if self.rng.random() < 0.3:
            self.fold()
        if self.rng.random() >= self.accidents:
            for queue in queues:
                for write in queue:
                    write()
            return
        for queue in queues:
            for write in queue[: self.rng.randint(0, len(queue))]:
                write()
        raise self.rng.choice((WorkerDiesError, WriteFailsError))

    def _maybe_die(self) -> None:
        if self.rng.random() < self.accidents:
            raise WorkerDiesError

    def is_done(self) -> bool:
        return self.position >= len(self.broker.history.log)


def run(past: History, rng: random.Random) -> tuple[Broker, Worker]:
    """Let workers follow each other until the log is consumed and all of it written."""
    broker, accidents, memory = Broker(past), rng.choice((0.02, 0.1, 0.4)), dict[bytes, bytes]()
    while True:
        worker = Worker(broker, rng, accidents, memory)
        try:
            while not worker.is_done():
                worker.step()
                if rng.random() < accidents / 4:
                    raise WorkerDiesError
            while worker.flush():
                pass
        except WorkerDiesError:
            # A process that lives on, and gets its partition back, has what it meant to write and never did.
            memory = worker.memory if rng.random() < 0.3 else {}
        else:
            return broker, worker


def check_end(past: History, broker: Broker, worker: Worker) -> None:
    reference, log = past.reference, past.log
    assert {place: comparable(one) for place, one in broker.adoption.items()} == past.told[len(log)]
    assert set(broker.set_aside) == set(reference.set_aside)
    own = msgspec.msgpack.decode(broker.table[OWN], type=PartitionState)
    assert own.next_offset == own.processed == len(log)
    assert (own.applied, own.duplicates, own.late) == (
        len(reference.counted),
        len(reference.repeated),
        len(reference.late),
    )
    assert sum(own.dead_letters.values()) == len(reference.set_aside)
    assert worker.partition.next_offset == len(log)
    cells: dict[str, CellState] = {key.decode(): unpack(one) for key, one in broker.table.items() if key != OWN}
    assert {key: payments(cell.total()) for key, cell in cells.items()} == past.paid[len(log)]
    for cell in cells.values():
        assert not has_closed(cell, own.watermarks[cell.run] // HOUR_MS), "windows that closed have left"
    vnd = sum(tally["amount_vnd"] for cell in cells.values() for tally in as_document(cell.total()).values())
    assert vnd == sum(one.payment.amount_vnd for one in reference.counted if one.payment.status == "settled")


@pytest.mark.parametrize("seed", range(LOGS))
def test_every_schedule_of_crashes_comes_to_the_same(seed):
    past = history(seed)
    for schedule in range(SCHEDULES):
        broker, worker = run(past, random.Random(seed * SCHEDULES + schedule))
        check_end(past, broker, worker)


def test_the_logs_have_everything_in_them():
    """Else the test above would show less than it says."""
    pasts = [history(seed) for seed in range(LOGS)]
    ends = [document for past in pasts for document in past.told[-1].values()]
    assert sum(one["final"] for one in ends) > 100
    assert sum(bool(one.get("outside_windows")) for one in ends) > 10
    assert sum(len(past.reference.repeated) for past in pasts) > 100
    assert sum(len(past.reference.late) for past in pasts) > 100
    assert sum(len(past.reference.set_aside) for past in pasts) > 100
    assert any(past.log[-1].offset in past.reference.set_aside for past in pasts)
