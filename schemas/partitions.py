"""Which partition a key belongs to: producers put records there, workers expect them there.

In: a key. Out: a partition number, as Kafka's default partitioner has it.
"""

from __future__ import annotations

from aiokafka.partitioner import murmur2

_SIGN_BIT_OFF = 0x7FFFFFFF


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a key among so many."""
    return int((murmur2(key) & _SIGN_BIT_OFF) % partitions)
