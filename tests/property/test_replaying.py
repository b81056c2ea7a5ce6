"""What becomes of records on their way from source to target: order, filters, moves in time, fresh ids, partitions."""

from __future__ import annotations

import json
import re
from collections import Counter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.load.sources.opened import Opened
from producers.load.sources.ordering import MOST_PIECES, in_order
from producers.load.transforms.filters import Filters
from producers.load.transforms.fresh_ids import renamed
from producers.load.transforms.json_fields import cut as cut_fields
from producers.load.transforms.json_fields import is_object, unquoted
from producers.load.transforms.replaying import Changes, replayed
from producers.load.transforms.timestamps import FEW, moved
from schemas.errors import BadInputError
from schemas.events import decode_payment, payment_id
from schemas.topics import ACCOUNTS, CELLS, PAYMENTS, TRUTH
from tests.raw_frames import PLACES, ROWS, RUN, cut, frame, frames, lengths, record, run_of_ours

few = settings(max_examples=40)
"""Frames take their time; each has many rows."""


def opened(whole: pl.DataFrame, pieces: tuple[int, ...] = (), cells: pl.DataFrame | None = None) -> Opened:
    found = whole.clear() if cells is None else cells
    return Opened(PLACES, "capture", lambda: cut(whole, pieces), cells=lambda: found)


def sent(source: Opened, changes: Changes, now: int = 0) -> pl.DataFrame:
    return pl.concat([frame(), *replayed(source, changes, lambda: now)])


# -- order ---------------------------------------------------------------------------------------------------


@few
@given(frames, lengths, st.integers(0, 40))
def test_in_order_is_a_stable_sort_and_refuses_only_what_is_beyond_the_buffer(whole, pieces, buffer):
    times = whole["timestamp"].to_list()
    behind = max((sum(at > late for at in times[:row]) for row, late in enumerate(times)), default=0)
    try:
        passed = pl.concat([whole.clear(), *in_order(cut(whole, pieces), buffer, PLACES)])
    except BadInputError:
        assert behind > buffer
    else:
        assert passed.equals(whole.sort("timestamp", maintain_order=True))


@few
@given(frames, lengths, st.integers(0, 30))
def test_no_more_than_the_buffer_and_a_frame_is_held(whole, pieces, buffer):
    read = 0

    def reading():
        nonlocal read
        for one in cut(whole.sort("timestamp"), pieces):
            read += len(one)
            yield one

    passed = 0
    for one in in_order(reading(), buffer, PLACES):
        passed += len(one)
        assert read - passed <= buffer
    assert passed == len(whole)


def test_what_filters_leave_of_frames_is_held_in_few_pieces():
    small = (frame(record(at)) for at in range(3 * MOST_PIECES))
    (held,) = in_order(small, 10 * MOST_PIECES, PLACES)
    assert held["timestamp"].to_list() == list(range(3 * MOST_PIECES))
    assert held.n_chunks() <= MOST_PIECES


def test_a_late_record_is_named():
    rows = [record(at, offset=at) for at in (1000, 2000, 3000)]
    late = record(1500, offset=77, partition=3)
    with pytest.raises(BadInputError) as raised:
        list(in_order(iter([frame(*rows), frame(late)]), 1, PLACES))
    assert str(raised.value) == (
        "source: capture.parquet: t-3 offset 77: its time 1970-01-01T00:00:01.500Z is before 1970-01-01T00:00:02.000Z, "
        "which has been sent. give a --sort-buffer above 1, sort the source by time, or keep its own order with "
        "--rate N or --speed max"
    )
    with pytest.raises(BadInputError, match=r"file\.csv: row 78: its time"):
        list(in_order(iter([frame(*rows), frame(late)]), 1, ROWS))


# -- fields of JSON ------------------------------------------------------------------------------------------

