"""Protocols that are wrong in one place each, to see that the simulator finds it.

In: nothing. Out: `MUTANTS` by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.lineage import Recovered, recover, state_key
from streams.protocol import Commit, Look, Owner, Write
from tests.simulator.model import ModelPartition
from tests.simulator.schedules import System

if TYPE_CHECKING:
    from collections.abc import Iterator


class ConstantEpoch(Owner[Any]):
    """No fence: all owners write to the same keys."""

    def claimed(self, epoch: int) -> Any:
        return super().claimed(0)


class CountedEpoch(Owner[Any]):
    """No claim: the epoch is one more than the greatest that is found, as two owners may find at once."""

    def recovered(self, table: Any) -> Any:
        self._epoch = max(recover(self.number, table).epochs.values(), default=-1) + 1
        return super().recovered(table)


class MixedLineages(Owner[Any]):
    """Takes of each cell the state with the greatest epoch, whichever lineage has the newest own state."""

    def recovered(self, table: Any) -> Any:
        commands = super().recovered(table)
        found = recover(self.number, table)
        newest = {}
        for key, epoch in sorted(found.epochs.items(), key=lambda item: item[1]):
            if key != state_key(self.number, epoch):
                newest[key.split(b"|", 2)[2]] = table[key]
        mixed = Recovered(found.own, list(newest.values()) if found.own is not None else [], found.epochs)
        self.partition = self._open_partition(self._epoch, mixed)
        return commands


class _OtherCourse(Owner[Any]):
    """A flush whose steps come in another order: cells, own state, adoption, commit, sweep."""

    order = (0, 1, 2, 3, 4)

    def _course(self, partition: Any, flush: Any) -> Iterator[Any]:
        sweep = [(key, None) for key in self._garbage]
        self._garbage = []
        steps = (
            Write(state=flush.cells, dead_letters=flush.dead_letters),
            Write(state=[flush.own]),
            Write(emissions=flush.emissions),
            Commit(flush.next_offset),
            Write(state=sweep),
        )
        yield from (steps[number] for number in self.order)
        partition.flushed(flush)


class OwnStateFirst(_OtherCourse):
    order = (1, 0, 2, 3, 4)


class AdoptionFirst(_OtherCourse):
    order = (2, 0, 1, 3, 4)


class CommitFirst(_OtherCourse):
    order = (3, 0, 1, 2, 4)


class SweepFirst(_OtherCourse):
    order = (4, 0, 1, 2, 3)


class SweepNever(_OtherCourse):
    order = (0, 1, 2, 3)


class SweepsNewerToo(Owner[Any]):
    """Takes for garbage all that is not its own."""

    def recovered(self, table: Any) -> Any:
        commands = super().recovered(table)
        if self.partition is not None:
            self._garbage = [key for key, epoch in recover(self.number, table).epochs.items() if epoch != self._epoch]
        return commands


class DeafToHoles(Owner[Any]):
    """Folds whatever comes."""

    def fetched(self, chunk: Any) -> Any:
        if self.partition is None or chunk.last < self.partition.next_offset:
            return []
        return self._fold(self.partition, chunk, registry_is_fresh=False)


class AfraidOfGaps(Owner[Any]):
    """Takes every gap in the numbers for a hole, and never gets beyond."""

    def looked(self, look: Look, first_offset: int) -> Any:
        return super().looked(look, look.at_least)


class HopesForTheBest(Owner[Any]):
    """Takes a write that failed for one that did not."""

    def failed(self, write: Write) -> Any:
        return self.acknowledged(write)


class TellsOnce(Owner[Any]):
    """Leaves adoption as it was told, whatever has landed after."""

    def settle(self) -> Any:
        return []


class CountsAgain(ModelPartition):
    passes_over_applied = False


class TellsUneven(ModelPartition):
    waits_for_even_cells = False


class WritesOnlyWhatChanged(ModelPartition):
    begins_with_all_cells = False


MUTANTS = {
    one.__name__: System(owner_type=one)
    for one in (
        ConstantEpoch,
        CountedEpoch,
        MixedLineages,
        OwnStateFirst,
        AdoptionFirst,
        CommitFirst,
        SweepFirst,
        SweepNever,
        SweepsNewerToo,
        DeafToHoles,
        AfraidOfGaps,
        HopesForTheBest,
        TellsOnce,
    )
}
MUTANTS |= {one.__name__: System(partition_type=one) for one in (CountsAgain, TellsUneven, WritesOnlyWhatChanged)}
MUTANTS["DoesNotCatchUp"] = System(catches_up=False)
