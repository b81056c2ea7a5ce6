"""A state store that keeps a copy of each changelog partition, so that a recovery reads only what is new.

In: the changelog; copies, such as `streams.rocksdb_store` keeps. Out: tables; copies that follow the changelog.
A copy is never written by the fold: it is read from the changelog like any other reader's, off the hot path, and what
a copy has is in the changelog. Whatever is wrong with one, it is begun anew, and at worst there is none.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import to_thread
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

from aiokafka.errors import KafkaError

from schemas.topics import STATE_CHANGELOG
from streams.changelog_copy import (
    FORMAT,
    CopyUnfitError,
    Identity,
    Mark,
    Tail,
    apply,
    why_anew,
    why_another,
    why_too_old,
)
from streams.state_store import Changelog, Rebuilt

FOLLOW_TIMEOUT_SECONDS: Final = 10.0
"""For the copying of a partition while it is owned; a recovery that comes meanwhile waits for it."""
RELEASE_TIMEOUT_SECONDS: Final = 2.0
"""For the last copying before another worker gets a partition, while the whole group waits."""

_logger = logging.getLogger(__name__)


class Copy(Protocol):
    """A copy of one partition. Every call blocks, and comes from any thread; `CopyUnfitError` if it fails."""

    def open(self) -> Mark | None:
        """Open it; return how far it is, None if it is empty.

        Raises:
            QuetmaError: if another process has it.
        """

    def load(self) -> dict[bytes, bytes]:
        """Return all of it."""

    def write(self, changes: Mapping[bytes, bytes | None], mark: Mark) -> None:
        """Change it and say how far it is, both or neither."""

    def close(self) -> None:
        """Let go of it, if it is open; wait for a call that is under way."""

    def delete(self) -> None:
        """Close and delete it."""


class CopyingStore:
    """Implements `streams.state_store.StateStore`.

    Args:
        changelog: what is copied.
        copy_of: makes the copy of a partition, not yet open.
        now: the time, UTC epoch milliseconds.
        new_name: makes random names for partitions that have no identity.
    """

    def __init__(
        self,
        changelog: Changelog,
        copy_of: Callable[[int], Copy],
        now: Callable[[], int],
        new_name: Callable[[], str],
    ) -> None:
        self._changelog, self._copy_of = changelog, copy_of
        self._now, self._new_name = now, new_name
        self._copies: dict[int, Copy] = {}
        self._marks: dict[int, Mark] = {}
        """Of the copies that are up to date."""
        self._locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def recover(self, partition: int) -> Rebuilt:
        """Take the copy, read the changelog from where it ends, and apply that to both."""
        async with self._locks[partition]:
            await self._forget(partition)  # what a recovery left that was cancelled
            copy = self._copies[partition] = self._copy_of(partition)
            began = self._now()
            try:
                mark = await self._verified(partition, copy, began)
                table = {} if mark is None else await to_thread(copy.load)
                tail, end = await self._read(partition, mark)
            except CopyUnfitError as why:
                await self._begin_anew(partition, why)
                table = {}
                tail, end = await self._read(partition, None)
            apply(table, tail.changes.items())
            identity = tail.identity or await self._identify(partition)
            await self._keep(partition, tail, Mark(FORMAT, end, began, identity))
            return Rebuilt(table, tail.records)

    async def follow(self) -> None:
        """Copy what is new; a broker that is away is no harm, and a copy that fails is given up."""
        for partition in list(self._marks):
            if not self._locks[partition].locked():
                await self._sync(partition, FOLLOW_TIMEOUT_SECONDS)

    async def release(self, partitions: Iterable[int]) -> None:
        """Copy what is new, and close."""
        await asyncio.gather(*map(self._release, partitions))

    async def _release(self, partition: int) -> None:
        try:
            await self._sync(partition, RELEASE_TIMEOUT_SECONDS)
        finally:
            await self._forget(partition)

    async def _verified(self, partition: int, copy: Copy, now: int) -> Mark | None:
        mark = await to_thread(copy.open)
        if mark is None:
            return None
        why = why_anew(mark, await self._changelog.end(partition), now)
        # The identity is looked for last: where the changelog is shorter there may be no record to come.
        why = why or why_another(mark, partition, await self._changelog.at(partition, mark.identity.offset))
        if why:
            raise CopyUnfitError(why)
        return mark

    async def _read(self, partition: int, mark: Mark | None) -> tuple[Tail, int]:
        tail = Tail.after(partition, mark)
        end = await self._changelog.read(partition, tail.begin, tail.learn)
        if end < tail.begin:
            raise CopyUnfitError(f"it goes up to offset {tail.begin}, and the changelog ends at {end}")
        if mark is not None and tail.identity != mark.identity:
            raise CopyUnfitError(f"the changelog has another identity than {mark.identity.name} by now")
        return tail, end

    async def _identify(self, partition: int) -> Identity:
        name = self._new_name()
        return Identity(name, await self._changelog.identify(partition, name))

    async def _begin_anew(self, partition: int, why: CopyUnfitError) -> None:
        copy = self._copies.get(partition)
        if copy is None:
            return  # released meanwhile, which is no fault of the copy's
        _logger.warning("The copy of %s-%d is begun anew: %s", STATE_CHANGELOG, partition, why)
        try:
            await to_thread(copy.delete)
            await to_thread(copy.open)
        except CopyUnfitError as error:
            await self._give_up(partition, error)

    async def _keep(self, partition: int, tail: Tail, mark: Mark) -> None:
        copy = self._copies.get(partition)
        if copy is None:
            return
        try:
            await to_thread(copy.write, tail.changes, mark)
        except CopyUnfitError as why:
            await self._give_up(partition, why)
        else:
            self._marks[partition] = mark

    async def _give_up(self, partition: int, why: CopyUnfitError) -> None:
        """Go on without a copy until the partition is recovered again; that begins anew."""
        self._marks.pop(partition, None)
        copy = self._copies.pop(partition, None)
        if copy is None:
            return  # see above
        _logger.warning("There is no copy of %s-%d for now: %s", STATE_CHANGELOG, partition, why)
        try:
            await to_thread(copy.delete)
        except CopyUnfitError:
            await to_thread(copy.close)

    async def _sync(self, partition: int, timeout: float) -> None:  # noqa: ASYNC109  # of this one reader's
        try:
            async with asyncio.timeout(timeout), self._locks[partition]:
                mark, began = self._marks.get(partition), self._now()
                if mark is None:
                    return
                if why := why_too_old(mark, began):
                    raise CopyUnfitError(why)
                tail, end = await self._read(partition, mark)
                await self._keep(partition, tail, Mark(FORMAT, end, began, tail.identity or mark.identity))
        except CopyUnfitError as why:
            await self._give_up(partition, why)
        except (KafkaError, TimeoutError) as error:
            _logger.warning("The copy of %s-%d could not follow: %r", STATE_CHANGELOG, partition, error)

    async def _forget(self, partition: int) -> None:
        self._marks.pop(partition, None)
        if (copy := self._copies.pop(partition, None)) is not None:
            await to_thread(copy.close)
