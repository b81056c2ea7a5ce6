"""Numbers as text, for whole columns.

In: whole numbers. Out: their decimal digits. Taking them from a table is ten times as fast as writing them anew.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import polars as pl

from producers.simulation.columns import IntArray

_TABLE: Final = pl.Series(np.arange(1 << 16)).cast(pl.String)


def index(numbers: Any) -> pl.Series:
    """Return whole numbers, none below 0, as a series to gather by.

    Gather by ``series[index(…)]``: Polars makes a query of ``series.gather(…)``, which costs several times as much.
    """
    return pl.Series(numbers.astype(np.uint32, copy=False))


def digits(numbers: IntArray) -> pl.Series:
    """Return numbers, none below 0, as text, shape (n,)."""
    row = np.flatnonzero(numbers >= len(_TABLE))
    if not len(row):
        return _TABLE[index(numbers)]
    if len(row) > len(numbers) // 2:
        return pl.Series(numbers).cast(pl.String)
    place = numbers.copy()
    place[row] = len(_TABLE) + np.arange(len(row))
    return pl.concat([_TABLE, pl.Series(numbers[row]).cast(pl.String)], rechunk=True)[index(place)]
