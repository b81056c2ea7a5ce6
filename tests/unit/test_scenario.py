"""The schema of scenarios: wrong files name every error at once, and parts that do not fit together are refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from producers.scenario_files import parse_scenario, resolve_scenario
from schemas.errors import BadInputError, ExitCode
from schemas.scenario import Scenario
from schemas.scenario.sectors import Bills, CashlessChoice
from services.toml_text import lines as toml_lines
from tests.worlds import changed, document

# -- wrong files ---------------------------------------------------------------------------------------------

TEXT = "\n".join(toml_lines(resolve_scenario("an-giang").tree, with_files=False))
"""An Giang with all that it extends, in one file."""


def error_of(text: str) -> list[str]:
    """The lines of the error that a text gives."""
    with pytest.raises(BadInputError) as caught:
        parse_scenario(text, "place.toml")
    assert caught.value.stage == "scenario"
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    return str(caught.value).splitlines()


def figure(value: float) -> dict[str, Any]:
    return {"value": value, "source": "test"}


def edited(*edits: tuple[str, str]) -> str:
    text = TEXT
    for old, new in edits:
        assert text.count(old) >= 1
        text = text.replace(old, new, 1)
    return text


def test_every_error_is_named_at_once_with_file_key_value_and_what_is_allowed():
    first, *lines = error_of(
        edited(
            ("seed = 57", "seed = -1"),
            ("scale = { value = 0.4,", "scale = { value = 3,"),
            ('name = "Chợ Tròn"', 'naem = "Chợ Tròn"'),
            ("cashless_share = { value = 0.98", "cashless_share = { value = 1.1"),
            ("end = 2026-03-01", "end = 2025-11-30"),
            ('then = "cash"', 'then = "card"'),
            ('stalls = { value = 120, source = "assumed" }', "stalls = { value = 120 }"),
            ("vietqr = 0.8", "cheque = 0.8"),
            ("[0.95, 0.95, 0.95, 0.95, 1.0, 1.1, 1.1]", "[1.0, 1.0]"),
        )
    )
    assert first == "scenario: 10 errors"
    methods = "'cash', 'vietqr', 'e_wallet', 'card' or 'bank_transfer'"
    assert [line.removeprefix("  place.toml: ").split(". see ")[0] for line in lines] == [
        "seed = -1: input should be greater than or equal to 0",
        "scale.value = 3: input should be less than or equal to 1",
        "market.cong-su.stalls.source: missing, required",
        "market.tron.name: missing, required",
        "market.tron.naem = 'Chợ Tròn': no such key",
        "market_stall.weekday.value = [1.0, 1.0]: tuple should have at least 7 items after validation, not 2",
        f"market_stall.cashless.mix.value.cheque = 'cheque': input should be {methods}",
        "electricity.business.cashless_share.value = 1.1: input should be less than or equal to 1",
        "intervention.stands: end 2025-11-30 must be after start 2025-12-01",
        "intervention.switch-down.then = 'card': input should be 'cash' or 'retry'",
    ]
    assert lines[-1].endswith("see docs/scenarios.md, and docs/parameters.md for what each key takes")


def test_a_list_with_a_wrong_item_is_one_error():
    first, line = error_of(edited(("[0, 0, 0, 0, 0, 6, 10", "[-1, 0, 0, 0, 0, 6, 10")))
    assert first == "scenario: 1 error"
    assert "hours.dawn.value.0 = -1: input should be greater than or equal to 0" in line


@pytest.mark.parametrize("figure", ["inf", "nan", "-inf", "true", '"170"', "[170.0]", "2025-11-17", "0.0", "-3.0"])
def test_a_figure_is_a_finite_number(figure):
    _, line = error_of(edited(("usage_median = { value = 170.0", f"usage_median = {{ value = {figure}")))
    assert "electricity.usage_median.value = " in line


@pytest.mark.parametrize("count", ["120.0", "true", '"120"', "0", "1e2"])
def test_a_number_of_things_is_a_whole_number(count):
    _, line = error_of(edited(("stalls = { value = 120,", f"stalls = {{ value = {count},")))
    assert "market.cong-su.stalls.value = " in line


def test_a_whole_number_is_a_figure_too():
    text = edited(("usage_median = { value = 170.0", "usage_median = { value = 170"))
    assert parse_scenario(text, "place.toml").scenario.electricity.usage_median.value == 170


def test_toml_errors_come_with_their_line():
    line = TEXT.splitlines().index("seed = 57") + 1
    (message,) = error_of(edited(("seed = 57", "seed = = 57")))
    assert re.match(rf"scenario: place\.toml: not TOML: .*\(at line {line}, column 8\)", message)


def test_a_key_given_twice_is_an_error_of_the_toml():
    (message,) = error_of(edited(("seed = 57", "seed = 57\nseed = 58")))
    assert "not TOML" in message


@pytest.mark.parametrize("start", ["1999-12-31", "2099-01-01", "20251117", '"soon"'])
def test_a_start_outside_the_times_of_events(start):
    _, line = error_of(edited(("start = 2025-11-17", f"start = {start}")))
    assert "place.toml: start = " in line


def test_what_does_not_fit_together_is_named_line_by_line():
    first, *lines = error_of(
        edited(
            ('commune = "kien-luong"', 'commune = "kien"'),
            ('hours = "dawn"', 'hours = "dwan"'),
            ("{ dawn = 0.5, day", "{ night = 0.5, day"),
            ('hours = "bills"', 'hours = "desk"'),
            ("communes = { value = 102", "communes = { value = 3"),
            ('id = "tron"', 'id = "cong-su"'),
            ('place = ["u-minh-thuong"]', 'place = ["u-minh", "an-giang-c103", "an-giang"]'),
        )
    )
    assert first == "scenario: 10 errors"
    profiles = "dawn, day, evening, bills, clinic, office, online, delivery, payout"
    assert [line.removeprefix("  place.toml: ").split(". see ")[0] for line in lines] == [
        "market.id 'cong-su' stands 2 times",
        "4 communes are named, province.communes is 3",
        "market cong-su: commune 'kien' is not among u-minh-thuong, an-minh, van-khanh, kien-luong",
        "intervention teams-u-minh-thuong: place 'u-minh' is no commune or market of the scenario",
        "intervention teams-u-minh-thuong: place 'an-giang-c103' is no commune or market of the scenario",
        "intervention stands: place 'tron' is no commune or market of the scenario",
        "intervention swapped-codes: place 'tron' is no commune or market of the scenario",
        f"market cong-su: hour profile 'dwan' is not among {profiles}",
        f"markets.hours night: hour profile 'night' is not among {profiles}",
        f"electricity: hour profile 'desk' is not among {profiles}",
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"commune.1.id": "u-minh-thuong"}, "commune.id 'u-minh-thuong' stands 2 times"),
        ({"market.0.id": "an-minh"}, "market an-minh: a commune has the same id"),
        ({"market.0.id": "an-giang-m007"}, "an-giang-m007: ids such as an-giang-c001 and an-giang-m001 are kept"),
        ({"commune.1.id": "an-giang-c9"}, "an-giang-c9: ids such as"),
        ({"hours.day.value": [0] * 24}, "hours.day: all weights are 0"),
        ({"market.0.hours": "dusk"}, "market cong-su: hour profile 'dusk' is not among dawn, day, evening, bills"),
        ({"public_service.online_hours": "dusk"}, "public_service.online_hours: hour profile 'dusk'"),
        ({"ecommerce.delivery_hours": "dusk"}, "ecommerce.delivery_hours: hour profile 'dusk'"),
        ({"intervention.teams.place": ["an-giang-m203"]}, "intervention teams: place 'an-giang-m203' is no commune"),
        ({"intervention.teams.id": "stands"}, "intervention.id 'stands' stands 2 times"),
        ({"market.0.using_start": figure(0.7)}, "market cong-su: using_start 0.7 is above showing_start 0.6"),
        ({"market.0.showing_start": figure(0.3)}, "market cong-su: using_start 0.35 is above showing_start 0.3"),
        (
            {"commune.0.active_start": figure(0.8)},
            "commune u-minh-thuong: active_start 0.8 is above eligible_start 0.75",
        ),
        (
            {"commune.van-khanh.eligible_start": figure(0.96)},
            "van-khanh: eligible_start 0.96 is above 0.95, the ceiling",
        ),
        ({"water.hours": "dusk"}, "water: hour profile 'dusk'"),
    ],
)
def test_each_thing_that_does_not_fit_together(changes, words):
    with pytest.raises(ValidationError, match=re.escape(words)):
        Scenario.model_validate(changed(changes))


def test_places_made_up_by_rule_may_be_named():
    places = ["an-giang", "an-giang-c005", "an-giang-c102", "an-giang-m003", "an-giang-m202"]
    assert Scenario.model_validate(changed({"intervention.teams.place": places})).intervention


@pytest.mark.parametrize("id_", ["", "Cong-su", "cong su", "cong/su", "-cong", "cong--su", "x" * 41, "chợ"])
def test_ids_are_short_plain_words(id_):
    with pytest.raises(ValidationError, match=r"market\.0\.id"):
        Scenario.model_validate(changed({"market.0.id": id_}))


@pytest.mark.parametrize("limits", [(60_000, 50_000, 70_000), (1, 50_000, 40_000), (9_000, 5_000, 4_000)])
def test_amounts_rise_from_the_least_by_the_median_to_the_most(limits):
    names = [f"market_stall.amount_{name}_vnd.value" for name in ("min", "median", "max")]
    with pytest.raises(ValidationError, match="must rise"):
        Scenario.model_validate(changed(dict(zip(names, limits, strict=True))))


# -- tariffs and mixes ---------------------------------------------------------------------------------------


def with_tariff(*bounds: float | None) -> dict[str, Any]:
    steps = [{"vnd_per_unit": 2000, "source": "test"} | ({"up_to": bound} if bound else {}) for bound in bounds]
    return document()["electricity"] | {"tariff": steps}


@pytest.mark.parametrize("bounds", [(None,), (50, None), (50, 100, 200.5, None)])
def test_a_tariff_rises_to_a_last_step_without_bound(bounds):
    bills = Bills.model_validate(with_tariff(*bounds))
    assert [step.up_to for step in bills.tariff] == list(bounds)


@pytest.mark.parametrize(
    "bounds", [(50,), (50, 100), (100, 50, None), (50, 50, None), (None, None), (50, None, 100), (None, 50), (-1, None)]
)
def test_other_tariffs_are_refused(bounds):
    with pytest.raises(ValidationError, match=r"must rise, and only the last step has none|greater than 0"):
        Bills.model_validate(with_tariff(*bounds))


def test_a_tariff_has_a_step():
    with pytest.raises(ValidationError, match="tariff"):
        Bills.model_validate(document()["electricity"] | {"tariff": []})


@pytest.mark.parametrize("price", [0, -1, 1984.5, 10_000_000_001])
def test_a_price_is_whole_vnd_above_zero(price):
    rule = with_tariff(None)
    rule["tariff"][0]["vnd_per_unit"] = price
    with pytest.raises(ValidationError, match="vnd_per_unit"):
        Bills.model_validate(rule)


def mixed(**weights: float) -> dict[str, Any]:
    return document()["water"]["cashless"] | {"mix": {"value": weights, "source": "test"}}


def test_a_mix_needs_no_method_but_one():
    assert CashlessChoice.model_validate(mixed(card=2.0)).mix.value == {"card": 2.0}


@pytest.mark.parametrize("weights", [{}, {"card": 0}, {"vietqr": 1, "cash": 0}, {"vietqr": 1, "cash": 1}])
def test_a_mix_is_of_cashless_methods_with_weight(weights):
    with pytest.raises(ValidationError, match="needs weights of cashless methods only: vietqr, e_wallet, card, bank"):
        CashlessChoice.model_validate(mixed(**weights))


@pytest.mark.parametrize("weights", [{"vietqr": -1, "card": 2}, {"cheque": 1}])
def test_a_mix_has_no_negative_weight_and_no_unknown_method(weights):
    with pytest.raises(ValidationError, match=r"mix\.value"):
        CashlessChoice.model_validate(mixed(**weights))
