"""Rows of Parquet, CSV and JSONL files, some thousand at a time: files may be larger than memory.

In: a path. Out: `Rows`, which tell their columns as they are, and as JSON. CSV and JSONL may be compressed (gzip,
zstd), and are UTF-8.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
import polars as pl
from polars.exceptions import PolarsError

from producers.load.sources.mapping import Type
from schemas.errors import BadInputError

BATCH: Final = 8192
"""Rows of a frame."""
_TYPES: Final[dict[Type, Any]] = {"int": pl.Int64, "float": pl.Float64, "bool": pl.Boolean, "text": pl.String}
_TRUTH: Final = {"true": True, "false": False}

_MARK: Final = "\ufeff"
"""What some programs, Excel among them, write before the first line."""

_decode_row = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode


class Rows(Protocol):
    """Rows that follow each other. Columns have shape (n,)."""

    @property
    def numbers(self) -> pl.Series:
        """Of each row, from 1 on, Int64: what errors call it."""

    def names(self) -> Collection[str] | None:
        """Return the names of the columns; None where each row has its own."""

    def values(self, column: str) -> pl.Series:
        """Return a column: of its type where the file has types, else texts. Null where there is none."""

    def missing(self, column: str) -> pl.Series:
        """Return in which rows a column is missing, as opposed to empty or null."""

    def json(self, column: str) -> pl.Series:
        """Return a column as JSON, shape (n,); ``null`` where there is none."""

    def whole(self) -> pl.Series:
        """Return the rows as JSON objects."""


@dataclass(frozen=True)
class TableRows:
    """Rows of a file with a header: they all have the same columns."""

    numbers: pl.Series
    frame: pl.DataFrame

    def names(self) -> Collection[str]:
        """Return those of the header."""
        return self.frame.columns

    def values(self, column: str) -> pl.Series:
        """Return a column as it is."""
        return self.frame[column]

    def missing(self, column: str) -> pl.Series:
        """Every row has all columns."""
        return pl.repeat(value=False, n=len(self.frame), eager=True, dtype=pl.Boolean)

    def json(self, column: str) -> pl.Series:
        """Encode one column."""
        encoded = _objects(self.frame.select(pl.col(column).alias("")))
        return encoded.str.strip_prefix('{"":').str.strip_suffix("}")

    def whole(self) -> pl.Series:
        """Encode all columns."""
        return _objects(self.frame)


@dataclass(frozen=True)
class JsonRows:
    """Rows that are JSON objects, each with the fields that it happens to have."""

    numbers: pl.Series
    lines: pl.Series
    fields: list[dict[str, msgspec.Raw]]

    def names(self) -> None:
        """Each row has its own."""
        return

    def values(self, column: str) -> pl.Series:
        """Return a field: text as it is, all else as its JSON."""
        return pl.Series([_plain(row.get(column)) for row in self.fields], dtype=pl.String)

    def missing(self, column: str) -> pl.Series:
        """Return where there is no such field."""
        return pl.Series([column not in row for row in self.fields], dtype=pl.Boolean)

    def json(self, column: str) -> pl.Series:
        """Return a field's very text."""
        texts = [bytes(row[column]).decode() if column in row else "null" for row in self.fields]
        return pl.Series(texts, dtype=pl.String)

    def whole(self) -> pl.Series:
        """Return the lines, byte for byte."""
        return self.lines


def _plain(raw: msgspec.Raw | None) -> str | None:
    if raw is None:
        return None
    text = bytes(raw)
    if text.startswith(b'"'):
        return _decode_text(text)
    return None if text == b"null" else text.decode()


def _objects(frame: pl.DataFrame) -> pl.Series:
    """Return rows as JSON; times as ISO 8601."""
    written = [
        pl.col(name).dt.to_string("iso:strict") if kind in (pl.Datetime, pl.Date, pl.Time) else pl.col(name)
        for name, kind in frame.schema.items()
    ]
    return frame.select(pl.struct(written).struct.json_encode()).to_series()


def parquet_rows(path: Path) -> Iterator[TableRows]:
    """Yield the rows of a Parquet file.

    Raises:
        BadInputError: if it is none, or broken.
    """
    number = 1
    try:
        for frame in pl.scan_parquet(path, glob=False).collect_batches(chunk_size=BATCH, lazy=True):
            yield TableRows(_numbers(number, len(frame)), frame)
            number += len(frame)
    except (PolarsError, OSError) as error:
        raise _unreadable(path, number, error, "give a whole Parquet file") from None


