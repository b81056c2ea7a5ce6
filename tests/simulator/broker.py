"""The simulated broker: the changelog, adoption and dead letters of one partition.

In: records that land. Out: a violated invariant, or nothing.
The changelog is compacted at any moment, also while somebody reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.lineage import claim_of
from tests.simulator.kinds import NUMBER, Kind, Totals, Violation

if TYPE_CHECKING:
    from collections.abc import Iterable

CLAIM_KEY, CLAIM_VALUE = claim_of(NUMBER, "simulated")


class Broker:
    """All topics, and the invariants that are checked on whatever lands."""

    def __init__(self, kind: Kind, totals: Totals) -> None:
        self.kind, self.totals = kind, totals
        self.changelog: list[tuple[bytes, Any] | None] = []
        """By offset; None where compaction has removed a record."""
        self.lineages: dict[int, dict[str, Any]] = {}
        """The newest value of each key: epoch → cell → state, the own one under ``""``."""
        self.winner = -1
        """The epoch that a recovery would take."""
        self.furthest: dict[Any, tuple[int, ...]] = {}
        self.newest: dict[Any, tuple[int, ...]] = {}
        self.set_aside: set[int] = set()
        self.committed = 0
        self.durable = 0
        """The greatest offset that an own state has ever said to be complete."""

    def land(self, topic: str, what: Any) -> int:
        """Take a record; return its offset in the changelog, if it goes there."""
        if topic == "state":
            return self._land_state(*what)
        if topic == "adoption":
            key, progress = self.kind.check_told(*what)
            if what[1] > self.durable:
                raise Violation(f"{key} is told as of {what[1]}, durable is {self.durable}")
            self.newest[key] = progress
            self.furthest[key] = max(progress, self.furthest.get(key, progress))
        else:
            self.set_aside.add(self.kind.check_dead_letter(what))
        return -1

    def _land_state(self, key: bytes, value: Any) -> int:
        offset = len(self.changelog)
        self.changelog.append((key, value))
        if key == CLAIM_KEY:
            return offset
        _, number, cell = key.decode().split("|", 2)
        epoch = int(number)
        lineage = self.lineages.setdefault(epoch, {})
        if value is None:
            lineage.pop(cell, None)
            if not cell and epoch == self.winner:
                raise Violation("the own state that a recovery would take was swept away")
        else:
            lineage[cell] = value
            if not cell:
                self.winner = max(self.winner, epoch)
                self.durable = max(self.durable, self.kind.next_offset_of(value))
            else:
                self.kind.check_cell(cell, value)
        if epoch == self.winner:
            self._check_complete(lineage, (cell,) if cell else self.kind.cells)
        return offset

    def _check_complete(self, lineage: dict[str, Any], cells: Iterable[str]) -> None:
        next_offset = self.kind.next_offset_of(lineage[""])
        for cell in cells:
            if self.kind.lacks(cell, lineage.get(cell), next_offset):
                raise Violation(f"epoch {self.winner} is complete up to {next_offset}, and {cell} lacks a payment")

    def commit(self, epoch: int, offset: int) -> None:
        lineage = self.lineages.get(epoch, {})
        if self.winner < epoch or (self.winner == epoch and self.kind.next_offset_of(lineage[""]) < offset):
            raise Violation(f"{offset} is committed, a recovery has less")
        self.committed = offset
        self.totals.commits += 1

    def compact(self, how: int) -> None:
        """Remove all but the newest of each key in a prefix, as often as not with its tombstones."""
        self.totals.compactions += 1
        upto = len(self.changelog) - (how >> 1)
        seen = set()
        for offset in range(upto - 1, -1, -1):
            record = self.changelog[offset]
            if record is None:
                continue
            key, value = record
            last = offset == len(self.changelog) - 1
            if not last and (key in seen or (how & 1 and value is None)):
                self.changelog[offset] = None
            seen.add(key)
