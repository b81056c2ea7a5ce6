"""Whether records keep the partitions that they come with, or go where their keys say.

In: frames of records. Out: the same; a Kafka target places by its key what has no partition. Pure.
"""

from __future__ import annotations

from typing import Literal

import polars as pl

Partitions = Literal["keep", "by-key"]


def placed(frame: pl.DataFrame, partitions: Partitions) -> pl.DataFrame:
    """Take the partitions off records whose keys are to say, in a topic that may have more of them, or fewer."""
    if partitions == "keep":
        return frame
    return frame.with_columns(pl.lit(None, dtype=pl.Int32).alias("partition"))