def csv_rows(path: Path, types: dict[str, Type]) -> Iterator[TableRows]:
    """Yield the rows of a CSV file that begins with a header, parted by commas.

    Args:
        path: of the file.
        types: what columns are; all others are text.

    Raises:
        BadInputError: if a row has more or fewer fields than the header, or a value is not of its type.
    """
    reader = csv.reader((f"{line}\n" for line in _lines(path)), strict=True)
    number = 1
    try:
        header = next(reader, [])
        if not header or len(set(header)) < len(header):
            found = f"the header is {header}"
            raise BadInputError("source", f"{path}: {found}", "give a first row that names each column once")
        while rows := list(islice(reader, BATCH)):
            for place, row in enumerate(rows):
                if len(row) != len(header):
                    found = f"row {number + place} has {len(row)} fields, the header has {len(header)}"
                    raise BadInputError("source", f"{path}: {found}", "give each row as many")
            texts = dict(zip(header, (list(column) for column in zip(*rows, strict=True)), strict=True))
            columns = {
                name: _typed(pl.Series(name, column, dtype=pl.String), types.get(name, "text"), path, number)
                for name, column in texts.items()
            }
            yield TableRows(_numbers(number, len(rows)), pl.DataFrame(columns))
            number += len(rows)
    except csv.Error as error:
        found = f"line {reader.line_num}: {error}"
        raise BadInputError("source", f"{path}: {found}", "give CSV as RFC 4180 has it") from None


def _typed(texts: pl.Series, kind: Type, path: Path, first: int) -> pl.Series:
    """Return a column as what it is; empty numbers and truths are null."""
    if kind == "text":
        return texts
    texts = texts.set(texts == "", None)
    if kind == "bool":
        values = texts.str.to_lowercase().replace_strict(_TRUTH, default=None, return_dtype=pl.Boolean)
    else:
        values = texts.cast(_TYPES[kind], strict=False)
    wrong = (values.is_null() & texts.is_not_null()).arg_true()
    if len(wrong):
        found = f"{path}: row {first + wrong[0]}: column {texts.name!r} = {texts[wrong[0]]!r}"
        raise BadInputError("source", found, f"it is said to be {kind}; give such a value, or map another type")
    return values


def json_rows(path: Path) -> Iterator[JsonRows]:
    """Yield the rows of a JSONL file; empty lines are passed over, and count in the numbers.

    Raises:
        BadInputError: if a line is no JSON object.
    """
    lines = _lines(path)
    number = 1
    while batch := list(islice(lines, BATCH)):
        kept = [(number + place, line) for place, line in enumerate(batch) if line.strip()]
        fields = [_fields(path, place, line) for place, line in kept]
        numbers = pl.Series([place for place, _ in kept], dtype=pl.Int64)
        if kept:
            yield JsonRows(numbers, pl.Series([line for _, line in kept], dtype=pl.String), fields)
        number += len(batch)


def _fields(path: Path, number: int, line: str) -> dict[str, msgspec.Raw]:
    try:
        return _decode_row(line)
    except msgspec.MsgspecError as error:
        raise BadInputError("source", f"{path}: row {number}: {error}", "give one JSON object a line") from None


def _lines(path: Path) -> Iterator[str]:
    number = 1
    try:
        for frame in pl.scan_lines(path, glob=False).collect_batches(chunk_size=BATCH, lazy=True):
            lines = frame.to_series().to_list()
            if number == 1:
                lines[0] = lines[0].removeprefix(_MARK)
            yield from lines
            number += len(frame)
    except (PolarsError, OSError) as error:
        raise _unreadable(path, number, error, "give UTF-8, as it is or compressed by gzip or zstd") from None


def _numbers(first: int, count: int) -> pl.Series:
    return pl.int_range(first, first + count, dtype=pl.Int64, eager=True)


def _unreadable(path: Path, number: int, error: Exception, fix: str) -> BadInputError:
    """Return an error of a file that cannot be read on; up to a batch of rows before it may be right."""
    found = str(error).partition("\n")[0]
    return BadInputError("source", f"{path}: at row {number} or behind it: {found}", fix)
