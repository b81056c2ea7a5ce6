"""Captures of `quetma record`, read back: Parquet, or JSON lines in Zstandard frames.

In: a file, which may be larger than memory. Out: frames as in `producers.load.frames.RECORDS`, in the file's order.
A line is ``{"topic": …, "partition": 0, "offset": 0, "timestamp": 0, "timestamp_type": 0, "key": …, "value": …,
"headers": [{"name": …, "value": …}]}``, with keys and values in Base64, or null.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
import polars as pl
import zstandard

from producers.load.frames import RECORDS
from producers.load.header_lists import header_lists
from producers.load.sources.threads import check_wanted
from schemas.errors import BadInputError

PARQUET, JSONL = ".parquet", ".jsonl.zst"
SUFFIXES: Final = (PARQUET, JSONL)
PARTIAL: Final = ".partial"
"""Behind the name of a capture that is being made, or that a crash has left."""
FORMAT_KEY: Final = "quetma.capture_format"
FORMAT: Final = "1"
"""In the metadata of a Parquet capture: the version of `RECORDS`."""
BYTES_KEY: Final = "quetma.capture_bytes"
"""The same: bytes of keys, values and headers."""
ROWS: Final = 8192
FRAME_BYTES: Final = 8 << 20
"""A frame of large records has fewer rows: several frames are in memory at once."""
_READ_BYTES: Final = 1 << 16
_WINDOW_BYTES: Final = 1 << 27
_NEEDED: Final = ("offset", "timestamp", "timestamp_type", "headers")
"""Columns that are never null."""
_FIX: Final = "give a capture of `quetma record`"


def capture_source(path: Path, rows: int = ROWS) -> Iterator[pl.DataFrame]:
    """Yield the records of a capture, so many at a time; nothing is opened before the first is asked for.

    Raises:
        BadInputError: if it is no capture, is not finished, or is damaged; it names file, row and column.
    """
    path = Path(path)
    check_finished(path)
    _check_there(path)
    if path.name.endswith(JSONL):
        yield from _frames_of_lines(path, rows)
    else:
        yield from _frames_of_parquet(path, rows)


def records_of_topic(path: Path, topic: str) -> Iterator[pl.DataFrame]:
    """Yield the records of a topic that has few of those in a capture; of what has none, as little as can be is read.

    Raises:
        BadInputError: as `capture_source`, but for what is wrong elsewhere.
    """
    if path.name.endswith(JSONL):
        yield from _few_of_lines(path, topic)
    else:
        found = pl.scan_parquet(path, glob=False).filter(pl.col("topic") == topic)
        yield found.select(list(RECORDS)).cast(RECORDS).collect(engine="streaming")


def check_finished(path: Path) -> None:
    """See that a path is not a capture of which a crash left a part.

    Raises:
        BadInputError: if it is; it says how it can be finished.
    """
    partial = path.with_name(path.name + PARTIAL)
    unfinished = path if path.name.endswith(PARTIAL) else partial
    if unfinished.exists() and (unfinished == path or not path.exists()):
        whole = path.name.removesuffix(PARTIAL)
        found = f"{unfinished} is a capture that is not finished"
        fix = f"if nothing writes it any more: quetma record --finish {path.with_name(whole)}"
        raise BadInputError("capture", found, fix)


def check_columns(path: Path) -> None:
    """See that the columns of a capture are of types that can be read; lines are looked at when they are read.

    Raises:
        BadInputError: if one is not.
    """
    if path.suffix == PARQUET:
        _casts(path, pl.Schema(pl.read_parquet_schema(path)))


def _check_there(path: Path) -> None:
    if not path.name.endswith(SUFFIXES):
        raise BadInputError("capture", f"{path} is no capture by its name", f"captures end in {' or '.join(SUFFIXES)}")
    if not path.is_file():
        raise BadInputError("capture", f"{path} {'is no file' if path.exists() else 'does not exist'}", _FIX)


# -- Parquet -------------------------------------------------------------------------------------------------


def _frames_of_parquet(path: Path, rows: int) -> Iterator[pl.DataFrame]:
    first = 0
    try:
        scanned = pl.scan_parquet(path, glob=False)
        casts = _casts(path, scanned.collect_schema())
        rows = min(rows, _rows_of_frames(path))
        read = scanned.select(list(RECORDS)).collect_batches(chunk_size=rows, lazy=True)
        for batch in read:
            for frame in batch.iter_slices(rows):
                yield _checked(path, _cast(path, frame, casts, first), first)
                first += frame.height
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise BadInputError("capture", f"{path}, behind row {first}: {reason}", _FIX) from None


def _rows_of_frames(path: Path) -> int:
    """Return how many records fill a frame, by what they have on average."""
    size = max(int(pl.read_parquet_metadata(path).get(BYTES_KEY, 0)), path.stat().st_size)
    records = int(pl.scan_parquet(path, glob=False).select(pl.len()).collect().item())
    return max(1, records * FRAME_BYTES // size)


def _casts(path: Path, found: pl.Schema) -> list[str]:
    """Return the columns whose whole numbers are of another width than ours.

    Raises:
        BadInputError: if a column is missing, or of another type.
    """
    casts = []
    for name, wanted in RECORDS.items():
        if name not in found:
            raise BadInputError("capture", f"{path} has no column {name!r} but {', '.join(found)}", _FIX)
        if found[name] == wanted:
            continue
        if not (found[name].is_integer() and wanted.is_integer()):
            raise BadInputError("capture", f"{path}, column {name!r} is {found[name]}", f"it must be {wanted}")
        casts.append(name)
    return casts


def _cast(path: Path, frame: pl.DataFrame, casts: list[str], first: int) -> pl.DataFrame:
    for name in casts:
        cast = frame[name].cast(RECORDS[name], strict=False)
        if len(wrong := (cast.is_null() & frame[name].is_not_null()).arg_true()):
            raise _wrong(path, first + wrong[0], name, frame[name][wrong[0]], f"it must be {RECORDS[name]}")
        frame = frame.with_columns(cast)
    return frame


def _checked(path: Path, frame: pl.DataFrame, first: int) -> pl.DataFrame:
    """Return a frame that has passed the checks that its schema is no check of."""
    for name in _NEEDED:
        if frame[name].null_count():
            row = int(frame[name].is_null().arg_true()[0])
            raise _wrong(path, first + row, name, None, "only topic, partition, key and value may be null")
    if (frame["timestamp_type"] > 1).any():
        row = int((frame["timestamp_type"] > 1).arg_true()[0])
        found = frame["timestamp_type"][row]
        raise _wrong(path, first + row, "timestamp_type", found, "0 is the sender's time, 1 the broker's")
    nameless = frame["headers"].list.eval(pl.element().struct.field("name").is_null()).list.any()
    if nameless.any():
        raise _wrong(path, first + int(nameless.arg_true()[0]), "headers", None, "a header has a name")
    return frame


def _wrong(path: Path, row: int, column: str, found: object, fix: str) -> BadInputError:
    what = "null" if found is None else repr(found)
    return BadInputError("capture", f"{path}, row {row + 1}, column {column!r}: {what}", fix)


# -- JSON lines ----------------------------------------------------------------------------------------------


class _Header(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    name: str
    value: bytes | None


_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Line(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    topic: str | None
    partition: Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)] | None
    offset: _Int64
    timestamp: _Int64
    timestamp_type: Literal[0, 1]
    key: bytes | None
    value: bytes | None
    headers: list[_Header]


_DECODER: Final = msgspec.json.Decoder(_Line)


def _frames_of_lines(path: Path, rows: int) -> Iterator[pl.DataFrame]:
    first, kept, size = 0, list[_Line](), 0
    with _readable(path, lambda: first + len(kept)):
        for block in _blocks(path):
            kept += _decoded(path, block, first + len(kept))
            size += len(block)
            while len(kept) >= rows or (kept and size >= FRAME_BYTES):
                yield _frame(kept[:rows])
                first, kept, size = first + len(kept[:rows]), kept[rows:], 0
    if kept:
        yield _frame(kept)


def _few_of_lines(path: Path, topic: str) -> Iterator[pl.DataFrame]:
    """Yield the lines of a topic; what cannot have any is not decoded, which is most of the work."""
    first, name = 0, msgspec.json.encode(topic)
    with _readable(path, lambda: first):
        for block in _blocks(path):
            check_wanted()
            lines = _decoded(path, block, first) if name in block else []
            first += block.count(b"\n")
            if found := [line for line in lines if line.topic == topic]:
                yield _frame(found)


@contextmanager
def _readable(path: Path, row: Callable[[], int]) -> Iterator[None]:
    """Say of what is damaged behind which row it is."""
    try:
        yield
    except (zstandard.ZstdError, EOFError, OSError) as error:
        raise BadInputError("capture", f"{path}, behind row {row()}: {error}", _FIX) from None


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield pieces of the file's text, each of whole lines."""
    rest = b""
    for piece in _decompressed(path):
        head, newline, tail = piece.rpartition(b"\n")
        if newline:
            yield rest + head + newline
            rest = tail
        else:
            rest += tail
    if rest:
        yield rest


