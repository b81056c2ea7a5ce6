"""Lineages: whose state is whose in a changelog partition that several owners may have written to.

In: the table as recovered from the changelog. Out: the newest complete lineage in it, to go on from, and the keys of
all others, which may be swept away.
Pure. An owner claims its partition by a record in the changelog; that record's offset is its *epoch*, unique and
rising without any coordinator. All keys that the owner writes carry it, and are its *lineage*: a writer that was
paused, or whose writes land late, neither overwrites nor compacts away what a later owner has written.

A lineage begins with all cells that its owner knows, and its own state comes after its cells. So wherever it has an
own state it is complete by itself. Cells of different lineages are never mixed: one that has no own state yet may
have begun from less than what an older one went on to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from schemas.errors import BadInputError
from schemas.topics import STATE_CHANGELOG

Table = Mapping[bytes, bytes]
StateRecord = tuple[bytes, bytes | None]
"""Key and value of a changelog record; without a value, a tombstone: the key is forgotten."""

_SEPARATOR: Final = "|"
_CLAIM: Final = "claim"
_IDENTITY: Final = "identity"
_LONGEST_EPOCH: Final = 19
"""Digits of the greatest offset."""


@dataclass
class Recovered:
    """What the table holds of a partition."""

    own: bytes | None = None
    """The own state of the newest lineage that has one."""
    cells: list[bytes] = field(default_factory=list)
    """The states of its cells."""
    epochs: dict[bytes, int] = field(default_factory=dict)
    """Every state key that was found, and the epoch in it."""

    def keys_before(self, epoch: int) -> list[bytes]:
        """Return the keys of older lineages."""
        return [key for key, its_epoch in self.epochs.items() if its_epoch < epoch]


def claim_of(partition: int, claimant: str) -> StateRecord:
    """Return the record that claims a partition. Its value is read by nobody, but by people."""
    return f"{partition}{_SEPARATOR}{_CLAIM}".encode(), claimant.encode()


def identity_key(partition: int) -> bytes:
    """Return the key of the record that tells a changelog partition from others (`streams.changelog_copy`)."""
    return f"{partition}{_SEPARATOR}{_IDENTITY}".encode()


def state_key(partition: int, epoch: int, cell: str = "") -> bytes:
    """Return the key of a cell's state, or of the partition's own if no cell is named."""
    return f"{partition}{_SEPARATOR}{epoch}{_SEPARATOR}{cell}".encode()


def recover(partition: int, table: Table) -> Recovered:
    """Find what to go on from.

    Raises:
        BadInputError: if a version before this one has written the state.
    """
    prefix, no_state = f"{partition}{_SEPARATOR}".encode(), {claim_of(partition, "")[0], identity_key(partition)}
    recovered = Recovered(
        epochs={key: _epoch_of(key) for key in table if key.startswith(prefix) and key not in no_state},
    )
    complete = [epoch for key, epoch in recovered.epochs.items() if key == state_key(partition, epoch)]
    if complete:
        newest = max(complete)
        own = state_key(partition, newest)
        recovered.own = table[own]
        recovered.cells = [table[key] for key, epoch in recovered.epochs.items() if epoch == newest and key != own]
    return recovered


def _epoch_of(key: bytes) -> int:
    _, epoch, *rest = key.decode(errors="replace").split(_SEPARATOR, 2)
    own, cell = rest == [""], _SEPARATOR in "".join(rest)
    if not (own or cell) or not epoch.isdecimal() or len(epoch) > _LONGEST_EPOCH:
        found = f"{STATE_CHANGELOG} has a state of another version (key {key!r:.80})"
        raise BadInputError("stream", found, f"stop all workers and delete {STATE_CHANGELOG}, to begin anew")
    return int(epoch)
