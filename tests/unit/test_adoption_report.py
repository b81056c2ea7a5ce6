"""The adoption report: thinned histories, labels that do not overlap, pictures that say what they show."""

from __future__ import annotations

import builtins
import datetime as dt
import json
import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from producers.scenario_files import load_scenario
from producers.simulation.status import coverage, status
from schemas.errors import BadInputError
from services.adoption_report.history import history, without
from services.adoption_report.labels import LINE_PX, spread
from services.adoption_report.picture import Counterfactual, document_of, fingerprint, png_of, svg_of
from services.adoption_report.programme_rows import Bar, Ticks, programme_rows
from services.cli import build_app
from tests.adoption_worlds import day, programme
from tests.worlds import FEW, scenario

PICTURES = Path("docs/pictures")
PROVINCES = ("bac-giang", "phu-tho", "hung-yen", "an-giang")
TEAMS = ("teams", "teams-an-minh", "teams-u-minh-thuong")
FIVE_YEARS = 1826
SMALL = scenario(FEW)
MAX_BYTES = 200_000
SVG = "{http://www.w3.org/2000/svg}"


def run(*words):
    return CliRunner().invoke(build_app(), ["report", "adoption", *words])


# -- histories -----------------------------------------------------------------------------------------------


def test_a_short_history_has_every_day_and_the_one_behind_the_last():
    found = history(SMALL, 57, 30)
    assert found.dates == tuple(SMALL.start + dt.timedelta(days=number) for number in range(31))
    assert {len(line) for fan in found.shares.values() for line in (fan.whole, fan.low, fan.high)} == {31}
    assert [year.date for year in found.years] == [str(SMALL.start), str(SMALL.start + dt.timedelta(days=30))]


def test_a_long_history_is_thinned_to_weeks_and_has_its_years():
    found = history(SMALL, 57, FIVE_YEARS)
    steps = {(later - earlier).days for earlier, later in pairwise(found.dates[:-1])}
    assert steps == {7}
    assert len(found.dates) < 300
    assert [year.date for year in found.years] == [f"{year}-11-17" for year in range(2025, 2031)]


def test_a_history_is_what_the_model_says():
    found = history(SMALL, 57, 20)
    model = day(found.world, 20)
    of_all = model.active.sum() / model.adults.sum()
    assert found.shares["active"].whole[-1] == pytest.approx(of_all, abs=1e-4)
    by_market = model.using / model.stalls
    assert found.shares["using"].low[-1] == pytest.approx(np.quantile(by_market, 0.1), abs=1e-4)
    assert found.shares["using"].high[-1] == pytest.approx(np.quantile(by_market, 0.9), abs=1e-4)
    assert found.communes["An Minh"][-1] == pytest.approx(model.active_share[1], abs=1e-4)
    assert found.markets["Chợ Tròn"][-1] == pytest.approx(by_market[1], abs=1e-4)
    green = status(found.world, model, coverage(found.world)).green.sum()
    assert found.green[-1] == found.years[-1].green == green
    assert found.years[-1].active == model.active.sum()


def test_without_drops_what_is_named_and_nothing_else():
    reduced = without(SMALL, ["teams-an-minh"])
    assert {row.id for row in SMALL.intervention} - {row.id for row in reduced.intervention} == {"teams-an-minh"}
    with pytest.raises(BadInputError, match="no intervention 'nothing'"):
        without(SMALL, ["teams", "nothing"])


def test_a_counterfactual_differs_only_where_the_teams_are():
    full, reduced = history(SMALL, 57, 90), history(without(SMALL, ["teams-an-minh", "teams"]), 57, 90)
    assert full.shares["active"].whole[0] == reduced.shares["active"].whole[0]
    assert full.communes["An Minh"][-1] > reduced.communes["An Minh"][-1]
    only = history(without(SMALL, ["teams-an-minh"]), 57, 90)
    assert full.communes["Vân Khánh"] == only.communes["Vân Khánh"]


# -- interventions -------------------------------------------------------------------------------------------


def test_rows_are_bars_by_their_start_then_ticks_within_the_span():
    rows = [
        programme("promotion", "2025-11-20", "2025-12-01", people=0.1, stalls=0.1),
        programme(
            "stall_stands", "2025-11-01", "2025-11-25", place=("tron",), make_share=0.7, use_share=0.5, delay_days=9.0
        ),
        programme("scam_warning", "2027-01-01", "2027-02-01", hazard=0.9, fraud=0.3),
    ]
    found = programme_rows(history(scenario({**FEW, "intervention": rows}), 57, 30), {"promotion"})
    assert found == [
        Bar("QR stands · Chợ Tròn", dt.date(2025, 11, 17), dt.date(2025, 11, 25), dropped=False),
        Bar("Promotion · the whole province", dt.date(2025, 11, 20), dt.date(2025, 12, 1), dropped=True),
    ]


def test_outages_and_tet_are_ticks():
    ticks = [row for row in programme_rows(history(SMALL, 57, 100)) if isinstance(row, Ticks)]
    assert [row.label for row in ticks] == ["Outages", "Tết"]
    assert ticks[1].days == (dt.date(2026, 2, 17),)


