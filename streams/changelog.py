"""The changelog topic on Kafka, as state stores see it.

In: partitions of the topic. Out: their records; their ends; the record that names one.
"""

from __future__ import annotations

from aiokafka import TopicPartition

from schemas.topics import STATE_CHANGELOG
from streams.offsets import end_offsets, first_record, read_to_end
from streams.state_store import Learn
from streams.writing import Writer


class KafkaChangelog:
    """Implements `streams.state_store.Changelog`."""

    def __init__(self, bootstrap_servers: str, writer: Writer) -> None:
        self._servers, self._writer = bootstrap_servers, writer

    async def end(self, partition: int) -> int:
        """Return the offset behind the last record."""
        place = _place(partition)
        return (await end_offsets(self._servers, [place]))[place]

    async def at(self, partition: int, offset: int) -> tuple[bytes | None, bytes | None] | None:
        """Return key and value of the record at an offset, None if compaction has removed it."""
        record = await first_record(self._servers, _place(partition), offset)
        return (record.key, record.value) if record.offset == offset else None

    async def read(self, partition: int, begin: int, learn: Learn) -> int:
        """Tell all records from an offset on; return where they end."""
        return await read_to_end(self._servers, _place(partition), begin, learn)

    async def identify(self, partition: int, name: str) -> int:
        """Write the record that names a partition; return its offset."""
        return await self._writer.identify(partition, name)


def _place(partition: int) -> TopicPartition:
    return TopicPartition(STATE_CHANGELOG, partition)
