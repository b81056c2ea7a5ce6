"""What `quetma load` makes of its options, and what it refuses."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from typer.testing import CliRunner

from producers.load.profiles import built_in
from schemas.errors import BadInputError
from schemas.settings import load_settings
from services.cli import build_app
from services.load_commands import is_scenario, scenario_of
from services.load_profile_options import DEFAULT_RATE, asked_rate


def asked(profile="steady", **more):
    return asked_rate(profile, **{"rate": None, "seconds": None, "spacing": "even", "seed": 0} | more)


def test_a_built_in_profile_has_the_rate_and_the_time_that_are_given():
    one = asked("step", rate=500.0, seconds=10.0, spacing="poisson", seed=4)
    assert one.profile == built_in("step", 500, 10)
    assert one.in_words() == "step up to 500/s, 3,000 records in 10 s, Poisson arrivals of seed 4"
    assert asked().profile == built_in("steady", DEFAULT_RATE)
    assert sum(one.arrivals().asked(second) for second in range(10)) == pytest.approx(3000)


def test_a_file_says_the_rates(tmp_path):
    path = tmp_path / "ramp.toml"
    path.write_text('phases = ["0–2s: 0→1k/s"]', encoding="utf-8")
    one = asked(str(path))
    assert one.in_words() == f"{path} up to 1,000/s, 1,000 records in 2 s, evenly spaced"
    assert math.isclose(one.profile.records, 1000)
    path.write_text('[[phases]]\nfor = inf\nrate = "2k"', encoding="utf-8")
    assert asked(str(path)).in_words() == f"{path} up to 2,000/s, without end, evenly spaced"
    with pytest.raises(BadInputError, match="--rate 5 with"):
        asked(str(path), rate=5.0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--profile", "peak"], "--profile peak"),
        (["--profile", "nowhere.toml"], "No such file"),
        (["--rate", "-1"], "--rate -1"),
        (["--arrivals", "odd"], "even or poisson"),
        (["--for", "soon"], "--for 'soon'"),
        (["--to", "http://127.0.0.1:1", "--to-topic", "x"], "give one of them"),
        (["--loop", "2"], "--loop 2 for the scenario an-giang"),
        (["--key-column", "shop"], "--key-column shop for the scenario an-giang"),
        (["day.parquet", "--run", "x"], "--run x for day.parquet, which is no scenario"),
        (["day.parquet"], "day.parquet: no such file"),
        (["an-giangg"], "no scenario 'an-giangg'. give one of an-giang, "),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_sent(options, said):
    ended = CliRunner().invoke(build_app(["load", "qr"]), ["load", *options, "--broker", "127.0.0.1:1"])
    assert isinstance(ended.exception, BadInputError)
    assert said in str(ended.exception)


async def test_a_scenario_is_known_by_its_name_and_each_load_is_a_run_of_its_own():
    settings = load_settings(bootstrap_servers="127.0.0.1:1")
    assert is_scenario("bac-giang", None)
    assert is_scenario("mine.toml", None)
    assert not is_scenario("capture.parquet", None)
    assert not is_scenario("bac-giang", "127.0.0.1:1")  # a topic of that name
    runs = set()
    for _ in range(2):
        source = scenario_of("bac-giang", None, None, settings, announced=False)
        frame = await anext(source)
        await source.aclose()
        runs.add(frame["value"][0].split(b'"run":"')[1].split(b'"')[0])
    assert len(runs) == 2
    assert all(run.startswith(b"load-") for run in runs)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--max-connections", "3"),
        ("--timeout", "3s"),
        ("--connect-timeout", "3s"),
        ("--retries", "3"),
        ("--hmac-secret-env", "S"),
    ],
)
@pytest.mark.parametrize("command", ["load", "replay"])
def test_options_of_webhooks_without_a_url_are_refused(command: str, option: str, value: str, tmp_path: Path) -> None:
    capture = tmp_path / "a.jsonl"
    capture.write_text('{"n": 1}\n', encoding="utf-8")
    arguments = [command, str(capture), "--rate", "1", "--broker", "127.0.0.1:9", option, value]
    done = CliRunner().invoke(build_app([command]), arguments)
    assert isinstance(done.exception, BadInputError)
    assert str(done.exception).startswith(f"arguments: {option} {value} without --to")
