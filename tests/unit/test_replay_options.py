"""Options of `quetma replay` against each other: what goes together, and what is said of what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from producers.load.sources.mapping import Mapping, Time
from producers.load.transforms.filters import Filters
from producers.load.transforms.replaying import Changes
from schemas.errors import BadInputError
from services.cli import build_app
from services.replay_options import Pace, changes_of, filters_of, mapping_of, pace_of

USUAL: dict[str, Any] = {
    "pace": Pace(speed=2.0),
    "timed": True,
    "timestamps": None,
    "rewrite": (),
    "partitions": "keep",
    "loop": "1",
    "verbatim": False,
    "sort_buffer": 10,
    "filters": Filters(),
}
NO_MAPPING: dict[str, str | None] = dict.fromkeys(
    ("time_column", "time_unit", "time_format", "time_zone", "key_column", "value_column")
)
NO_FILTERS: dict[str, Any] = {
    "from_time": None,
    "to_time": None,
    "keys": (),
    "communes": (),
    "sectors": (),
    "topics": (),
}


def test_pace():
    assert pace_of(None, None) == Pace(speed=1.0)
    assert pace_of("0.5", None) == Pace(speed=0.5)
    assert pace_of("max", None) == Pace()
    assert pace_of(None, 100.0) == Pace(rate=100.0)
    assert [one.kind for one in (Pace(speed=1.0), Pace(), Pace(rate=1.0))] == ["speed", "max", "rate"]


@pytest.mark.parametrize(
    ("speed", "rate", "words"),
    [
        ("fast", None, "--speed fast. give a number above 0, or max"),
        ("0", None, "--speed 0."),
        ("inf", None, "--speed inf."),
        ("nan", None, "--speed nan."),
        (None, -1.0, "--rate -1."),
        (None, float("nan"), "--rate nan."),
        ("2", 3.0, "--speed 2 and --rate 3. give one of them"),
    ],
)
def test_a_wrong_pace_is_named(speed, rate, words):
    with pytest.raises(BadInputError) as raised:
        pace_of(speed, rate)
    assert words in str(raised.value)


def test_changes():
    assert changes_of(**USUAL) == Changes(buffer=10)
    asked = {"timestamps": "shift", "rewrite": ["a, b", "c"], "loop": "forever", "pace": Pace(rate=5.0)}
    assert changes_of(**USUAL | asked) == Changes(timestamps="shift", fields=("a", "b", "c"), loops=None)
    assert changes_of(**USUAL | {"timed": False, "pace": Pace()}) == Changes(timestamps="now")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"timestamps": "later"}, "--timestamps 'later'. give one of keep, shift, now"),
        ({"partitions": "all"}, "--partitions 'all'. give one of keep, by-key"),
        ({"loop": "0"}, "--loop 0. give a number from 1 on, or forever"),
        ({"rewrite": ["a"]}, "--rewrite a with --timestamps keep. give --timestamps shift or now"),
        ({"timed": False}, "a source without times, and ×2. name its time with --time-column"),
        ({"timed": False, "pace": Pace(), "timestamps": "shift"}, "a source without times, and --timestamps shift"),
        ({"timed": False, "pace": Pace(), "filters": Filters(from_time=1)}, "a source without times, and --from-time"),
        ({"timed": False, "pace": Pace(), "rewrite": ["a"]}, "a source without times, and --rewrite a"),
    ],
)
def test_changes_that_do_not_go_together_are_named(asked, words):
    with pytest.raises(BadInputError) as raised:
        changes_of(**USUAL | asked)
    assert words in str(raised.value)


def test_mappings(tmp_path: Path):
    assert mapping_of(None, **NO_MAPPING) is None
    assert mapping_of(None, **NO_MAPPING | {"key_column": "k", "value_column": "v"}) == Mapping(key="k", value="v")
    time = {"time_column": "at", "time_unit": "us", "time_zone": "UTC"}
    assert mapping_of(None, **NO_MAPPING | time) == Mapping(time=Time(column="at", unit="us", zone="UTC"))
    file = tmp_path / "m.toml"
    file.write_text('key = "k"', encoding="utf-8")
    assert mapping_of(file, **NO_MAPPING) == Mapping(key="k")
    with pytest.raises(BadInputError, match="--mapping and --key-column k"):
        mapping_of(file, **NO_MAPPING | {"key_column": "k"})


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"time_unit": "s"}, "--time-unit s without --time-column"),
        ({"time_column": "a", "time_unit": "min"}, "--time-unit 'min'. give one of s, ms, us, ns"),
        ({"time_column": "a", "time_zone": "Hanoi"}, "--time-zone 'Hanoi'. give a name such as Asia/Ho_Chi_Minh"),
    ],
)
def test_a_wrong_mapping_is_named(asked, words):
    with pytest.raises(BadInputError) as raised:
        mapping_of(None, **NO_MAPPING | asked)
    assert words in str(raised.value)


def test_filters():
    assert filters_of(**NO_FILTERS) == Filters()
    asked = {"from_time": "2026-01-01T07:00:00+07:00", "to_time": "1767225600001", "keys": ["a,b"], "communes": ["c,d"]}
    asked |= {"sectors": ["water", "income,tuition"], "topics": ["t"]}
    assert filters_of(**asked) == Filters(
        from_time=1767225600000,
        to_time=1767225600001,
        keys=("a,b",),
        communes=("c", "d"),
        sectors=("water", "income", "tuition"),
        topics=("t",),
    )


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"from_time": "2026-01-01"}, "--from-time '2026-01-01'. give ISO 8601 with an offset"),
        ({"sectors": ["gas"]}, "--sector 'gas'. give one of market_stall, electricity"),
        ({"from_time": "1767225600001", "to_time": "1767225600001"}, "is not before --to-time"),
    ],
)
def test_wrong_filters_are_named(asked, words):
    with pytest.raises(BadInputError) as raised:
        filters_of(**NO_FILTERS | asked)
    assert words in str(raised.value)


def test_an_address_that_is_none_is_named():
    with pytest.raises(BadInputError, match="`elsewhere` is not the address of a broker"):
        CliRunner().invoke(build_app(["replay"]), ["replay", "topic", "--from", "elsewhere"], catch_exceptions=False)
