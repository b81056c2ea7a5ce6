"""What a local copy of a changelog partition knows of itself, and when it must be begun anew.

In: changelog records with their offsets; what a copy remembers. Out: what they change in the table; the reason not to
go on with the copy.
Pure. The changelog is the truth. A copy that has all records before an offset, and is told all from there on, is the
table that reading everything gives, because compaction removes a record only for a newer one of its key, which is then
read. It is so under three conditions, and `why_anew` checks each: the changelog is the one that was copied; it still
reaches as far; and no tombstone behind the offset has been compacted away.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from schemas.topics import DELETE_RETENTION_MS
from streams.lineage import identity_key

FORMAT: Final = 1
"""Raised when copies written before can no longer be read."""
MAX_AGE_MS: Final = DELETE_RETENTION_MS // 2
"""Half of the time that Kafka keeps a tombstone: the rest is for reading, and for clocks that differ."""
MAX_SKEW_MS: Final = 60_000
"""How far a clock may have been set back."""


class CopyUnfitError(Exception):
    """A copy cannot be gone on with; the text says why. Never the user's: a copy can be made again."""


class Identity(msgspec.Struct, frozen=True):
    """What tells a changelog partition from any other that has been at its place."""

    name: str
    """Random; the value of the partition's identity record."""
    offset: int
    """Where that record is. Compaction moves no record."""


class Mark(msgspec.Struct, frozen=True):
    """How far a copy is. It is written with what it tells of, in one batch."""

    format: int
    offset: int
    """Of the first record that is not in the copy."""
    synced_at: int
    """When the copying up to there began, UTC epoch milliseconds."""
    identity: Identity


class _AnyFormat(msgspec.Struct):
    format: int


def encode_mark(mark: Mark) -> bytes:
    """Return a mark as it is stored."""
    return msgspec.json.encode(mark)


def decode_mark(stored: bytes) -> Mark:
    """Return a stored mark.

    Raises:
        CopyUnfitError: if another version has written it.
    """
    try:
        found = msgspec.json.decode(stored, type=_AnyFormat).format
        if found != FORMAT:
            raise CopyUnfitError(f"its format is {found}, this version has {FORMAT}")
        return msgspec.json.decode(stored, type=Mark)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CopyUnfitError(f"its mark cannot be read: {error}") from error


def why_anew(mark: Mark, end: int, now: int) -> str | None:
    """Return why a copy must be begun anew, if the changelog ends at an offset now (UTC epoch milliseconds)."""
    needed = max(mark.offset, mark.identity.offset + 1)
    if needed > end:
        return f"it goes up to offset {needed}, and the changelog ends at {end}"
    return why_too_old(mark, now)


def why_too_old(mark: Mark, now: int) -> str | None:
    """Return why a tombstone may be missing behind a copy."""
    age = now - mark.synced_at
    if -MAX_SKEW_MS <= age <= MAX_AGE_MS:
        return None
    hours, limit = age / 3_600_000, MAX_AGE_MS / 3_600_000
    return f"it was last synced {hours:.1f} h ago; up to {limit:g} h, no tombstone can be missing"


def why_another(mark: Mark, partition: int, found: tuple[bytes | None, bytes | None] | None) -> str | None:
    """Return why the changelog is not the one that was copied, by the record at its identity's offset."""
    if found == (identity_key(partition), mark.identity.name.encode()):
        return None
    return f"the changelog is another one than it was copied from ({mark.identity.name} is not in it)"


@dataclass
class Tail:
    """A stretch of a changelog partition, from an offset to its end, and what it changes in the table."""

    partition: int
    begin: int = 0
    identity: Identity | None = None
    """The newest that is known."""
    changes: dict[bytes, bytes | None] = field(default_factory=dict)
    """Newest value of each key; None if it is forgotten."""
    records: int = 0
    """How many were read."""

    @classmethod
    def after(cls, partition: int, mark: Mark | None) -> Tail:
        """Return what a copy lacks; all if there is none."""
        return cls(partition) if mark is None else cls(partition, mark.offset, mark.identity)

    def learn(self, offset: int, key: bytes, value: bytes | None) -> None:
        """Take a record, in order of offsets.

        Raises:
            CopyUnfitError: if it is from before the stretch. A client begins anew by itself where its place is gone.
        """
        if offset < self.begin:
            raise CopyUnfitError(f"it goes up to offset {self.begin}, which the changelog no longer has")
        self.records += 1
        self.changes[key] = value
        if key == identity_key(self.partition):
            self.identity = None if value is None else Identity(value.decode(errors="replace"), offset)


def apply(table: dict[bytes, bytes], changes: Iterable[tuple[bytes, bytes | None]]) -> None:
    """Change a table."""
    for key, value in changes:
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value
