"""Files that are there as a whole, and stay when the power goes.

In: paths. Out: names that are taken once what they name is on the disk.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from producers.load.sources.captures import PARTIAL
from schemas.errors import BadInputError


def partial_of(path: Path) -> Path:
    """Return where a capture is while it is made."""
    return path.with_name(path.name + PARTIAL)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def take_name(made: Path, path: Path) -> None:
    """Give a file that is whole its name, for good."""
    sync(made)
    made.rename(path)
    sync(path.parent)
    if made.parent != path.parent:
        sync(made.parent)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a lock on a file or folder, which ends with this process whatever happens.

    Raises:
        BadInputError: if another process holds it.
    """
    lock = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            found = f"{path} is being written by another process"
            raise BadInputError("record", found, "end that one with Ctrl-C: it finishes its file") from None
        yield
    finally:
        os.close(lock)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say of what the system refuses that it was this file, and what is left."""
    try:
        yield
    except OSError as error:
        found = f"{error.filename or path}: {error.strerror or error}"
        fix = f"make room, or give a folder that can be written; what {partial_of(path)} has can be had by --finish"
        raise BadInputError("record", found, fix) from None
