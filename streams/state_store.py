"""Where a worker gets the table of a partition from when it opens it.

In: the changelog, which is the truth. Out: each partition's table, as reading its changelog to the end gives it.
The store in memory reads all of it each time. `streams.copying_store` keeps a copy, and reads what that lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from schemas.errors import BadInputError
from schemas.settings import StreamSettings
from streams.changelog_copy import Tail, apply

Learn = Callable[[int, bytes, bytes | None], None]
"""Takes a record's offset, key and value; without a value it is a tombstone."""


class Changelog(Protocol):
    """The changelog topic."""

    async def end(self, partition: int) -> int:
        """Return the offset behind the last record."""

    async def at(self, partition: int, offset: int) -> tuple[bytes | None, bytes | None] | None:
        """Return key and value of the record at an offset before the end; None if there is none any more."""

    async def read(self, partition: int, begin: int, learn: Learn) -> int:
        """Tell all records from an offset on, until there are no more; return the offset behind them."""

    async def identify(self, partition: int, name: str) -> int:
        """Write a record that names the partition; return its offset."""


@dataclass(frozen=True)
class Rebuilt:
    """A partition's table, and what it took."""

    table: dict[bytes, bytes]
    records: int
    """How many were read from the changelog."""


class StateStore(Protocol):
    """What `streams.app` asks of a store."""

    async def recover(self, partition: int) -> Rebuilt:
        """Return the table as of the changelog's end, once an owner has claimed the partition."""

    async def follow(self) -> None:
        """Copy what is new in recovered partitions. It may fail, and says so, without harm."""

    async def release(self, partitions: Iterable[int]) -> None:
        """Copy what is new once more, as far as that is quick, and let go of partitions."""


class MemoryStore:
    """Keeps nothing: every recovery reads the whole changelog."""

    def __init__(self, changelog: Changelog) -> None:
        self._changelog = changelog

    async def recover(self, partition: int) -> Rebuilt:
        """Read all."""
        tail, table = Tail(partition), dict[bytes, bytes]()
        await self._changelog.read(partition, 0, tail.learn)
        apply(table, tail.changes.items())
        return Rebuilt(table, tail.records)

    async def follow(self) -> None:
        """Do nothing."""

    async def release(self, partitions: Iterable[int]) -> None:
        """Do nothing."""


def open_store(settings: StreamSettings, changelog: Changelog) -> StateStore:
    """Return the store that the settings ask for.

    Raises:
        BadInputError: if its folder is not set or cannot be used, or another process has it, or its library is missing.
    """
    if settings.store == "memory":
        return MemoryStore(changelog)
    if settings.data_dir is None:
        fix = "set QUETMA_STREAM__DATA_DIR to a folder that this worker alone uses, or leave the store in memory"
        raise BadInputError("settings", "QUETMA_STREAM__STORE=rocksdb without QUETMA_STREAM__DATA_DIR", fix)
    try:
        from streams.rocksdb_store import rocksdb_store  # noqa: PLC0415  # an extra, for those who ask for it
    except ModuleNotFoundError as error:
        if error.name != "rocksdict":
            raise
        found = "QUETMA_STREAM__STORE=rocksdb, and the package rocksdict is not installed"
        raise BadInputError("settings", found, "install quetma[rocksdb], or leave the store in memory") from None
    return rocksdb_store(changelog, settings.data_dir)