# -- labels --------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10), st.sampled_from([110.0, 190.0]))
def test_labels_keep_apart_and_in_order(values, height):
    pixels = [place * height for place in spread(values, top=1.0, height_px=height)]
    line, slack = min(LINE_PX, height / len(values)), 0.05
    order = sorted(range(len(values)), key=lambda one: values[one])
    assert all(pixels[upper] - pixels[lower] >= line - slack for lower, upper in pairwise(order))
    assert min(pixels) >= line / 2 - slack
    assert max(pixels) <= height - line / 2 + slack


def test_labels_that_have_room_stay_at_their_lines():
    assert spread([0.8, 0.2, 0.5], top=1.0, height_px=190.0) == [0.8, 0.2, 0.5]


# -- pictures ------------------------------------------------------------------------------------------------


def text_of(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_a_picture_names_what_it_shows_and_is_the_same_each_time():
    found = history(SMALL, 57, 40)
    document = document_of(found)
    drawn = svg_of(document, "Adoption & more")
    assert drawn == svg_of(document_of(history(SMALL, 57, 40)), "Adoption & more")
    words = " | ".join(filter(None, text_of(drawn)))
    for expected in (
        "An Giang",
        "eligible",
        "active",
        "use it",
        "Vân Khánh",
        "Chợ Tròn",
        "threshold",
        "Green communes",
    ):
        assert expected in words
    assert f"<desc>{fingerprint(document)}</desc>" in drawn
    assert not re.search(r"(?:href|src)=|@import|url\((?!#)", drawn)
    assert png_of(document).startswith(b"\x89PNG")


def test_a_counterfactual_picture_shows_both_and_what_was_added():
    full, reduced = history(SMALL, 57, 60), history(without(SMALL, TEAMS), 57, 60)
    words = " | ".join(filter(None, text_of(svg_of(document_of(full, Counterfactual(reduced, TEAMS)), "x"))))
    assert "with and without digital teams" in words
    assert re.search(r"[\d.]+% without", words)
    assert "What the digital teams add" in words


def test_the_reported_number_of_green_communes_is_in_the_picture_of_phu_tho():
    document = document_of(history(load_scenario("phu-tho"), 148, 1))
    assert any(row.get("v") == 130 for rows in document["datasets"].values() for row in rows)


@pytest.mark.parametrize("name", PROVINCES)
def test_the_pictures_of_the_documents_are_what_is_drawn_now(name):
    check_picture(f"adoption-{name}.svg", document_of(five_years(name)))


def test_the_counterfactual_of_the_documents_is_what_is_drawn_now():
    counterfactual = Counterfactual(five_years("an-giang", TEAMS), frozenset(TEAMS))
    check_picture("counterfactual-an-giang-teams.svg", document_of(five_years("an-giang"), counterfactual))


@cache
def five_years(name, dropped=()):
    loaded = load_scenario(name)
    return history(without(loaded, dropped), loaded.seed, FIVE_YEARS)


def check_picture(name, document):
    drawn = (PICTURES / name).read_text(encoding="utf-8")
    assert len(drawn.encode()) < MAX_BYTES
    assert f"<desc>{fingerprint(document)}</desc>" in drawn, "draw it again: make pictures"


# -- the command ---------------------------------------------------------------------------------------------


def test_the_command_draws_and_tells(tmp_path):
    out = tmp_path / "picture.svg"
    result = run("an-giang", "--days", "3", "--json", "--without", "teams", "--out", str(out))
    assert result.exit_code == 0, result.output
    ElementTree.parse(out)
    told = json.loads(result.stdout)
    assert (told["scenario"], told["seed"], told["days"], told["without"]) == ("an-giang", 57, 3, ["teams"])
    assert [row["date"] for row in told["rows"]] == ["2025-11-17", "2025-11-20"]
    assert set(told["rows"][0]) == {"date", "adults", "eligible", "active", "stalls", "showing", "using", "green"}
    assert len(told["rows_without"]) == 2


def test_the_command_prints_a_table_and_draws_here_if_not_told_otherwise(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("an-giang", "--days", "2")
    assert result.exit_code == 0, result.output
    assert "2025-11-19" in result.stdout
    assert (tmp_path / "adoption-an-giang.svg").read_text("utf-8").startswith("<svg")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--out", "picture.pdf"), "ends in .svg or .png"),
        (("--without", "nothing"), "no intervention 'nothing'"),
        (("--out", "no/such/folder/picture.svg"), "can be written"),
    ],
)
def test_the_command_refuses_what_it_cannot_do(words, found):
    result = run("an-giang", "--days", "1", *words)
    assert isinstance(result.exception, BadInputError)
    assert found in str(result.exception)


def test_without_the_extra_only_the_table_works(monkeypatch):
    real = builtins.__import__

    def missing(name, *rest, **more):
        if name == "services.adoption_report.picture":
            raise ModuleNotFoundError("No module named 'altair'", name="altair")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    refused = run("an-giang", "--days", "1")
    assert isinstance(refused.exception, BadInputError)
    assert refused.exception.exit_code == 2
    assert "altair is not installed" in str(refused.exception)
    assert "quetma[pictures]" in str(refused.exception)
    assert run("an-giang", "--days", "1", "--json").exit_code == 0