names = st.sampled_from(["a", "run", "occurred_at", 'q"', "é", "x\\"])
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6)
)
scalars |= st.sampled_from(['","a":1,"', '{"run":"', ',"occurred_at":7}', "}", "]"])
documents = st.dictionaries(
    names,
    st.recursive(scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2)),
    max_size=4,
)
spacing = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :\t")])


@few
@given(st.lists(st.tuples(documents, spacing, st.booleans()), min_size=1), names)
def test_a_field_is_cut_out_of_any_object_and_nothing_else_moves(rows, name):
    texts = [
        json.dumps(document, separators=separators, ensure_ascii=ascii_only)
        for document, separators, ascii_only in rows
    ]
    parts = cut_fields(pl.Series(texts), name)
    for (document, _, _), text, (before, token, after) in zip(rows, texts, parts.rows(), strict=True):
        if name not in document:
            assert before is token is after is None
        else:
            assert before + token + after == text
            assert json.loads(token) == document[name]
            assert json.loads(f'{before}"\x01"{after}', strict=False) == {**document, name: "\x01"}
    strings = unquoted(parts["token"]).to_list()
    assert strings == [one if isinstance(one := row[0].get(name), str) else None for row in rows]


@few
@given(st.text(max_size=20) | documents.map(lambda one: json.dumps(one, separators=(",", ":"))[:-3]))
def test_cutting_what_is_no_json_makes_no_new_text(text):
    before, token, after = cut_fields(pl.Series([text]), "run").row(0)
    assert token is None or before + token + after == text


# -- time ----------------------------------------------------------------------------------------------------


def payments() -> pl.DataFrame:
    return run_of_ours().filter(pl.col("topic") == PAYMENTS)


def decoded(value: bytes):
    try:
        return decode_payment(value)
    except Exception:  # noqa: BLE001  # whatever makes it no payment
        return None


@few
@given(st.integers(-(10**10), 10**11))
def test_payments_move_in_time_and_all_else_of_them_stays(by):
    before = payments().head(300)
    after = moved(before, by, ["occurred_at"], PLACES)
    assert (after["timestamp"] - before["timestamp"]).unique().to_list() == [by]
    assert after.drop("timestamp", "value").equals(before.drop("timestamp", "value"))
    for old, new in zip(before["value"], after["value"], strict=True):
        at = decoded(old).occurred_at if decoded(old) else None
        if at is None:
            assert abs(len(new) - len(old)) <= 2
        else:
            assert new == old.replace(b'"occurred_at":%d' % at, b'"occurred_at":%d' % (at + by))


broken = st.binary(max_size=5).filter(lambda value: not is_object(value))
"""An object without the field is an error."""


@few
@given(
    st.lists(st.tuples(documents, spacing) | broken | st.none(), max_size=6),
    st.lists(st.integers(0, 10**9), min_size=6, max_size=6),
)
def test_few_records_move_as_many_do(rows, shifts):
    values = [
        row if row is None or isinstance(row, bytes) else json.dumps(row[0] | {"at": 5}, separators=row[1]).encode()
        for row in rows
    ]
    some = frame(*(record(value=value) for value in values))
    by = pl.Series(shifts[: len(some)], dtype=pl.Int64)
    repeats = FEW + 1
    many = moved(pl.concat([some] * repeats), pl.concat([by] * repeats), ["at"], PLACES)
    assert moved(some, by, ["at"], PLACES).equals(many.head(len(some)))


def test_broken_copies_without_the_field_stay_whole():
    broken = frame(record(value='{"run":"a","occurred'), record(value=b"\xff"), record(value=None), record(value="[1]"))
    assert moved(broken, 5, ["occurred_at"], PLACES)["value"].equals(broken["value"])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ('{"a":1}', "t-0 offset 0: field 'occurred_at' is missing"),
        ('{"occurred_at":"1"}', "field 'occurred_at' = \"1\""),
        ('{"occurred_at":1.5}', "field 'occurred_at' = 1.5"),
        ('{"a":{"occurred_at":1}}', "field 'occurred_at' is missing"),
        ('{"occurred_at":null}', "field 'occurred_at' = null"),
    ],
)
def test_a_field_that_cannot_move_is_named(value, words):
    with pytest.raises(BadInputError) as raised:
        moved(frame(record(value=value)), 1, ["occurred_at"], PLACES)
    assert words in str(raised.value)
    assert "whole numbers, epoch milliseconds" in str(raised.value)


