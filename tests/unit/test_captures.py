"""Captures: written, read back, cut off, damaged."""

from __future__ import annotations

import json
from pathlib import Path
from random import randbytes

import polars as pl
import pytest
import zstandard
from polars.testing import assert_frame_equal

from producers.load.frames import LOG_APPEND_TIME, RECORDS
from producers.load.sources.captures import capture_source
from schemas.errors import BadInputError
from services.capture.durable import held, partial_of
from services.capture.files import check_free, finish_capture, new_capture
from services.capture.jsonl_file import lines_of
from services.capture.parquet_file import whole_files
from tests.raw_records import NASTY, Raw, frame_of_raw

NAMES = ["made.parquet", "made.jsonl.zst"]


@pytest.fixture(params=NAMES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / request.param


def read(path: Path, rows: int = 8192) -> pl.DataFrame:
    return pl.concat([RECORDS.to_frame(), *capture_source(path, rows)])


def written(path: Path, *frames: pl.DataFrame) -> Path:
    with new_capture(path) as capture:
        for frame in frames:
            capture.append(frame)
        assert capture.finish() == sum(frame.height for frame in frames)
    return path


def numbered(count: int, first: int = 0) -> pl.DataFrame:
    frame = frame_of_raw([Raw(b"%d" % number, b"x" * 10) for number in range(first, first + count)])
    return frame.with_columns(pl.col("offset") + first)


# -- whole ---------------------------------------------------------------------------------------------------


def test_nasty_records_come_back_as_they_were(path):
    frame = pl.concat([frame_of_raw(NASTY), frame_of_raw(NASTY, "u", 3, LOG_APPEND_TIME)])
    assert_frame_equal(read(written(path, frame)), frame)
    assert not partial_of(path).exists()


def test_topic_and_partition_may_be_null(path):
    frame = frame_of_raw(NASTY, topic=None, partition=None)
    assert_frame_equal(read(written(path, frame)), frame)


def test_a_capture_of_nothing_can_be_read(path):
    assert read(written(path)).is_empty()


def test_records_stay_in_order_over_many_flushes_and_frames_are_as_large_as_asked(path):
    frames = [numbered(7, 7 * number) for number in range(150)]
    written(path, *frames)
    assert_frame_equal(read(path), pl.concat(frames))
    sizes = [frame.height for frame in capture_source(path, rows=100)]
    assert max(sizes) <= 100
    assert sum(sizes) == 1050


def test_frames_of_large_records_have_fewer(path):
    large = frame_of_raw([Raw(b"%d" % number, randbytes(1 << 20)) for number in range(20)])
    written(path, large)
    frames = list(capture_source(path))
    assert_frame_equal(pl.concat(frames), large)
    assert max(frame.height for frame in frames) <= 8


def test_json_lines_are_what_the_page_says(tmp_path):
    path = written(tmp_path / "a.jsonl.zst", frame_of_raw([Raw(b"k", None, (("h", b"\xff"),), timestamp=5)], "t", 2))
    line = zstandard.ZstdDecompressor().stream_reader(path.read_bytes(), read_across_frames=True).read()
    assert json.loads(line) == {
        "topic": "t",
        "partition": 2,
        "offset": 0,
        "timestamp": 5,
        "timestamp_type": 0,
        "key": "aw==",
        "value": None,
        "headers": [{"name": "h", "value": "/w=="}],
    }


def test_a_capture_packed_by_another_program_in_one_frame_is_read(tmp_path):
    path, frame = tmp_path / "other.jsonl.zst", numbered(30_000)
    path.write_bytes(zstandard.ZstdCompressor(level=3).compress(lines_of(frame).removesuffix(b"\n")))
    assert_frame_equal(read(path), frame)


# -- names that are taken ------------------------------------------------------------------------------------


def test_nothing_is_overwritten(path):
    path.write_bytes(b"mine")
    with pytest.raises(BadInputError, match="exists"):
        check_free(path)
    assert path.read_bytes() == b"mine"


def test_what_a_crash_left_is_not_overwritten(path):
    with new_capture(path) as capture:
        capture.append(numbered(3))
    with pytest.raises(BadInputError, match="quetma record --finish"):
        check_free(path)


@pytest.mark.parametrize("name", ["a.csv", ".parquet", "a.parquet.partial", "no/folder/a.parquet"])
def test_other_names_are_refused(tmp_path, name):
    with pytest.raises(BadInputError, match="--out"):
        check_free(tmp_path / name)


def test_a_capture_that_is_being_written_cannot_be_finished(path):
    with new_capture(path) as capture:
        capture.append(numbered(3))
        with pytest.raises(BadInputError, match="written by another process"):
            finish_capture(path)
    assert finish_capture(path) == 3


def test_finishing_what_is_whole_or_not_there_says_so(path):
    with pytest.raises(BadInputError, match="there is neither"):
        finish_capture(path)
    written(path, numbered(1))
    with pytest.raises(BadInputError, match="is whole"):
        finish_capture(path)


def test_finishing_overwrites_nothing(path):
    with new_capture(path) as capture:
        capture.append(numbered(3))
    path.write_bytes(b"mine")
    with pytest.raises(BadInputError, match=r"exists, and is not what .* was to become"):
        finish_capture(path)
    assert path.read_bytes() == b"mine"
    path.unlink()
    assert finish_capture(path) == 3


def test_what_is_discarded_leaves_nothing(path):
    with new_capture(path) as capture:
        capture.discard()
    assert list(path.parent.iterdir()) == []


# -- crashes -------------------------------------------------------------------------------------------------


def test_what_was_left_is_finished_by_either_name(path):
    with new_capture(path) as capture:
        capture.append(numbered(5))
        capture.append(numbered(2, 5))
    with pytest.raises(BadInputError, match=r"not finished.*--finish"):
        next(capture_source(path))
    assert not path.exists()
    assert finish_capture(partial_of(path)) == 7
    assert_frame_equal(read(path), numbered(7))


@pytest.mark.parametrize("spoil", [lambda data: data[:-1], lambda data: data[:-9], lambda data: data + bytes(700)])
def test_half_a_frame_is_cut_off(tmp_path, spoil):
    path = tmp_path / "cut.jsonl.zst"
    with new_capture(path) as capture:
        capture.append(numbered(500))
        whole = partial_of(path).stat().st_size
        capture.append(numbered(500, 500))
    partial_of(path).write_bytes(spoil(partial_of(path).read_bytes()))
    kept = finish_capture(path)
    assert kept == (500 if path.stat().st_size == whole else 1000)
    assert_frame_equal(read(path), numbered(kept))


def test_every_length_of_a_cut_file_can_be_finished(tmp_path):
    path = tmp_path / "cut.jsonl.zst"
    with new_capture(path) as capture:
        for number in range(3):
            capture.append(numbered(2, 2 * number))
    data, found = partial_of(path).read_bytes(), set()
    for length in (*range(0, len(data), 4), len(data)):
        path.unlink(missing_ok=True)
        partial_of(path).write_bytes(data[:length])
        kept = finish_capture(path)
        assert_frame_equal(read(path), numbered(kept))
        found.add(kept)
    assert found == {0, 2, 4, 6}


def test_files_of_a_crash_while_they_were_laid_together_are_counted_once(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    unlink = Path.unlink
    with new_capture(path) as capture:
        for number in range(59):
            capture.append(numbered(1, number))
        names = whole_files(partial_of(path))
        left = names[::2]
        monkeypatch.setattr(Path, "unlink", lambda name: None if name in left else unlink(name))
        capture.append(numbered(1, 59))
        monkeypatch.undo()
        capture.append(numbered(1, 60))
    assert all(name.exists() for name in left)
    (partial_of(path) / "000000099-000000099.tmp").write_bytes(b"half")
    assert finish_capture(path) == 61
    assert_frame_equal(read(path), numbered(61))


def test_a_crash_between_the_name_and_the_tidying_up_is_finished(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    with new_capture(path) as capture:
        capture.append(numbered(4))
        monkeypatch.setattr("shutil.rmtree", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            capture.finish()
    monkeypatch.undo()
    assert_frame_equal(read(path), numbered(4))
    assert finish_capture(path) == 4
    assert not partial_of(path).exists()


def test_a_strange_file_of_the_final_name_is_kept(tmp_path):
    path = tmp_path / "a.parquet"
    with new_capture(path) as capture:
        capture.append(numbered(4))
    numbered(9).write_parquet(path)
    with pytest.raises(BadInputError, match="is not what"):
        finish_capture(path)
    assert pl.read_parquet(path).height == 9


def test_a_full_disk_leaves_whole_frames_only(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl.zst"

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with new_capture(path) as capture:
        capture.append(numbered(5))
        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(BadInputError, match="No space left"):
            capture.append(numbered(5, 5))
        monkeypatch.undo()
        capture.append(numbered(5, 5))
    assert finish_capture(path) == 10


def test_a_lock_ends_with_its_holder(tmp_path):
    with held(tmp_path), pytest.raises(BadInputError, match="another process"), held(tmp_path):
        pass
    with held(tmp_path):
        pass


# -- wrong files ---------------------------------------------------------------------------------------------


def refused(path: Path) -> str:
    with pytest.raises(BadInputError) as caught:
        list(capture_source(path))
    return str(caught.value)


def test_a_missing_file_and_a_strange_name_are_named(tmp_path):
    assert "none.parquet does not exist" in refused(tmp_path / "none.parquet")
    assert "is no capture by its name" in refused(tmp_path / "a.csv")


@pytest.mark.parametrize("name", NAMES)
def test_bytes_that_are_no_capture_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"no capture at all, but some text")
    assert f"{name}, behind row 0" in refused(tmp_path / name)


def test_a_file_that_was_cut_off_says_how_far_it_can_be_read(tmp_path):
    path = written(tmp_path / "a.jsonl.zst", numbered(10), numbered(10, 10))
    path.write_bytes(path.read_bytes()[:-3])
    assert "behind row 20: the file ends within a frame" in refused(path)


def test_a_damaged_frame_is_found_by_its_checksum(tmp_path):
    path = written(tmp_path / "a.jsonl.zst", numbered(100))
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    assert "behind row" in refused(path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"partition": "3"}, "row 2: Expected `int | null`, got `str` - at `$.partition`"),
        ({"timestamp_type": 2}, "row 2: Invalid enum value 2 - at `$.timestamp_type`"),
        ({"key": "no base64!"}, "row 2: Invalid base64 encoded string - at `$.key`"),
        ({"headers": [{"name": None, "value": None}]}, "row 2: Expected `str`, got `null` - at `$.headers[0].name`"),
        ({"offset": 2**64}, "row 2: Expected `int`"),
        ({"colour": "red"}, "row 2: Object contains unknown field `colour`"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, change, told):
    path = tmp_path / "a.jsonl.zst"
    good = json.loads(lines_of(numbered(1)))
    text = "".join(json.dumps(line) + "\n" for line in (good, {**good, **change}))
    path.write_bytes(zstandard.compress(text.encode()))
    assert f"a.jsonl.zst, {told}" in refused(path)


def test_a_line_that_is_two_is_refused(tmp_path):
    path = tmp_path / "a.jsonl.zst"
    line = lines_of(numbered(1)).strip()
    path.write_bytes(zstandard.compress(line + b"," + line + b"\n"))
    assert "row 1" in refused(path)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ([pl.lit(None, dtype=pl.Int64).alias("timestamp")], "row 1, column 'timestamp': null"),
        ([pl.lit(7, dtype=pl.UInt8).alias("timestamp_type")], "row 1, column 'timestamp_type': 7"),
        ([pl.lit("text").alias("value")], "column 'value' is String"),
        ([(pl.col("offset") + 2**31 - 5).alias("partition")], "row 6, column 'partition': 2147483648"),
    ],
)
def test_a_wrong_column_is_named(tmp_path, columns, told):
    path = tmp_path / "a.parquet"
    numbered(10).with_columns(columns).write_parquet(path)
    assert f"a.parquet, {told}" in refused(path)


def test_a_missing_column_is_named_and_others_are_passed_over(tmp_path):
    path = tmp_path / "a.parquet"
    numbered(3).drop("headers").write_parquet(path)
    assert "has no column 'headers' but topic" in refused(path)
    numbered(3).with_columns(more=pl.lit(1), partition=pl.col("partition").cast(pl.Int64)).write_parquet(path)
    assert_frame_equal(read(path), numbered(3))
