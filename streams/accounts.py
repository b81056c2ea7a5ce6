"""The worker's copy of ``quetma.accounts``: which account each till has registered its code with.

In: the topic's partitions that the worker owns, read from their beginning and then as far as they go. Out: look-ups.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import msgspec
from aiokafka import TopicPartition

from schemas.events import Account
from schemas.topics import ACCOUNTS
from schemas.types import struct_of
from streams.offsets import read_to_end

_decode = msgspec.json.Decoder(struct_of(Account)).decode


class AccountRegistry:
    """Implements `streams.fraud.Accounts`."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._servers = bootstrap_servers
        self._by_run: dict[str, dict[str, str]] = {}
        self._next_offset: dict[int, int] = {}

    def of_run(self, run: str) -> Mapping[str, str] | None:
        """Return the accounts of a run's tills by source; None of a run that registers none."""
        return self._by_run.get(run)

    async def refresh(self, partitions: Iterable[int]) -> None:
        """Read what has been registered in partitions since the last time.

        Two at once may tell the same records, in either order; a till's account never changes.
        """
        await asyncio.gather(*map(self._refresh, partitions))

    async def _refresh(self, partition: int) -> None:
        begin = self._next_offset.get(partition, 0)
        place = TopicPartition(ACCOUNTS, partition)
        self._next_offset[partition] = await read_to_end(self._servers, place, begin, self._learn)

    def _learn(self, _offset: int, _key: bytes, value: bytes | None) -> None:
        try:
            account = _decode(value or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return  # not ours: a till that it was to be of is unregistered
        self._by_run.setdefault(account.run, {})[account.source] = account.account