@pytest.mark.parametrize("count", [FEW, 10 * FEW])
def test_payments_move_where_a_capture_has_what_goes_with_them(count):
    run = run_of_ours().head(count)
    after = moved(run, 1000, ["occurred_at"], PLACES)
    with_field = run["topic"].is_in([PAYMENTS, TRUTH])
    assert after["value"].filter(~with_field).equals(run["value"].filter(~with_field))
    for old, new in zip(run["value"].filter(with_field), after["value"].filter(with_field), strict=True):
        at = int(found[1]) if (found := re.search(rb'"occurred_at":(\d+)[,}]', old)) else None
        assert at is None or new == old.replace(b'"occurred_at":%d' % at, b'"occurred_at":%d' % (at + 1000))
    wrong = frame(record(value='{"occurred_at":"now"}', topic=CELLS))
    with pytest.raises(BadInputError, match="field 'occurred_at' = \"now\""):
        moved(wrong, 1000, ["occurred_at"], PLACES)


def test_a_shift_begins_now():
    source = opened(frame(record(5000, '{"at":1}'), record(7000, '{"at":2}')), (1,))
    after = sent(source, Changes(timestamps="shift", fields=("at",)), now=1_000_000)
    assert after["timestamp"].to_list() == [1_000_000, 1_002_000]
    assert after["value"].to_list() == [b'{"at":995001}', b'{"at":995002}']


# -- loops ---------------------------------------------------------------------------------------------------


@few
@given(frames, lengths, st.integers(1, 4))
def test_verbatim_loops_repeat_all_one_span_apart(whole, pieces, loops):
    source = opened(whole, tuple(pieces))
    out = sent(source, Changes(loops=loops, verbatim=True, buffer=100))
    once = whole.sort("timestamp", maintain_order=True)
    span = once["timestamp"].max() - once["timestamp"].min() if len(once) else 0
    expected = [once.with_columns(pl.col("timestamp") + span * number) for number in range(loops)]
    assert out.equals(pl.concat(expected))
    assert out["timestamp"].is_sorted()


def test_loops_without_end_end_where_nothing_matches():
    source = opened(frame(record(key="a")))
    assert len(sent(source, Changes(loops=None, filters=Filters(keys=("b",))))) == 0
    assert sum(1 for _ in zip(replayed(source, Changes(loops=None), lambda: 0), range(50), strict=False)) == 50


@pytest.mark.parametrize("cloud_events", [False, True])
def test_a_loop_is_a_run_of_its_own(cloud_events):
    run = run_of_ours(cloud_events=cloud_events)
    again = renamed(run, 3, PLACES)
    name = f"{RUN}~3"
    assert again.drop("key", "value", "headers").equals(run.drop("key", "value", "headers"))
    refers = broken = 0
    for old, new in zip(run.iter_rows(named=True), again.iter_rows(named=True), strict=True):
        if old["topic"] == PAYMENTS and (payment := decoded(old["value"])) is None:
            broken += 1
            assert f'"run":"{name}"'.encode() in new["value"]  # such dead letters are counted by the run
            continue
        before, after = json.loads(old["value"]), json.loads(new["value"])
        expected = before | {"run": name}
        if "payment_id" in before:
            number = before["payment_id"].rpartition("-")[2]
            expected["payment_id"] = payment_id(name, before["source"], int(number))
        if "refers_to" in before:
            refers += 1
            expected["refers_to"] = payment_id(name, before["source"], int(before["refers_to"].rpartition("-")[2]))
        assert after == expected
        assert list(after) == list(before)
        if old["topic"] == PAYMENTS:
            assert new["key"] == old["key"]
            assert payment is not None
            assert decode_payment(new["value"]).payment_id != payment.payment_id
            if cloud_events:
                headers = {one["name"]: one["value"].decode() for one in new["headers"]}
                assert headers["ce_id"] == after["payment_id"]
                assert headers["ce_source"] == f"/quetma/{name}/{after['source']}"
        else:
            key = {CELLS: "cell", ACCOUNTS: "source", TRUTH: "payment_id"}[old["topic"]]
            assert new["key"].startswith(f"{name}|{after[key]}".encode())
    assert refers > 0
    assert broken > 0
    topics = Counter(run["topic"].to_list())
    assert min(topics[topic] for topic in (CELLS, ACCOUNTS, TRUTH, PAYMENTS)) > 0


