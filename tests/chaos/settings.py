"""The brokers that chaos is let loose on in tests: the embedded one, and the Apache Kafka of the tests.

In: the name of a kind of broker. Out: its `Setting`.
"""

from __future__ import annotations

from pathlib import Path

from services.chaos.brokers import MemoryBroker
from services.chaos.run import Setting, embedded
from tests.kafka.server import ApacheKafka


def kafka_broker(folder: Path, advertised: str) -> ApacheKafka:
    """Return an Apache Kafka whose data outlive it."""
    data = folder / "kafka"
    data.mkdir()
    return ApacheKafka(data, advertised)


def setting_of(kind: str) -> Setting:
    return embedded(MemoryBroker) if kind == "embedded" else Setting("kafka", kafka_broker)
