"""A capture as JSON lines in Zstandard frames.

In: frames of records. Out: ``FILE.jsonl.zst.partial``, to which whole frames are added, then ``FILE.jsonl.zst``.
What a crash leaves is whole up to the last frame, which is cut off.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Final

import polars as pl
import zstandard

from schemas.errors import BadInputError
from services.capture.durable import partial_of, take_name

_READ_BYTES: Final = 1 << 19


class JsonlFile:
    """Writes a capture."""

    def __init__(self, path: Path) -> None:
        self._path, self._partial = path, partial_of(path)
        self._packer = zstandard.ZstdCompressor(level=1, write_checksum=True)

    @staticmethod
    def create(partial: Path) -> None:
        """Make what a capture is written to."""
        partial.touch(exist_ok=False)

    def append(self, frame: pl.DataFrame) -> None:
        """Keep records for good: when it returns they are on the disk."""
        packed = self._packer.compress(lines_of(frame))
        with self._partial.open("ab") as file:
            end = file.tell()
            try:
                file.write(packed)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                os.truncate(self._partial, end)  # what came after half a frame could not be read
                raise

    def finish(self) -> int:
        """Cut off what is no whole frame, give the file its final name, and return how many records it has."""
        if self._path.exists():
            found = f"{self._path} exists, and is not what {self._partial} was to become"
            raise BadInputError("record", found, "move one of them away")
        end, rows = whole_frames(self._partial)
        os.truncate(self._partial, end)
        if end == 0:
            self.append(pl.DataFrame(schema={"offset": pl.Int64}))  # an empty frame: an empty file is no Zstandard file
        take_name(self._partial, self._path)
        return rows


def lines_of(frame: pl.DataFrame) -> bytes:
    """Return records as JSON, one a line; `producers.load.sources.captures` says how."""
    if frame.is_empty():
        return b""
    header = pl.element().struct.with_fields(pl.field("value").bin.encode("base64"))
    text = frame.with_columns(pl.col("key", "value").bin.encode("base64"), headers=pl.col("headers").list.eval(header))
    buffer = io.BytesIO()
    text.write_ndjson(buffer)
    return buffer.getvalue()


def whole_frames(path: Path) -> tuple[int, int]:
    """Return where the last whole frame of a file ends, and how many lines the frames have."""
    end = at = rows = lines = 0
    unpacking = zstandard.ZstdDecompressor().decompressobj()
    with path.open("rb") as file:
        while packed := file.read(_READ_BYTES):
            while packed:
                try:
                    lines += unpacking.decompress(packed).count(b"\n")
                except zstandard.ZstdError:
                    return end, rows  # a crash of the machine may leave anything behind what was synced
                at += len(packed) - len(unpacking.unused_data)
                packed = unpacking.unused_data
                if unpacking.eof:
                    end, rows, lines = at, rows + lines, 0
                    unpacking = zstandard.ZstdDecompressor().decompressobj()
    return end, rows
