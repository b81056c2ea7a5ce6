"""Which partitions topics have.

In: a broker, names of topics. Out: their partitions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiokafka import TopicPartition

from producers.kafka_topics import partition_counts
from schemas.errors import BadInputError

_SHOWN: Final = 20
"""Topics that an error names at most."""


async def partitions_of(servers: str, topics: Sequence[str]) -> list[TopicPartition]:
    """Return the partitions of topics, in the order of these.

    Raises:
        BadInputError: if a topic does not exist.
    """
    counts = await partition_counts(servers)
    if missing := [topic for topic in topics if topic not in counts]:
        shown = ", ".join(sorted(counts)[:_SHOWN]) or "none"
        more = f" and {len(counts) - _SHOWN} more" if len(counts) > _SHOWN else ""
        raise BadInputError("topics", f"{', '.join(missing)}: no such topic", f"there are {shown}{more}")
    return [TopicPartition(topic, number) for topic in topics for number in range(counts[topic])]
