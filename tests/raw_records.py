"""Records that are hard to keep: binary, null, empty, headers twice; made up, and sent to a broker as they are.

In: a broker, or nothing. Out: topics with such records; frames of them; strategies for hypothesis.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import for_code
from hypothesis import strategies as st

from producers.load.frames import CREATE_TIME, RECORDS

Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True)
class Raw:
    """A record as it is sent."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    timestamp: int = 1_771_290_000_000


BINARY = bytes(range(256))
NASTY = (
    Raw(None, None),
    Raw(b"", b""),
    Raw(None, b"", (("", b""), ("", None))),
    Raw(b"", None, (("twice", b"1"), ("twice", b"2"), ("twice", None), ("other", b""))),
    Raw(BINARY, BINARY[::-1], (("binary", BINARY),)),
    Raw(b"\xff\xfe", b"\xc3\x28", (('mã quét\n"\\\x00', b"\x00\n\r"),)),
    Raw("Chợ Mới".encode(), b'{"a": "b\\n"}\n{"c": 1}'),
    Raw(b"\n", b"\r\n", (("tab\t", b"\t"),)),
    Raw(b"early", b"before all others", timestamp=0),
    Raw(b"late", b"far ahead", timestamp=253_402_300_799_999),
    Raw(b"large", BINARY * 1200),
)
"""One of each thing that is easily lost; not in order of time."""

_TEXT = st.text(st.characters(codec="utf-8"), max_size=6)
_BYTES = st.none() | st.binary(max_size=12)
RAW = st.builds(
    Raw,
    key=_BYTES,
    value=_BYTES,
    headers=st.lists(st.tuples(_TEXT, _BYTES), max_size=3).map(tuple),
    timestamp=st.integers(-1, 2**62),
)


def frame_of_raw(
    raws: Sequence[Raw], topic: str | None = "t", partition: int | None = 0, timestamp_type: int = CREATE_TIME
) -> pl.DataFrame:
    """Return the frame that a capture must have of records that were the first of their partition."""
    rows = [
        {
            "topic": topic,
            "partition": partition,
            "offset": offset,
            "timestamp": raw.timestamp,
            "timestamp_type": timestamp_type,
            "key": raw.key,
            "value": raw.value,
            "headers": [{"name": name, "value": value} for name, value in raw.headers],
        }
        for offset, raw in enumerate(raws)
    ]
    return pl.DataFrame(rows, schema=RECORDS)


async def make_topic(servers: str, topic: str, partitions: int = 1, **config: str) -> None:
    """Create a topic; names of settings have ``_`` for ``.``."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers.split(","))
    await admin.start()
    try:
        settings = {name.replace("_", "."): value for name, value in config.items()}
        settings |= {"message.timestamp.after.max.ms": str(2**63 - 1)}  # by default Kafka takes none of tomorrow
        response = await admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=settings)])
    finally:
        await admin.close()
    for _, code, *message in response.topic_errors:
        assert code == 0, (for_code(code), message)


async def send_raw(servers: str, topic: str, raws: Mapping[int, Sequence[Raw]], batch: int = 4) -> None:
    """Send records to partitions, so many in a batch, byte for byte; return when all are acknowledged."""
    producer = AIOKafkaProducer(bootstrap_servers=servers.split(","), enable_idempotence=False, max_batch_size=1 << 20)
    await producer.start()
    try:
        for partition, records in raws.items():
            for first in range(0, len(records), batch):
                await (
                    await producer.send_batch(
                        _batch(producer, records[first : first + batch]), topic, partition=partition
                    )
                )
    finally:
        await producer.stop()


def _batch(producer: AIOKafkaProducer, raws: Sequence[Raw]) -> Any:
    built = AIOKafkaProducer.create_batch(producer)
    for raw in raws:
        added = built.append(key=raw.key, value=raw.value, timestamp=raw.timestamp, headers=list(raw.headers))
        assert added is not None, "it does not fit into a batch"
    built.close()
    return built


def now_ms() -> int:
    """Return the time, UTC epoch milliseconds."""
    return int(time.time() * 1000)
