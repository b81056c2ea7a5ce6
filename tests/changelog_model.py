"""A changelog partition in memory, with compaction as Kafka does it, and copies of it in memory.

In: records, compactions, time. Out: what a reader gets to see, as `streams.state_store.Changelog` has it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from schemas.topics import DELETE_RETENTION_MS
from streams.changelog_copy import Mark, decode_mark, encode_mark
from streams.copying_store import Copy, CopyingStore
from streams.lineage import identity_key
from streams.state_store import Learn, MemoryStore, Rebuilt

PARTITION = 3
HOUR_MS = 3_600_000
PAGE = 2
"""Records that a reader gets at once; then others have their turn."""


class ModelChangelog:
    """One partition."""

    def __init__(self) -> None:
        self.now = 1_000 * HOUR_MS
        self.next_offset = 0
        self.records: list[tuple[int, bytes, bytes | None, int]] = []
        """Offset, key, value, time."""
        self.meanwhile: list[Callable[[], None]] = []
        """What happens between two pages of the next reader."""
        self.told = 0

    # -- what happens to it ----------------------------------------------------------------------------------

    def write(self, key: bytes, value: bytes | None) -> int:
        offset = self.next_offset
        self.records.append((offset, key, value, self.now))
        self.next_offset += 1
        return offset

    def compact(self, share: float = 1.0, *, tombstones: bool = True) -> None:
        """Clean the first records, as far as a share. Kafka leaves the newest segment alone.

        Tombstones go as soon as they are old enough. Kafka leaves them for as long again from their first cleaning.
        """
        border = int(share * self.next_offset)
        newest = {key: offset for offset, key, _, _ in self.records if offset < border}
        self.records = [
            (offset, key, value, time)
            for offset, key, value, time in self.records
            if offset >= border
            or (
                newest[key] == offset and (value is not None or not tombstones or self.now - time < DELETE_RETENTION_MS)
            )
        ]

    def make_anew(self) -> None:
        """Delete the topic and create it."""
        self.records, self.next_offset = [], 0

    def cut(self, end: int) -> None:
        """Lose the newest records."""
        self.records = [record for record in self.records if record[0] < end]
        self.next_offset = end

    # -- streams.state_store.Changelog -----------------------------------------------------------------------

    async def end(self, partition: int) -> int:
        return self.next_offset

    async def at(self, partition: int, offset: int) -> tuple[bytes | None, bytes | None] | None:
        assert offset < self.next_offset, "a client waits for what is behind the end"
        return next(((key, value) for at, key, value, _ in self.records if at == offset), None)

    async def read(self, partition: int, begin: int, learn: Learn) -> int:
        place = begin if begin <= self.next_offset else 0  # as aiokafka does where its place is gone
        while page := [record for record in self.records if record[0] >= place][:PAGE]:
            for offset, key, value, _ in page:
                self.told += 1
                learn(offset, key, value)
                place = offset + 1
            await asyncio.sleep(0)
            if self.meanwhile:
                self.meanwhile.pop(0)()
        return self.next_offset

    async def identify(self, partition: int, name: str) -> int:
        return self.write(identity_key(partition), name.encode())


class DictCopy:
    """A copy whose disk is a dict, by the path that it would have."""

    def __init__(self, disk: dict[bytes, bytes]) -> None:
        self.disk = disk

    def open(self) -> Mark | None:
        stored = self.disk.get(b"")
        return None if stored is None else decode_mark(stored)

    def load(self) -> dict[bytes, bytes]:
        return {key: value for key, value in self.disk.items() if key}

    def write(self, changes: Mapping[bytes, bytes | None], mark: Mark) -> None:
        for key, value in changes.items():
            if value is None:
                self.disk.pop(key, None)
            else:
                self.disk[key] = value
        self.disk[b""] = encode_mark(mark)

    def close(self) -> None:
        pass

    def delete(self) -> None:
        self.disk.clear()


class Worker:
    """A worker's store over a copy that stays when the worker ends."""

    def __init__(self, changelog: ModelChangelog, new_copy: Callable[[], Copy]) -> None:
        self.changelog, self._new_copy = changelog, new_copy
        self._names = 0
        self.copy: Copy | None = None
        self.begin()

    def begin(self) -> None:
        """Start a worker; what went before has been killed."""
        if self.copy is not None:
            self.copy.close()  # as the end of a process does
        self.store = CopyingStore(self.changelog, lambda _: self._copy(), lambda: self.changelog.now, self._new_name)

    async def recover(self) -> Rebuilt:
        return await self.store.recover(PARTITION)

    async def everything(self) -> dict[bytes, bytes]:
        """What the store in memory makes of the changelog."""
        return (await MemoryStore(self.changelog).recover(PARTITION)).table

    def _copy(self) -> Copy:
        self.copy = self._new_copy()
        return self.copy

    def _new_name(self) -> str:
        self._names += 1
        return f"name {self._names}"
