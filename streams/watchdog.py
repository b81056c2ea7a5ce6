"""A watch for partitions that have records and do not move.

In: where the owned partitions stand, now and then. Out: an error if one stands still.
After connections were cut in the middle of a rebalance a worker was seen to own a partition and never to fetch from it
again. Nothing in the client says so; a fresh start goes on.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from schemas.errors import ExitCode, QuetmaError
from schemas.topics import PAYMENTS
from streams.offsets import end_offsets


class WorkerStuckError(QuetmaError):
    """A partition stands still; the worker must start anew."""

    exit_code = ExitCode.UNREACHABLE

    def __init__(self, standing: Mapping[int, int]) -> None:
        places = ", ".join(f"{PAYMENTS}-{number} at {offset}" for number, offset in standing.items())
        super().__init__("stream", f"no records come of {places}, where there are more", "It starts anew and goes on")


class Watchdog:
    """Compares each look with the one before."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._servers = bootstrap_servers
        self._behind: dict[int, int] = {}
        """Partitions that had records to read at the last look, and where they stood."""

    async def look(self, positions: Mapping[int, int]) -> None:
        """Look at the next offsets of the owned partitions, each at least a few chunks' time after the last look.

        Raises:
            WorkerStuckError: if one had records to read at the last look and has not moved since.
        """
        standing = {number: at for number, at in positions.items() if self._behind.get(number) == at}
        if standing:
            raise WorkerStuckError(standing)
        try:
            ends = await end_offsets(self._servers, [TopicPartition(PAYMENTS, number) for number in positions])
        except (KafkaError, TimeoutError):
            self._behind = {}  # the broker is away: that is another matter
            return
        self._behind = {place.partition: at for place, end in ends.items() if (at := positions[place.partition]) < end}
