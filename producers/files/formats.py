"""How a table becomes a file: Parquet, JSON lines or CSV.

In: frames, or lines that are ready. Out: bytes, which depend on the rows alone.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Literal, get_args

import polars as pl

Format = Literal["parquet", "jsonl", "csv"]
FORMATS: tuple[Format, ...] = get_args(Format)
MEDIA_TYPES: dict[Format, str] = {
    "parquet": "application/vnd.apache.parquet",
    "jsonl": "application/jsonl",
    "csv": "text/csv",
}
_ROWS = 1 << 18
"""Rows of a row group at most: fixed, so that the bytes do not depend on the number of threads."""
_STATISTICS = {"min": False, "max": False, "distinct_count": False, "null_count": True}


@dataclass(frozen=True)
class Part:
    """A file of a table, not yet written."""

    table: str
    name: str
    """Its path in the folder."""
    rows: int
    content: bytes


def as_file(frame: pl.DataFrame, format_: Format) -> bytes:
    """Return the bytes of a file that holds a frame.

    Zstandard at level 1 halves what LZ4 and Snappy leave, in about their time. Least and greatest values are left out:
    a file is one day or one month already, and they cost a seventh of the writing.
    """
    buffer = io.BytesIO()
    match format_:
        case "parquet":
            frame.write_parquet(
                buffer, compression="zstd", compression_level=1, row_group_size=_ROWS, statistics=_STATISTICS
            )
        case "jsonl":
            frame.write_ndjson(buffer)
        case "csv":
            frame.write_csv(buffer)
    return buffer.getvalue()


def as_lines(records: pl.Series) -> bytes:
    """Return the bytes of a file of JSON lines, given as texts."""
    text: bytes = pl.select((records + "\n").str.join("").cast(pl.Binary)).item()
    return text
