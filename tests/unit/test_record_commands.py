"""`quetma record`: what its arguments mean, and what it says where they are wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from schemas.errors import BadInputError, ExitCode
from services import record_commands
from services.capture.files import new_capture
from services.capture.span import Place, parse_place
from services.cli import build_app
from tests.raw_records import NASTY, frame_of_raw

TOPICS = ["one", "two"]


@pytest.mark.parametrize(
    ("text", "option", "expected"),
    [
        ("beginning", "--from", Place("beginning")),
        ("end", "--from", Place("end")),
        ("live", "--from", Place("end")),
        ("end", "--until", Place("end")),
        ("never", "--until", Place("never")),
        ("30s", "--until", Place("seconds", seconds=30.0)),
        ("1.5h", "--until", Place("seconds", seconds=5400.0)),
        ("1771290000000ms", "--from", Place("time", at_ms=1_771_290_000_000)),
        ("2026-02-17T08:00:00+07:00", "--from", Place("time", at_ms=1_771_290_000_000)),
        ("2026-02-17T01:00:00Z", "--until", Place("time", at_ms=1_771_290_000_000)),
        ("2026-02-17T01:00:00.250Z", "--until", Place("time", at_ms=1_771_290_000_250)),
        ("0", "--from", Place("offsets", everywhere=0)),
        ("one:0=5, two:12=7", "--until", Place("offsets", offsets={("one", 0): 5, ("two", 12): 7})),
    ],
)
def test_places_are_read(text, option, expected):
    assert parse_place(text, option, TOPICS) == expected


def test_one_topic_need_not_be_named():
    place = parse_place("0=5,3=7", "--from", ["one"])
    assert [place.offset_in("one", partition) for partition in range(4)] == [5, None, None, 7]


@pytest.mark.parametrize(
    ("text", "option", "told"),
    [
        ("live", "--until", "--until 'live'.*a duration such as 30s"),
        ("30s", "--from", "--from '30s'.*beginning, end, live"),
        ("0s", "--until", "--until '0s'"),
        ("500ms", "--until", "--until '500ms'"),
        ("2026-02-17", "--from", "no time zone. say which: 2026-02-17Z|no time zone"),
        ("2026-02-17T08:00:00", "--from", r"no time zone.*2026-02-17T08:00:00\+07:00"),
        ("-1", "--from", "--from '-1'"),
        (str(2**63), "--from", "--from '9223"),
        ("one:0=x", "--from", "'one:0=x' is no offset. write topic:0=1200"),
        ("0=3", "--from", "'0=3' names no topic. say of which: one, two"),
        ("six:0=3", "--from", "topic 'six' is not recorded. one, two are"),
        ("one:0=3,one:0=4", "--until", "one:0 comes twice"),
    ],
)
def test_wrong_places_are_named(text, option, told):
    with pytest.raises(BadInputError, match=told):
        parse_place(text, option, TOPICS)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["topic"], "no --out"),
        (["--out", "a.parquet"], "no topic"),
        (["topic", "--out", "a.csv"], "a.csv is of no known kind"),
        (["topic", "--out", "a.parquet", "--from", "yesterday"], "--from 'yesterday'"),
        (["topic", "--finish", "a.parquet"], "takes the file alone"),
        (["topic", "--out", "a.parquet", "--from", "9", "--until", "9"], "--from 9 is not before --until 9"),
        (["topic", "--out", "a.parquet", "--from", "0=9", "--until", "8"], "topic:0: --from 9 is behind --until 8"),
        (
            ["topic", "--out", "a.parquet", "--from", "1771290000000ms", "--until", "2026-02-17T01:00:00Z"],
            "--from 1771290000000ms is not before --until 1771290000000ms",
        ),
        (["--finish", "none.parquet"], "there is neither"),
    ],
)
def test_wrong_arguments_are_named(arguments, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(build_app(["record"]), ["record", *arguments])
    assert isinstance(done.exception, BadInputError)
    assert told in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_finish_says_how_many_records_there_are(tmp_path):
    path = tmp_path / "a.jsonl.zst"
    with new_capture(path) as capture:
        capture.append(frame_of_raw(NASTY))
    done = CliRunner().invoke(build_app(["record"]), ["record", "--finish", str(path), "--json"])
    assert (done.exit_code, json.loads(done.stdout)) == (0, {"records": len(NASTY)})
    assert path.exists()


def test_ctrl_c_before_recording_begins_is_told_by_the_exit_code(tmp_path, monkeypatch):
    async def reachable(_: str) -> None: ...

    async def stopped(*_: Any) -> None: ...

    monkeypatch.setattr(record_commands, "check_reachable", reachable)
    monkeypatch.setattr(record_commands.Order, "carried_out", stopped)
    arguments = ["record", "topic", "--out", str(tmp_path / "a.parquet"), "--broker", "nowhere:1"]
    assert CliRunner().invoke(build_app(["record"]), arguments).exit_code == ExitCode.INTERRUPTED