def _decompressed(path: Path) -> Iterator[bytes]:
    """Yield what Zstandard frames hold, which may be many, of any program."""
    unpacking, inside = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES).decompressobj(), False
    with path.open("rb") as file:
        while packed := file.read(_READ_BYTES):
            while packed:
                yield unpacking.decompress(packed)
                packed, inside = unpacking.unused_data, not unpacking.eof
                if unpacking.eof:
                    unpacking = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES).decompressobj()
    if inside:
        raise EOFError("the file ends within a frame: it has been cut off")


def _decoded(path: Path, block: bytes, first: int) -> list[_Line]:
    try:
        return _DECODER.decode_lines(block)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return [_decoded_line(path, line, first + row) for row, line in enumerate(block.split(b"\n")) if line.strip()]


def _decoded_line(path: Path, line: bytes, row: int) -> _Line:
    try:
        return _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInputError("capture", f"{path}, row {row + 1}: {error}", _FIX) from None


def _frame(lines: Iterable[_Line]) -> pl.DataFrame:
    lines = list(lines)
    columns = [
        pl.Series(name, [getattr(line, name) for line in lines], dtype=type_)
        for name, type_ in RECORDS.items()
        if name != "headers"
    ]
    headers = [[(header.name, header.value) for header in line.headers] for line in lines]
    return pl.DataFrame([*columns, header_lists(headers)])
