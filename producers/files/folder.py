"""A folder that is there as a whole or not at all.

In: where it shall be. Out: a hidden folder beside it to write in, which takes its place at the end.
What a killed process leaves behind has its name with ``.partial-`` in it, and goes when the folder is next made.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from producers.files.formats import Part
from schemas.errors import BadInputError

MANIFEST = "manifest.json"
"""The file by which a folder is known as ours."""


@dataclass(frozen=True)
class StoredFile:
    """A file as the manifest names it."""

    path: str
    """Within the folder."""
    table: str
    rows: int
    bytes: int
    sha256: str


@contextmanager
def new_folder(target: Path, *, force: bool) -> Iterator[Path]:
    """Give a folder to write in; it becomes ``target`` if all goes well, and else disappears.

    Args:
        target: where the folder shall be.
        force: whether it may replace a run that is there.

    Raises:
        BadInputError: if there is something already, or the folder cannot be written.
    """
    target = Path(os.path.abspath(target))  # noqa: PTH100 - resolve() would write where a link points to
    _check_free(target, force=force)
    with _stage("--out", target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(target)
        partial = Path(tempfile.mkdtemp(prefix=_prefix(target), dir=target.parent))
    try:
        with _held(partial):
            yield partial
            partial.chmod(0o777 & ~_umask())
            _check_free(target, force=force)
            with _stage("--out", target):
                _take_place(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def store(folder: Path, part: Part) -> StoredFile:
    """Write a file.

    Raises:
        BadInputError: if that is impossible, such as on a full disk.
    """
    path = folder / part.name
    with _stage("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(part.content)
    digest = hashlib.sha256(part.content).hexdigest()
    return StoredFile(part.name, part.table, part.rows, len(part.content), digest)


@contextmanager
def _stage(stage: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        found = f"{error.filename or path}: {error.strerror or error}"
        raise BadInputError(stage, found, "make room or give another folder; nothing is left behind") from None


def _check_free(target: Path, *, force: bool) -> None:
    if not os.path.lexists(target):
        return
    if not force:
        raise BadInputError("--out", f"{target} exists", "give another folder, or --force to replace it")
    if target.is_symlink() or not (target / MANIFEST).is_file():
        raise BadInputError("--out", f"{target} is no run of Quetma", "--force replaces runs only: give another folder")


def _prefix(target: Path) -> str:
    return f".{target.name}.partial-"


def _remove_leftovers(target: Path) -> None:
    """Remove what killed processes left behind.

    Raises:
        BadInputError: if a living process is writing the same folder.
    """
    for left in target.parent.glob(f"{_prefix(target)}*"):
        try:
            with _held(left):
                shutil.rmtree(left, ignore_errors=True)
        except BlockingIOError:
            found = f"{target} is being written by another process"
            raise BadInputError("--out", found, "wait for it, or give another folder") from None


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold a lock on a folder, which ends with this process whatever happens."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lock)


def _take_place(partial: Path, target: Path) -> None:
    if not target.exists():
        partial.rename(target)
        return
    old = Path(tempfile.mkdtemp(prefix=_prefix(target), dir=target.parent))
    target.rename(old / target.name)
    partial.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
