"""What `quetma replay` and `quetma load` read: a capture, a file of anyone's, a topic. Which one, its name tells.

In: what the user wrote. Out: `Opened`, which can be read from its beginning as often as is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

import msgspec
import polars as pl
from polars.exceptions import PolarsError

from producers.load.frames import RECORDS
from producers.load.sources.captures import (
    JSONL,
    PARTIAL,
    SUFFIXES,
    capture_source,
    check_columns,
    check_finished,
    records_of_topic,
)
from producers.load.sources.mapping import Mapping
from producers.load.sources.places import Places, time_text
from producers.load.sources.tables import Format, table_source
from producers.load.sources.topics import topic_ends, topic_source
from schemas.errors import BadInputError
from schemas.topics import CELLS

_FORMATS: Final[dict[str, Format]] = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_COMPRESSED: Final = (".gz", ".zst")
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_ALLOWED: Final = "give a .parquet, .csv, .jsonl or .ndjson file, the texts as they are or compressed (.gz, .zst)"


@dataclass(frozen=True)
class Opened:
    """A source that has been found."""

    places: Places
    kind: str
    """``capture``, a format, or ``topic``, for people."""
    frames: Callable[[], Iterator[pl.DataFrame]]
    """Reads it from its beginning, blocking; frames as in `producers.load.frames.RECORDS`."""
    timed: bool = True
    """Whether timestamps are there; else they are 0."""
    cells: Callable[[], pl.DataFrame] = field(default=RECORDS.to_frame)
    """The announcements of cells that are in it."""
    records: int | None = None
    """How many there are, where that is known without reading."""
    first_at: int | None = None
    """Smallest timestamp, UTC epoch milliseconds, where that is known without reading values."""
    last_at: int | None = None

    @property
    def name(self) -> str:
        """File or topic."""
        return self.places.name

    def description(self) -> str:
        """Return what is known of it, in words."""
        words = f"{self.name} ({self.kind})"
        if self.records is not None:
            words += f": {self.records:,} records"
        if self.first_at is not None and self.last_at is not None:
            words += f", {time_text(self.first_at)} to {time_text(self.last_at)}"
        return words


def open_source(name: str, *, servers: str | None = None, mapping: Mapping | None = None) -> Opened:
    """Find a source.

    Args:
        name: a path; a topic where ``servers`` is given.
        servers: the cluster of the topic.
        mapping: of the columns of a file that is no capture; None: the rows as JSON objects, without key and time.

    Raises:
        BadInputError: if there is no such file or topic, or it is none of those that can be read.
        UnreachableError: if the cluster does not answer.
    """
    if servers is not None:
        if mapping is not None:
            raise BadInputError("source", f"a mapping of columns for the topic {name}", "leave it out: it has none")
        return _topic(name, servers)
    path = Path(name)
    if name.endswith((*SUFFIXES, PARTIAL)):
        check_finished(path)
    if not path.is_file():
        raise BadInputError("source", f"{name}: no such file", f"{_ALLOWED}; or a topic with --from HOST:PORT")
    if is_capture(path):
        if mapping is not None:
            raise BadInputError("source", f"a mapping of columns for {name}", "leave it out: a capture needs none")
        return _capture(path)
    format_ = _format(path)
    chosen = mapping or Mapping()
    records = _parquet_facts(path)[0] if format_ == "parquet" else None
    return Opened(
        Places(name, in_topics=False),
        format_,
        lambda: table_source(path, format_, chosen),
        timed=chosen.time is not None,
        records=records,
    )


def is_capture(path: Path) -> bool:
    """Whether a file is one that `quetma record` made: it has the columns of records, all of them."""
    if path.suffix == ".parquet":
        try:
            return set(pl.read_parquet_schema(path)) >= set(RECORDS)
        except (PolarsError, OSError) as error:
            found = str(error).partition("\n")[0]
            raise BadInputError("source", f"{path}: {found}", "give a whole Parquet file") from None
    return path.name.endswith(JSONL) and _first_fields(path) >= set(RECORDS)


def _first_fields(path: Path) -> set[str]:
    """Return the fields of the first line of a compressed file; those of records if there is none, which is a capture
    of nothing."""
    try:
        lines = pl.read_lines(path, n_rows=1, glob=False)
        return set(_decode_fields(lines.item())) if len(lines) else set(RECORDS)
    except (PolarsError, OSError, ValueError, msgspec.MsgspecError):
        return set()  # what is wrong with it, reading says


def _format(path: Path) -> Format:
    suffix = Path(path.stem).suffix if path.suffix in _COMPRESSED else path.suffix
    if suffix not in _FORMATS or (suffix == ".parquet" and path.suffix != suffix):
        raise BadInputError("source", f"{path}: no format is known by this name", _ALLOWED)
    return _FORMATS[suffix]


def _capture(path: Path) -> Opened:
    check_columns(path)
    records, first_at, last_at = _parquet_facts(path) if path.suffix == ".parquet" else (None, None, None)
    return Opened(
        Places(str(path), in_topics=True),
        "capture",
        lambda: capture_source(path),
        cells=cache(lambda: _cells(path)),
        records=records,
        first_at=first_at,
        last_at=last_at,
    )


def _parquet_facts(path: Path) -> tuple[int, int | None, int | None]:
    """Return how many rows there are, and from when to when if they are records; values are not read."""
    table = pl.scan_parquet(path, glob=False)
    if "timestamp" not in table.collect_schema():
        return table.select(pl.len()).collect().item(), None, None
    at = pl.col("timestamp")
    facts: tuple[int, int | None, int | None] = (
        table.select(pl.len().alias("rows"), at.min().alias("first"), at.max().alias("last"))
        .collect(engine="streaming")
        .row(0)
    )
    return facts


def _cells(path: Path) -> pl.DataFrame:
    """Return the announcements of cells in a capture, which are few; all of it is looked through once for them."""
    return pl.concat([RECORDS.to_frame(), *records_of_topic(path, CELLS)])


def _topic(name: str, servers: str) -> Opened:
    ends = topic_ends(servers, name)
    return Opened(Places(servers, in_topics=True), "topic", lambda: topic_source(servers, ends), records=None)
