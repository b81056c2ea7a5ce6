"""Anyone's Parquet, CSV and JSONL files as records.

In: a file and a mapping of its columns. Out: frames as in `producers.load.frames.RECORDS`; the offset of a record is
the number of its row, from 0. Where the mapping names no time, timestamps are 0, and cannot set a pace.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec
import polars as pl

from producers.load.frames import CREATE_TIME, RECORDS
from producers.load.sources.mapping import Mapping
from producers.load.sources.rows import Rows, TableRows, csv_rows, json_rows, parquet_rows
from producers.load.sources.times import allowed, epoch_ms
from schemas.errors import BadInputError

Format = Literal["parquet", "csv", "jsonl"]
_HEADER: Final = pl.Struct([pl.Field("name", pl.String), pl.Field("value", pl.Binary)])


def table_source(path: Path, format_: Format, mapping: Mapping) -> Iterator[pl.DataFrame]:
    """Yield the records of a file, in its order.

    Raises:
        BadInputError: names the file, the row, the column and the value that cannot be read.
    """
    for rows in _rows(path, format_, mapping):
        yield _Reading(path, mapping, rows).records()


def _rows(path: Path, format_: Format, mapping: Mapping) -> Iterator[Rows]:
    if mapping.types and format_ != "csv":
        raise BadInputError("mapping", f"types, and {path} is {format_}", "leave them out: only CSV has no types")
    match format_:
        case "parquet":
            return parquet_rows(path)
        case "csv":
            return csv_rows(path, mapping.types)
        case "jsonl":
            return json_rows(path)


class _Reading:
    """Makes records of some rows of a file."""

    def __init__(self, path: Path, mapping: Mapping, rows: Rows) -> None:
        self._path, self._mapping, self._rows = path, mapping, rows
        self._count = len(rows.numbers)
        names = rows.names()
        unknown = [] if names is None else [column for column in mapping.columns() if column not in names]
        if unknown:
            raise BadInputError(
                "source", f"{path}: no column {unknown[0]!r}", f"its columns are {', '.join(names or ())}"
            )

    def records(self) -> pl.DataFrame:
        mapping = self._mapping
        columns = {
            "topic": self._nulls(pl.String) if mapping.topic is None else self._texts(mapping.topic),
            "partition": self._partitions(),
            "offset": self._rows.numbers - 1,
            "timestamp": self._timestamps(),
            "timestamp_type": pl.repeat(CREATE_TIME, self._count, dtype=pl.UInt8, eager=True),
            "key": self._nulls(pl.Binary) if mapping.key is None else self._bytes(mapping.key),
            "value": self._values(),
            "headers": self._headers(),
        }
        return pl.DataFrame(columns, schema=RECORDS)

    def _timestamps(self) -> pl.Series:
        time = self._mapping.time
        if time is None:
            return pl.repeat(0, self._count, dtype=pl.Int64, eager=True)
        values = self._rows.values(time.column)
        times = epoch_ms(values, time)
        self._refuse(times.is_null(), time.column, values, allowed(time))
        return times

    def _partitions(self) -> pl.Series:
        column = self._mapping.partition
        if column is None:
            return self._nulls(pl.Int32)
        values = self._rows.values(column)
        numbers = values.cast(pl.Int32, strict=False)
        wrong = values.is_not_null() & ((numbers < 0) | numbers.is_null())
        self._refuse(wrong, column, values, "give a number of a partition, from 0 on")
        return numbers

    def _values(self) -> pl.Series:
        mapping = self._mapping
        if isinstance(mapping.value, str):
            self._refuse_missing(mapping.value)
            return self._bytes(mapping.value)
        if mapping.value is None:
            self._refuse_binary(self._rows.names() or ())
            return self._rows.whole().cast(pl.Binary)
        chosen = mapping.value_columns()
        self._refuse_binary(chosen.values())
        parts: list[pl.Series | pl.Expr] = []
        for name, column in chosen.items():
            self._refuse_missing(column)
            parts += [pl.lit(f"{',' if parts else '{'}{_quoted(name)}:"), self._rows.json(column)]
        if not parts:
            return pl.repeat(b"{}", self._count, dtype=pl.Binary, eager=True)
        return pl.select(pl.concat_str([*parts, pl.lit("}")])).to_series().cast(pl.Binary)

    def _headers(self) -> pl.Series:
        names = self._mapping.headers
        if not names:
            return pl.repeat([], self._count, dtype=RECORDS["headers"], eager=True)
        values = {name: self._bytes(column) for name, column in names.items()}
        frame = pl.DataFrame(values)
        one_each = [
            pl.when(pl.col(name).is_not_null()).then(
                pl.struct(pl.lit(name).alias("name"), pl.col(name).alias("value")).cast(_HEADER)
            )
            for name in names
        ]
        return frame.select(pl.concat_list(one_each).list.drop_nulls().cast(RECORDS["headers"])).to_series()

    def _texts(self, column: str) -> pl.Series:
        return self._rows.values(column).cast(pl.String)

    def _bytes(self, column: str) -> pl.Series:
        """Return a column as bytes: binary as it is, text as UTF-8, numbers as they are written."""
        values = self._rows.values(column)
        if values.dtype == pl.Binary:
            return values
        if values.dtype.is_nested():
            return self._rows.json(column).cast(pl.Binary)
        return values.cast(pl.String).cast(pl.Binary)

    def _nulls(self, kind: type[pl.DataType]) -> pl.Series:
        return pl.repeat(None, self._count, dtype=kind(), eager=True)

    def _refuse_missing(self, column: str) -> None:
        missing = self._rows.missing(column).arg_true()
        if len(missing):
            found = f"{self._path}: row {self._rows.numbers[missing[0]]} has no {column!r}"
            raise BadInputError("source", found, "give each row one, or map another column")

    def _refuse(self, wrong: pl.Series, column: str, values: pl.Series, fix: str) -> None:
        places = wrong.arg_true()
        if len(places):
            found = f"{self._path}: row {self._rows.numbers[places[0]]}: column {column!r}"
            raise BadInputError("source", f"{found} = {values[places[0]]!r}", fix)

    def _refuse_binary(self, columns: Iterable[str]) -> None:
        """Refuse what JSON has no form for."""
        if not isinstance(self._rows, TableRows):
            return
        for name, kind in self._rows.frame.select(list(columns)).schema.items():
            if "Binary" in str(kind):
                fix = "take it as the value by itself (--value-column), or map other columns"
                raise BadInputError("source", f"{self._path}: column {name!r} is binary, which JSON cannot hold", fix)


def _quoted(name: str) -> str:
    return msgspec.json.encode(name).decode()
