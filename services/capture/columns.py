"""Records of a consumer as columns.

In: lists of records as aiokafka unpacks them. Out: frames as `producers.load.frames.RECORDS`, byte for byte what was on
the topic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from producers.load.frames import CREATE_TIME, RECORDS
from producers.load.header_lists import header_lists

NO_TIME = -1
"""Timestamp of a record that has none, as Kafka writes it; formats before 0.10 had no place for one."""


def frame_of(topic: str, partition: int, records: Sequence[Any]) -> pl.DataFrame:
    """Return the frame of records of one partition, in their order."""
    times = [record.timestamp for record in records]
    types = [record.timestamp_type for record in records]
    if None in times:
        times = [NO_TIME if time is None else time for time in times]
        types = [CREATE_TIME if type_ is None else type_ for type_ in types]
    columns = {
        "topic": pl.Series([topic], dtype=pl.String).new_from_index(0, len(records)),
        "partition": pl.Series([partition], dtype=pl.Int32).new_from_index(0, len(records)),
        "offset": [record.offset for record in records],
        "timestamp": times,
        "timestamp_type": types,
        "key": [record.key for record in records],
        "value": [record.value for record in records],
        "headers": header_lists([record.headers for record in records]),
    }
    return pl.DataFrame(columns, schema=RECORDS)


def size_of(frame: pl.DataFrame) -> int:
    """Return how many bytes of keys, values and headers a frame has."""
    header = pl.element().struct.field("name").str.len_bytes() + pl.element().struct.field(
        "value"
    ).bin.size().fill_null(0)
    return int(
        frame.select(
            pl.col("key").bin.size().sum().cast(pl.Int64)
            + pl.col("value").bin.size().sum()
            + pl.col("headers").list.eval(header).list.sum().sum()
        ).item()
        or 0
    )