@few
@given(frames)
def test_what_is_not_ours_stays_in_a_loop(whole):
    assert renamed(whole, 2, PLACES).equals(whole)


def test_a_name_that_gets_too_long_is_named():
    long = frame(record(value='{"run":"%s"}' % ("r" * 63), topic=PAYMENTS))
    with pytest.raises(BadInputError, match=r"t.*offset 0: run 'r+~2' has more than 64 characters.*--verbatim"):
        renamed(long, 2, PLACES)


def test_cells_are_announced_before_each_loop_at_the_time_of_its_first_payment():
    run = run_of_ours()
    cells = run.filter(pl.col("topic") == CELLS)
    out = sent(opened(run, (40, 500), cells), Changes(loops=2, buffer=10_000))
    assert len(out) == 2 * len(run)
    for begin in (0, len(run)):
        assert set(out["topic"][begin : begin + len(cells)]) == {CELLS}
        assert CELLS not in out["topic"][begin + len(cells) : begin + len(run)].to_list()
    assert out["timestamp"].is_sorted()


# -- filters -------------------------------------------------------------------------------------------------


@few
@given(
    st.none() | st.integers(0, 50),
    st.none() | st.integers(0, 50),
    st.sets(st.binary(max_size=1).filter(bytes.isascii)),
    frames,
)
def test_filters_by_time_and_key_are_what_plain_python_says(begin, end, keys, whole):
    texts = tuple(key.decode() for key in keys)
    kept = Filters(from_time=begin, to_time=end, keys=texts).of(whole)
    expected = [
        row
        for row in whole.iter_rows(named=True)
        if (begin is None or row["timestamp"] >= begin)
        and (end is None or row["timestamp"] < end)
        and (not keys or row["key"] in keys)
    ]
    assert kept.to_dicts() == expected


def test_filters_by_commune_sector_and_topic():
    run = run_of_ours()
    some = json.loads(payments()["value"][0])
    kept = Filters(communes=(some["commune"],), sectors=(some["sector"], "water"), topics=(PAYMENTS, CELLS)).of(run)
    rows = [row for row in kept.iter_rows(named=True) if row["topic"] == PAYMENTS]
    expected = [
        row
        for row in payments().iter_rows(named=True)
        if row["key"] == some["commune"].encode()
        and any(f'"sector":"{sector}"'.encode() in row["value"] for sector in (some["sector"], "water"))
    ]
    assert rows == expected
    assert 0 < len(rows) < len(payments())
    assert kept.filter(pl.col("topic") == CELLS).equals(run.filter(pl.col("topic") == CELLS))
    assert len(Filters(topics=(TRUTH,)).of(run)) == (run["topic"] == TRUTH).sum()
    assert (
        len(Filters(sectors=("water",)).of(frame(record(value="water"), record(value=b"\xff"), record(value=None))))
        == 0
    )


# -- partitions ----------------------------------------------------------------------------------------------


@few
@given(frames)
def test_partitions_are_kept_or_left_to_the_keys(whole):
    source = opened(whole)
    assert sent(source, Changes()).equals(whole)
    by_key = sent(source, Changes(partitions="by-key"))
    assert by_key["partition"].null_count() == len(whole)
    assert by_key.drop("partition").equals(whole.drop("partition"))
