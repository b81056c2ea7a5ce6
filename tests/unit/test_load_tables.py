"""Anyone's files as records: values, times, and errors that name file, row, column, value and what is allowed."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from pathlib import Path

import polars as pl
import pytest
import zstandard

from producers.load.frames import RECORDS
from producers.load.sources.mapping import Mapping, Time, load_mapping
from producers.load.sources.rows import BATCH
from producers.load.sources.tables import Format, table_source
from producers.load.sources.times import epoch_ms
from schemas.errors import BadInputError

AT = 1_767_225_600_000  # 2026-01-01T00:00:00Z


def read(path: Path, format_: Format, mapping: Mapping) -> pl.DataFrame:
    frames = list(table_source(path, format_, mapping))
    assert all(frame.schema == RECORDS for frame in frames)
    return pl.concat([RECORDS.to_frame(), *frames])


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# -- values --------------------------------------------------------------------------------------------------


def test_rows_of_csv_are_json_objects_of_texts(tmp_path):
    path = written(tmp_path, "a.csv", 'id,note,n\nx,"chợ, ""Bắc""\nHà",07\ny,,\n')
    frame = read(path, "csv", Mapping(key="id", types={"n": "int"}))
    assert [json.loads(value) for value in frame["value"]] == [
        {"id": "x", "note": 'chợ, "Bắc"\nHà', "n": 7},
        {"id": "y", "note": "", "n": None},
    ]
    assert frame["key"].to_list() == [b"x", b"y"]
    assert frame["offset"].to_list() == [0, 1]
    assert frame["topic"].null_count() == frame["partition"].null_count() == 2


@pytest.mark.parametrize(("format_", "text"), [("csv", "id\r\na\r\n"), ("jsonl", '{"id":"a"}\r\n')])
def test_a_byte_order_mark_before_the_first_line_is_left_out(tmp_path, format_, text):
    path = tmp_path / f"t.{format_}"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    found = pl.concat(table_source(path, format_, Mapping(key="id")))
    assert (found["key"].to_list(), found["value"].to_list()) == ([b"a"], [b'{"id":"a"}'])


def test_lines_of_jsonl_are_values_byte_for_byte(tmp_path):
    lines = ['{"id": 7, "x":1.50, "at":"2026-01-01T00:00:00.5Z"}', '{"at":1767225601000,  "id":"é"}']
    path = written(tmp_path, "a.jsonl", "\n\n".join(lines))
    frame = read(path, "jsonl", Mapping(time=Time(column="at"), key="id", headers={"h": "x"}))
    assert frame["value"].to_list() == [line.encode() for line in lines]
    assert frame["key"].to_list() == [b"7", "é".encode()]
    assert frame["timestamp"].to_list() == [AT + 500, AT + 1000]
    assert frame["offset"].to_list() == [0, 2], "empty lines count"
    assert frame["headers"].to_list() == [[{"name": "h", "value": b"1.50"}], []]


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".zst", zstandard.compress)])
@pytest.mark.parametrize("format_", ["csv", "jsonl"])
def test_compressed_files_are_as_plain_ones(tmp_path, suffix, pack, format_):
    rows = range(BATCH + 100)
    lines = ["n", *map(str, rows)] if format_ == "csv" else [f'{{"n":{n}}}' for n in rows]
    text = "\n".join(lines).encode()
    packed = pack(text[:5000]) + pack(text[5000:])  # members and frames may follow each other
    plain = read(written(tmp_path, "a", text), format_, Mapping(key="n"))
    assert plain["key"].to_list() == [str(n).encode() for n in rows]
    assert read(written(tmp_path, f"b.{format_}{suffix}", packed), format_, Mapping(key="n")).equals(plain)


def test_columns_of_parquet_become_what_the_mapping_says(tmp_path):
    at = dt.datetime(2026, 1, 1, 7, tzinfo=dt.UTC)
    table = pl.DataFrame(
        {
            "id": [5, 6],
            "at": [at, at],
            "blob": [b"\xff\x00", None],
            "amount": [1.5, None],
            "to": ["a", "b"],
            "part": [1, None],
        }
    )
    path = tmp_path / "a.parquet"
    table.write_parquet(path)
    mapping = Mapping(
        time=Time(column="at"),
        key="id",
        value={"sum": "amount", "at": "at"},
        headers={"blob": "blob"},
        topic="to",
        partition="part",
    )
    frame = read(path, "parquet", mapping)
    assert frame["value"].to_list() == [
        b'{"sum":1.5,"at":"2026-01-01T07:00:00.000000+00:00"}',
        b'{"sum":null,"at":"2026-01-01T07:00:00.000000+00:00"}',
    ]
    assert frame["key"].to_list() == [b"5", b"6"]
    assert frame["headers"].to_list() == [[{"name": "blob", "value": b"\xff\x00"}], []]
    assert frame["timestamp"].to_list() == [AT + 7 * 3_600_000] * 2
    assert frame["topic"].to_list() == ["a", "b"]
    assert frame["partition"].to_list() == [1, None]
    assert read(path, "parquet", Mapping(value="blob"))["value"].to_list() == [b"\xff\x00", None]


# -- times ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "time", "expected"),
    [
        ("2026-01-01T00:00:00Z", {}, AT),
        ("2026-01-01 07:00:00.1234+07:00", {}, AT + 123),
        ("2026-01-01T07:00+0700", {}, AT),
        ("20260101T070000+0700", {}, AT),
        ("2026-01-01T07:00:00", {"zone": "Asia/Ho_Chi_Minh"}, AT),
        ("2026-01-01", {"zone": "UTC"}, AT),
        ("2026-01-01T00:00:00", {}, None),
        ("01/01/2026 07h00", {"format": "%d/%m/%Y %Hh%M", "zone": "Asia/Ho_Chi_Minh"}, AT),
        ("01/01/2026 07h00", {"format": "%d/%m/%Y %Hh%M"}, None),
        ("01/01/2026 07h00 +0700", {"format": "%d/%m/%Y %Hh%M %z"}, AT),
        (str(AT), {}, AT),
        (str(AT // 1000), {}, None),  # seconds, which nobody said
        (str(AT // 1000), {"unit": "s"}, AT),
        ("1767225600.0625", {"unit": "s"}, AT + 62),
        (AT * 1000 + 999, {"unit": "us"}, AT),
        (AT * 1_000_000, {"unit": "ns"}, AT),
        (1767225600.001, {"unit": "s"}, AT + 1),
        (5, {"unit": "ms"}, 5),
        (5, {}, None),
        (float("nan"), {"unit": "s"}, None),
        ("soon", {}, None),
        ("soon", {"unit": "s"}, None),
        (dt.datetime.fromisoformat("2026-01-01T07:00"), {"zone": "Asia/Ho_Chi_Minh"}, AT),
        (dt.datetime.fromisoformat("2026-01-01T07:00"), {}, None),
        (dt.date(2026, 1, 1), {"zone": "UTC"}, AT),
        (True, {}, None),
    ],
)
def test_times(value, time, expected):
    assert epoch_ms(pl.Series([value]), Time(column="at", **time)).to_list() == [expected]


def test_times_of_different_forms_in_one_column():
    values = pl.Series(["2026-01-01T00:00:00Z", None, str(AT), "2026-01-01T07:00+07:00", "?"])
    assert epoch_ms(values, Time(column="at")).to_list() == [AT, None, AT, AT, None]


# -- errors --------------------------------------------------------------------------------------------------

PLAIN = "id,at\na,2026-01-01T00:00:00Z\nb,soon\n"
WRONG = {
    "a.csv": [
        (PLAIN, {"time": {"column": "at"}}, ["a.csv: row 2: column 'at' = 'soon'", "ISO 8601", "--time-unit"]),
        (
            PLAIN,
            {"time": {"column": "at", "unit": "s"}},
            ["row 1: column 'at' = '2026-01-01T00:00:00Z'", "number of s"],
        ),
        (PLAIN, {"key": "key"}, ["a.csv: no column 'key'", "its columns are id, at"]),
        (PLAIN, {"types": {"id": "int"}}, ["a.csv: row 1: column 'id' = 'a'", "said to be int"]),
        (PLAIN, {"partition": "id"}, ["a.csv: row 1: column 'id' = 'a'", "number of a partition"]),
        ("id,at\na\n", {}, ["a.csv: row 1 has 1 fields, the header has 2"]),
        ("id,id\na,b\n", {}, ["a.csv: the header is ['id', 'id']", "names each column once"]),
        ('id\n"a\n', {}, ["a.csv: line 2: unexpected end of data", "RFC 4180"]),
        ("", {}, ["a.csv: the header is []"]),
        (b"id\n\xff\n", {}, ["a.csv: at row 1 or behind it", "give UTF-8"]),
    ],
    "a.jsonl": [
        ('{"a":1}\n\n[1]\n', {}, ["a.jsonl: row 3: Expected `object`", "one JSON object a line"]),
        ('{"a":1}\n{"a":\n', {}, ["a.jsonl: row 2: Input data was truncated"]),
        ('{"a":1}\n{"b":2}\n', {"value": "a"}, ["a.jsonl: row 2 has no 'a'"]),
        ('{"a":1}\n{"b":2}\n', {"value": ["a"]}, ["a.jsonl: row 2 has no 'a'"]),
        ('{"at":null}\n', {"time": {"column": "at"}}, ["a.jsonl: row 1: column 'at' = None", "ISO 8601"]),
        ('{"a":1}\n', {"types": {"a": "int"}}, ["a.jsonl is jsonl", "only CSV has no types"]),
    ],
}


@pytest.mark.parametrize(
    ("name", "text", "mapping", "words"), [(name, *case) for name, cases in WRONG.items() for case in cases]
)
def test_what_cannot_be_read_is_named(tmp_path, name, text, mapping, words):
    path = written(tmp_path, name, text)
    with pytest.raises(BadInputError) as raised:
        read(path, name.split(".")[1], Mapping.model_validate(mapping))
    for word in words:
        assert word in str(raised.value)


def test_a_row_far_behind_is_named_and_those_before_it_have_come(tmp_path):
    rows = [f'{{"at":{AT + row}}}' for row in range(2 * BATCH)]
    rows[BATCH + 5] = '{"at":"x"}'
    path = written(tmp_path, "a.jsonl", "\n".join(rows))
    frames = table_source(path, "jsonl", Mapping(time=Time(column="at")))
    assert len(next(frames)) == BATCH
    with pytest.raises(BadInputError, match=f"row {BATCH + 6}: column 'at' = 'x'"):
        next(frames)


def test_binary_has_no_json(tmp_path):
    path = tmp_path / "a.parquet"
    pl.DataFrame({"blob": [b"\xff"]}).write_parquet(path)
    with pytest.raises(BadInputError, match="column 'blob' is binary"):
        read(path, "parquet", Mapping())


def test_half_a_parquet_file_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    pl.DataFrame({"n": range(1000)}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(BadInputError, match=r"a\.parquet: at row 1 or behind it"):
        read(path, "parquet", Mapping())


# -- mappings ------------------------------------------------------------------------------------------------


def test_a_mapping_is_read(tmp_path):
    path = written(
        tmp_path,
        "m.toml",
        'key = "id"\nvalue = ["a", "b"]\ntime = { column = "at", unit = "us" }\nheaders = { trace = "t" }\n',
    )
    assert load_mapping(path) == Mapping(
        key="id", value=["a", "b"], time=Time(column="at", unit="us"), headers={"trace": "t"}
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("keys = 'a'", ["m.toml: keys = 'a': Extra inputs are not permitted", "allowed are time, key, value"]),
        ("time = { column = 'at', unit = 'min' }", ["time.unit = 'min'", "'s', 'ms', 'us' or 'ns'"]),
        ("time = { column = 'at', zone = 'Hanoi' }", ["time.zone = 'Hanoi'", "Asia/Ho_Chi_Minh"]),
        ("key = ", ["m.toml: Invalid value"]),
    ],
)
def test_a_wrong_mapping_is_named(tmp_path, text, words):
    with pytest.raises(BadInputError) as raised:
        load_mapping(written(tmp_path, "m.toml", text))
    for word in words:
        assert word in str(raised.value)
