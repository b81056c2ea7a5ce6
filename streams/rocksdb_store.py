"""Copies of changelog partitions in RocksDB, one database each under ``DATA_DIR/changelog-copy/PARTITION``.

In: what a changelog changes. Out: the table, and how far it is, after any crash as of one of the writes.
Needs the extra ``rocksdb``. A write is one batch of RocksDB's, whole or not at all; it is not forced to the disk, so
that after a crash of the machine a copy may be older, and no less right.
"""

from __future__ import annotations

import fcntl
import shutil
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from rocksdict import Options, Rdict, WriteBatch

from schemas.errors import BadInputError
from streams.changelog_copy import CopyUnfitError, Mark, decode_mark, encode_mark
from streams.copying_store import CopyingStore
from streams.state_store import Changelog

FOLDER: Final = "changelog-copy"
MARK_KEY: Final = b"\x00mark"
"""Where the mark is. Keys of the changelog begin with a digit, the partition's."""
WRITE_BUFFER_BYTES: Final = 16 << 20
"""Memory that a database fills before it writes a file; RocksDB's default of 64 MiB is for more than our few writes."""


class RocksDBCopy:
    """Implements `streams.copying_store.Copy`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: Rdict | None = None
        self._one_call = threading.Lock()
        """A call whose caller was cancelled goes on in its thread; the next one waits for it."""

    def open(self) -> Mark | None:
        """Open or create it; return how far it is, None if it is empty.

        Raises:
            BadInputError: if another process has it.
            CopyUnfitError: if it is corrupt, cannot be reached, or another version has written it.
        """
        with self._one_call, self._failures():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._db = Rdict(str(self._path), _options())
            stored = self._db.get(MARK_KEY)
        return None if stored is None else decode_mark(stored)

    def load(self) -> dict[bytes, bytes]:
        """Return all keys and values."""
        with self._one_call, self._failures():
            table = _all_of(self._opened())
        table.pop(MARK_KEY, None)
        return table

    def write(self, changes: Mapping[bytes, bytes | None], mark: Mark) -> None:
        """Write changes and mark in one batch."""
        batch = WriteBatch(raw_mode=True)
        for key, value in changes.items():
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        batch.put(MARK_KEY, encode_mark(mark))
        with self._one_call, self._failures():
            self._opened().write(batch)

    def close(self) -> None:
        """Close it."""
        with self._one_call:
            self._close()

    def delete(self) -> None:
        """Close it and delete its folder."""
        with self._one_call, self._failures():
            self._close()
            if self._path.is_dir():
                shutil.rmtree(self._path)
            else:
                self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def _opened(self) -> Rdict:
        if self._db is None:
            raise CopyUnfitError("it was closed meanwhile")
        return self._db

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Tell what RocksDB and the disk say in our words; RocksDB's errors have no class of their own."""
        try:
            yield
        except (CopyUnfitError, BadInputError):
            raise
        except Exception as error:
            if f"{self._path}/LOCK: " in str(error):
                raise _in_use(self._path) from error
            raise CopyUnfitError(str(error)) from error


def _all_of(db: Rdict) -> dict[bytes, bytes]:
    # Not Rdict.items(): that ends at a corrupt block as it does at the last key, and says nothing.
    table, entries = dict[bytes, bytes](), db.iter()
    try:
        entries.seek_to_first()
        while entries.valid():
            table[entries.key()] = entries.value()
            entries.next()
        entries.status()
    finally:
        del db, entries  # they keep the database locked for as long as an error's traceback has them
    return table


def rocksdb_store(changelog: Changelog, data_dir: Path) -> CopyingStore:
    """Return a store that keeps its copies in a folder.

    Raises:
        BadInputError: if the folder cannot be used, or another process uses it.
    """
    folder = data_dir.absolute() / FOLDER
    in_use = _take(folder)

    def copy_of(partition: int) -> RocksDBCopy:
        assert not in_use.closed, "held for as long as the store is"
        return RocksDBCopy(folder / str(partition))

    return CopyingStore(changelog, copy_of, lambda: time.time_ns() // 1_000_000, lambda: str(uuid.uuid4()))


def _take(folder: Path) -> IO[bytes]:
    """Lock a folder until the returned file is closed.

    RocksDB locks each database; two workers with different partitions would only meet there when one is moved.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "in-use").open("wb")
    except OSError as error:
        fix = "set QUETMA_STREAM__DATA_DIR to a folder that this user can write to"
        raise BadInputError("stream", f"{folder} cannot be used: {error.strerror}", fix) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise _in_use(folder) from None
    return lock


def _in_use(path: Path) -> BadInputError:
    fix = "end it, or give each worker a QUETMA_STREAM__DATA_DIR of its own"
    return BadInputError("stream", f"{path} is in use by another process", fix)


def _options() -> Options:
    options = Options(raw_mode=True)
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    options.set_keep_log_file_num(2)
    return options
