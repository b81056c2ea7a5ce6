"""How large records are.

In: frames as in `producers.load.frames.RECORDS`. Out: bytes of what senders wrote in them.
"""

from __future__ import annotations

import polars as pl


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
