"""Headers of many records as one column.

In: headers, record by record. Out: a series as `producers.load.frames.HEADERS`. Polars takes 50 µs a record for lists
of dicts of which most are empty; here only the records that have headers cost anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from producers.load.frames import HEADERS

_NONE: Final = pl.Series("headers", [[]], dtype=HEADERS)
_HEADER: Final = {"row": pl.Int64(), "name": pl.String(), "value": pl.Binary()}


def header_lists(records: Sequence[Sequence[tuple[str, bytes | None]]]) -> pl.Series:
    """Return the headers of records, in their order."""
    rows = [row for row, headers in enumerate(records) if headers]
    if not rows:
        return _NONE.new_from_index(0, len(records))
    flat = [(row, name, value) for row in rows for name, value in records[row]]
    columns = [
        pl.Series(name, column, dtype=_HEADER[name])
        for name, column in zip(_HEADER, zip(*flat, strict=True), strict=True)
    ]
    lists = pl.DataFrame(columns).group_by("row", maintain_order=True).agg(headers=pl.struct("name", "value"))
    all_rows = pl.DataFrame({"row": pl.int_range(len(records), eager=True)})
    joined = all_rows.join(lists, on="row", how="left", maintain_order="left")["headers"]
    return joined.fill_null(pl.lit([], dtype=HEADERS)).alias("headers") if joined.null_count() else joined
