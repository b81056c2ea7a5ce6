"""Raw records in columns: how they are kept in a capture, and how they flow from a source to a target.

In: nothing. Out: the schema of a frame of records.
"""

from __future__ import annotations

from typing import Final

import polars as pl

CREATE_TIME, LOG_APPEND_TIME = 0, 1
"""Types of a record's timestamp, as Kafka numbers them: the sender's clock, or the broker's."""

HEADERS: Final = pl.List(pl.Struct([pl.Field("name", pl.String), pl.Field("value", pl.Binary)]))

RECORDS: Final = pl.Schema(
    [
        ("topic", pl.String()),
        ("partition", pl.Int32()),
        ("offset", pl.Int64()),
        ("timestamp", pl.Int64()),
        ("timestamp_type", pl.UInt8()),
        ("key", pl.Binary()),
        ("value", pl.Binary()),
        ("headers", HEADERS),
    ]
)
"""Columns of records. ``timestamp`` is in UTC epoch milliseconds; ``key``, ``value`` and a header's ``value`` may be
null, which Kafka tells apart from empty. ``topic``, ``partition`` and ``offset`` say where a record was found; a source
that was no topic has null, null, and the number of its row from 0."""
