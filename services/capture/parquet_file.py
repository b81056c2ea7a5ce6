"""A capture as Parquet: small files in a folder while it is made, one file when it is done.

In: frames of records. Out: ``FILE.parquet.partial/`` with files that are each whole, then ``FILE.parquet``.
A Parquet file has its footer at the end, so nothing can be added to one that is whole. So each flush is a file of its
own; now and then those since the last time are laid together into one, and at the end all are, as a stream.
"""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import Any, Final

import polars as pl

from producers.load.frames import RECORDS
from producers.load.sources.captures import BYTES_KEY, FORMAT, FORMAT_KEY
from schemas.errors import BadInputError
from services.capture.durable import partial_of, sync, take_name
from services.capture.sizes import size_of

GROUP_BYTES: Final = 16 << 20
"""Bytes of records that a row group has, more or less: what a reader must hold at once."""
GROUP_ROWS: Final = 1 << 16
"""Records of a row group at most."""
_MANY_FILES: Final = 60
_ID: Final = "quetma.capture_id"


class ParquetFile:
    """Writes a capture."""

    def __init__(self, path: Path) -> None:
        self._path, self._folder = path, partial_of(path)
        self._id = uuid.uuid4().hex
        self._recent: list[pl.DataFrame] = []
        self._recent_names: list[Path] = []
        self._recent_bytes = 0
        self._next = 0

    @staticmethod
    def create(partial: Path) -> None:
        """Make what a capture is written to."""
        partial.mkdir()

    def append(self, frame: pl.DataFrame) -> None:
        """Keep records for good: when it returns they are on the disk."""
        name = self._folder / f"{self._next:09}-{self._next:09}.parquet"
        self._next += 1
        self._write(frame, name)
        self._recent.append(frame)
        self._recent_names.append(name)
        self._recent_bytes += size_of(frame)
        if self._recent_bytes >= GROUP_BYTES or len(self._recent) >= _MANY_FILES:
            self._lay_together()

    def _lay_together(self) -> None:
        """Replace the files since the last time by one: a day of seconds would be 86 400 files."""
        names, frames = self._recent_names, self._recent
        self._recent, self._recent_names, self._recent_bytes = [], [], 0
        if len(names) == 1:
            return
        first, last = _numbers(names[0])[0], _numbers(names[-1])[1]
        self._write(pl.concat(frames), self._folder / f"{first:09}-{last:09}.parquet")
        for name in names:
            name.unlink()

    def _write(self, frame: pl.DataFrame, name: Path) -> None:
        made = name.with_suffix(".tmp")
        frame.write_parquet(made, **self._format(frame.height, size_of(frame)))
        take_name(made, name)

    def _format(self, rows: int, size: int) -> dict[str, Any]:
        """Return how a file of so many records and bytes is written."""
        return {
            "compression": "zstd",
            "compression_level": 1,
            "statistics": {"min": False, "max": False, "distinct_count": False, "null_count": True},
            "row_group_size": max(1, min(GROUP_ROWS, rows * GROUP_BYTES // max(size, 1))),
            "metadata": {FORMAT_KEY: FORMAT, _ID: self._id, BYTES_KEY: str(size)},
        }

    def finish(self) -> int:
        """Make one file of all, under the final name, and return how many records it has."""
        files = whole_files(self._folder)
        self._id = str(_metadata(files[0])[_ID]) if files else self._id
        if not self._path.exists():
            self._merge(files)
        elif files:  # else a crash came while the folder was being removed
            self._check_same()
        shutil.rmtree(self._folder)
        sync(self._path.parent)
        return _rows([self._path])

    def _merge(self, files: list[Path]) -> None:
        rows, size = _rows(files), sum(int(_metadata(file)[BYTES_KEY]) for file in files)
        made, records = self._folder / "whole.tmp", _scan(files) if files else pl.LazyFrame(schema=RECORDS)
        records.sink_parquet(made, **self._format(rows, size))
        take_name(made, self._path)

    def _check_same(self) -> None:
        """See that the file of the final name is ours: a crash came between the name and the tidying up."""
        try:
            same = _metadata(self._path).get(_ID) == self._id
        except (pl.exceptions.PolarsError, OSError):
            same = False
        if not same:
            found = f"{self._path} exists, and is not what {self._folder} was to become"
            raise BadInputError("record", found, "move one of them away")


def whole_files(folder: Path) -> list[Path]:
    """Return the files that make up a capture, in order; those that a larger one has replaced are left out."""
    found = sorted(folder.glob("*-*.parquet"), key=lambda name: (_numbers(name)[0], -_numbers(name)[1]))
    files: list[Path] = []
    for name in found:
        if not files or _numbers(name)[1] > _numbers(files[-1])[1]:
            files.append(name)
    return files


def _numbers(name: Path) -> tuple[int, int]:
    """Return the first and the last flush that a file has the records of."""
    first, _, last = name.stem.partition("-")
    return int(first), int(last)


def _scan(names: list[Path]) -> pl.LazyFrame:
    return pl.scan_parquet(names, schema=RECORDS, glob=False)


def _metadata(name: Path) -> dict[str, str]:
    return pl.read_parquet_metadata(name)


def _rows(names: list[Path]) -> int:
    return int(_scan(names).select(pl.len()).collect().item()) if names else 0
