"""Load profiles: what is read from TOML, what the built-in ones are, and what is said where one is wrong."""

from __future__ import annotations

import math
import tomllib

import pytest

from producers.load.profiles import BUILT_IN, SOAK_SECONDS, Profile, built_in, constant, load_profile, parse_profile
from schemas.errors import BadInputError


def parsed(toml: str) -> Profile:
    return parse_profile(tomllib.loads(toml), "load.toml")


def shape(profile: Profile) -> list[tuple[float, float, float]]:
    return [(phase.seconds, phase.begin, phase.end) for phase in profile.phases]


@pytest.mark.parametrize(
    ("text", "phase"),
    [
        ("0–60s: 1k→20k/s", (60, 1000, 20_000)),
        ("0-60s: 1k->20k/s", (60, 1000, 20_000)),
        (" 0 – 1.5m : 0.5k / s ", (90, 500, 500)),
        ("0s-1h: 2M/s", (3600, 2e6, 2e6)),
        ("0–500ms: 10→0/s", (0.5, 10, 0)),
    ],
)
def test_a_phase_as_text(text, phase):
    assert shape(parsed(f'phases = ["{text}"]')) == [phase]


def test_phases_follow_each_other_as_text_and_as_tables():
    texts = parsed('phases = ["0–60s: 1k→20k/s", "1-2m: 20k/s"]')
    tables = parsed(
        '[[phases]]\nfor = "60s"\nfrom = "1k"\nto = 20000\n[[phases]]\nfor = 60\nrate = "20k"'  # both ways of a number
    )
    assert texts == tables
    assert (texts.seconds, texts.records) == (120, 630_000 + 1_200_000)


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("", "no phases"),
        ("phases = []", "no phases"),
        ('phases = ["0–60s: fast"]', "phase 1, '0–60s: fast', cannot be read"),
        ('phases = ["0–60s: 1k"]', "cannot be read"),
        ('phases = ["0–60: 1k/s"]', "cannot be read"),
        ('phases = ["0–60s: 1k/s", "70–80s: 1k/s"]', "phase 2, '70–80s: 1k/s', begins at 70 s, .* ends at 60 s"),
        ('phases = ["5–60s: 1k/s"]', "begins at 5 s"),
        ('phases = ["0–0s: 1k/s"]', "ends before it begins"),
        ('phases = ["0–60s: 0/s"]', "no phase asks for a record"),
        ('phases = ["0–60s: 1k/s", 5]', "phase 2, 5, is no text as others are"),
        ("phases = [5]", "phase 1, 5: "),
        ('phases = ["0–60s: 1k/s"]\nname = "x"', "name: Extra inputs"),
        ('[[phases]]\nfor = "60s"\nfrom = "1k"', "phase 1, .*to: Field required"),
        ('[[phases]]\nfor = "soon"\nrate = 5', "phase 1, .*for: .*'soon' is no time"),
        ('[[phases]]\nfor = 5\nrate = "many"', "'many' is no rate"),
        ("[[phases]]\nfor = 5\nrate = -1", "greater than or equal to 0"),
        ("[[phases]]\nfor = 5\nrate = 5\nfrom = 1", "give one of them"),
        ("[[phases]]\nfor = inf\nrate = 5\n[[phases]]\nfor = 1\nrate = 5", "phase 1 has no end"),
    ],
)
def test_what_is_wrong_is_named_with_its_phase(toml, said):
    with pytest.raises(BadInputError, match=f"load.toml: .*{said}"):
        parsed(toml)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    path = tmp_path / "load.toml"
    with pytest.raises(BadInputError, match=r"load\.toml: .*No such file"):
        load_profile(path)
    path.write_text("phases = [")
    with pytest.raises(BadInputError, match=r"load\.toml: Invalid value"):
        load_profile(path)
    path.write_text('phases = ["0–1s: 5/s"]', encoding="utf-8")
    assert load_profile(path).records == 5


def test_built_in_profiles_have_the_rate_and_the_length_asked_for():
    for name in BUILT_IN:
        profile = built_in(name, 500, 100)
        assert profile.seconds == pytest.approx(100)
        assert max(phase.end for phase in profile.phases) == 500
    assert shape(built_in("ramp", 100, 10)) == [(10, 0, 100)]
    assert shape(built_in("spike", 100, 10)) == [(4, 10, 10), (2, 100, 100), (4, 10, 10)]
    assert shape(built_in("step", 100, 10)) == [(2, rate, rate) for rate in (20, 40, 60, 80, 100)]
    assert built_in("soak", 5).seconds == SOAK_SECONDS
    assert math.isinf(constant(5).seconds)
    with pytest.raises(BadInputError, match=r"no profile 'peak'.*steady, ramp"):
        built_in("peak", 5)
    with pytest.raises(BadInputError, match="--rate 0"):
        built_in("steady", 0)
