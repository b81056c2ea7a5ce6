"""Frames of raw records for tests: short to write, and of all kinds.

In: rows. Out: frames as in `producers.load.frames.RECORDS`; strategies of them; a run of ours as a capture has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import polars as pl
from hypothesis import strategies as st

from producers.blocks import RecordBlock
from producers.encoding import PaymentEncoder, cell_records
from producers.engine import ProvinceSimulation
from producers.load.frames import CREATE_TIME, RECORDS
from producers.load.sources.places import Places
from producers.qr_codes import CodeEncoder
from producers.simulation.world import build_world
from schemas.events import encode
from schemas.topics import CELLS
from tests.province_days import sent
from tests.small import small

PLACES = Places("capture.parquet", in_topics=True)
ROWS = Places("file.csv", in_topics=False)
RUN = "small-57"

Header = tuple[str, bytes | None]


def record(
    at: int = 0,
    value: bytes | str | None = b"",
    key: bytes | str | None = None,
    *,
    headers: Iterable[Header] = (),
    topic: str | None = "t",
    partition: int | None = 0,
    offset: int = 0,
) -> dict[str, Any]:
    """Return a row."""
    return {
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "timestamp": at,
        "timestamp_type": CREATE_TIME,
        "key": key.encode() if isinstance(key, str) else key,
        "value": value.encode() if isinstance(value, str) else value,
        "headers": [{"name": name, "value": content} for name, content in headers],
    }


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    """Return rows as a frame; offsets count on where they are all 0."""
    if not any(row["offset"] for row in rows):
        rows = tuple({**row, "offset": number} for number, row in enumerate(rows))
    return pl.DataFrame(list(rows), schema=RECORDS)


def cut(whole: pl.DataFrame, lengths: Iterable[int]) -> Iterator[pl.DataFrame]:
    """Yield a frame in pieces of some lengths, and the rest."""
    begin = 0
    for length in lengths:
        if begin < len(whole):
            yield whole.slice(begin, length)
        begin += length
    if begin < len(whole):
        yield whole.slice(begin)


lengths = st.lists(st.integers(1, 20), max_size=10)

records = st.builds(
    record,
    at=st.integers(0, 50),
    value=st.none() | st.binary(max_size=8),
    key=st.none() | st.binary(max_size=8),
    headers=st.lists(st.tuples(st.text(max_size=3), st.none() | st.binary(max_size=3)), max_size=2),
    partition=st.integers(0, 3),
)
frames = st.lists(records, max_size=60).map(lambda rows: frame(*rows))


@cache
def run_of_ours(*, cloud_events: bool = False) -> pl.DataFrame:
    """Return a day of a run as a capture of its topics: payments, repeated and broken copies too, and announcements.

    Announcements of cells bear the time of the clock on the wall, long behind that of the simulation.
    """
    world = build_world(small(), 57)
    encoder = PaymentEncoder(world, RUN, 4, cloud_events=cloud_events)
    day, sending = sent(world, next(ProvinceSimulation(world).days()))
    codes = CodeEncoder(world, RUN, 4)
    accounts = (codes.registered(issued) for issued in day.codes)
    blocks = [
        *(block for block in accounts if block is not None),
        encoder.truth(day),
        *(block.records for block in encoder.blocks(day, sending, 1000)),
    ]
    cells = [record(9 * 10**12, encode(cell), f"{RUN}|{cell.cell}", topic=CELLS) for cell in cell_records(world, RUN)]
    whole = pl.concat([frame(*cells), *map(_of_block, blocks)])
    return whole.with_columns(pl.int_range(len(whole), dtype=pl.Int64).alias("offset"))


def _of_block(block: RecordBlock) -> pl.DataFrame:
    headers = block.headers or [[]] * len(block)
    return pl.DataFrame(
        {
            "topic": pl.repeat(block.topic, len(block), dtype=pl.String, eager=True),
            "partition": block.partition,
            "offset": pl.int_range(len(block), dtype=pl.Int64, eager=True),
            "timestamp": block.timestamp,
            "timestamp_type": pl.repeat(CREATE_TIME, len(block), dtype=pl.UInt8, eager=True),
            "key": block.key.cast(pl.Binary),
            "value": block.value.cast(pl.Binary),
            "headers": [[{"name": name, "value": value} for name, value in one] for one in headers],
        },
        schema=RECORDS,
    )
