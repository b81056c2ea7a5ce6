"""Holding production back: how far the stream workers are behind what we had acknowledged.

In: the group's committed offsets, asked of the broker. Out: the lag in events; a wait while it is too large.
The producer is held back, not the truth.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupLoadInProgressError, KafkaError

from schemas.topics import PAYMENTS, STREAM_GROUP

POLL_SECONDS = 0.1


class StreamLag:
    """Watches the stream group. Use as an async context manager."""

    def __init__(self, bootstrap_servers: str, group: str = STREAM_GROUP) -> None:
        self._admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers.split(","))
        self._group = group

    async def __aenter__(self) -> StreamLag:
        await self._admin.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._admin.close()

    async def by_partition(self, end_offsets: Mapping[tuple[str, int], int]) -> dict[int, int]:
        """Return, by partition, how many payments before the given ends the group has not committed.

        Raises:
            KafkaError: if the broker does not say, as while it loads the group after a restart.
        """
        ends = {TopicPartition(*place): end for place, end in end_offsets.items() if place[0] == PAYMENTS}
        if not ends:
            return {}
        committed = await self._admin.list_consumer_group_offsets(self._group, partitions=list(ends))
        if not ends.keys() <= committed.keys():  # the client swallows the group's error, and its answer is empty
            raise GroupLoadInProgressError(self._group)
        return {place.partition: max(0, end - max(0, committed[place].offset)) for place, end in ends.items()}

    async def behind(self, end_offsets: Mapping[tuple[str, int], int]) -> int:
        """Return the same over all partitions."""
        return sum((await self.by_partition(end_offsets)).values())

    async def wait_below(self, limit: int, end_offsets: Mapping[tuple[str, int], int], stop: asyncio.Event) -> None:
        """Wait until the lag is at most ``limit``, or ``stop`` is set."""
        while not stop.is_set():
            try:
                if await self.behind(end_offsets) <= limit:
                    return
            except KafkaError:
                pass  # the broker is away: production waits with it
            await asyncio.sleep(POLL_SECONDS)
