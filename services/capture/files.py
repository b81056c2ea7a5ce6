"""Where a capture goes: a name that is free, a file of the kind that its name says, and what a crash left of one.

In: a path. Out: something to append records to, and to finish.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from producers.load.sources.captures import JSONL, PARQUET, PARTIAL, SUFFIXES
from schemas.errors import BadInputError
from services.capture.durable import held, partial_of, sync, writing
from services.capture.jsonl_file import JsonlFile
from services.capture.parquet_file import ParquetFile


class Capture:
    """A capture that is being made."""

    def __init__(self, path: Path, file: ParquetFile | JsonlFile) -> None:
        self._path, self._file = path, file

    def append(self, frame: pl.DataFrame) -> None:
        """Keep records for good: when it returns they are on the disk."""
        with writing(self._path):
            self._file.append(frame)

    def discard(self) -> None:
        """Leave nothing behind: for what has no record yet."""
        partial = partial_of(self._path)
        with writing(self._path):
            shutil.rmtree(partial) if partial.is_dir() else partial.unlink()

    def finish(self) -> int:
        """Give the whole its final name, and return how many records it has."""
        with writing(self._path):
            return self._file.finish()


_KINDS: dict[str, type[ParquetFile | JsonlFile]] = {PARQUET: ParquetFile, JSONL: JsonlFile}


def check_free(path: Path) -> None:
    """See that a capture can be made here.

    Raises:
        BadInputError: if the name is of no kind that is known, or is taken, or a crash has left something of it.
    """
    _kind(path)
    partial = partial_of(path)
    if os.path.lexists(path):
        raise BadInputError("--out", f"{path} exists", "give another file, or move it away: nothing is overwritten")
    if os.path.lexists(partial):
        fix = f"if nothing writes it any more, `quetma record --finish {path}` makes a capture of it; or delete it"
        raise BadInputError("--out", f"{partial} is there: a capture that is not finished", fix)
    if not path.absolute().parent.is_dir():
        raise BadInputError("--out", f"{path.parent} is no folder", "make it first, or give another file")


@contextmanager
def new_capture(path: Path) -> Iterator[Capture]:
    """Give a capture to write; whoever has it calls `finish`, else what is there can be finished later.

    Raises:
        BadInputError: as `check_free`, and if the file cannot be written.
    """
    check_free(path)
    path = path.absolute()
    kind, partial = _kind(path), partial_of(path)
    with writing(path):
        kind.create(partial)
        sync(partial.parent)
    with held(partial):
        yield Capture(path, kind(path))


def finish_capture(path: Path) -> int:
    """Make a capture of what a crash left, and return how many records it has.

    Args:
        path: the capture's name, or that of what is left.

    Raises:
        BadInputError: if nothing is left, another process is writing it, or it cannot be written.
    """
    path = path.absolute()
    path = path.with_name(path.name.removesuffix(PARTIAL))
    kind, partial = _kind(path), partial_of(path)
    if not partial.exists():
        found = f"{path} is whole" if path.exists() else f"there is neither {path} nor {partial.name}"
        raise BadInputError("--finish", found, "give a capture that was interrupted")
    with held(partial):
        return Capture(path, kind(path)).finish()


def _kind(path: Path) -> type[ParquetFile | JsonlFile]:
    for suffix, kind in _KINDS.items():
        if path.name.endswith(suffix) and path.name != suffix:
            return kind
    raise BadInputError("--out", f"{path} is of no known kind", f"let its name end in {' or '.join(SUFFIXES)}")
