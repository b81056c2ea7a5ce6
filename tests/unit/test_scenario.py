"""Scenario files: the two that come with Quetma hold, and wrong ones name every error at once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from producers.scenario_files import load_scenario, scenario_names
from schemas.errors import BadInputError, ExitCode
from schemas.scenario import Bills, CashlessChoice, Scenario, parse_scenario, read_scenario
from tests.worlds import SCENARIOS, changed, document

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ["an-giang", "bac-giang"]
NAMED_SOURCES = (
    "Ministry of Science and Technology, 2025-11-17",
    "Báo Văn Hóa, 2025-06-23",
    "EVN tariff",
    "baobacgiang.vn",
    "baodanang",
    "daitruyenthanhkl",
    "vietnam.vn",
)
"""How a source begins that is not the word "assumed"."""
EVN_TARIFF = [(50, 1984), (100, 2050), (200, 2380), (300, 2998), (400, 3350), (None, 3460)]
"""Households, from 2025-05-10, VND per kWh before 8% VAT."""


def figures(part: Any, path: str = "", *, sourced: bool = False) -> Iterator[tuple[str, bool]]:
    """The path of every number, and whether a table that holds it names a source."""
    if isinstance(part, dict):
        sourced = sourced or "source" in part
        for name, value in part.items():
            yield from figures(value, f"{path}.{name}", sourced=sourced and name != "source")
    elif isinstance(part, list):
        for value in part:
            # a list of tables, such as [[market]], has figures of its own: each needs its own source
            yield from figures(value, path, sourced=sourced and not isinstance(value, dict))
    elif isinstance(part, (int, float)):
        yield path, sourced


def sources(part: Any) -> Iterator[str]:
    for name, value in part.items() if isinstance(part, dict) else enumerate(part):
        if name == "source":
            yield value
        elif isinstance(value, (dict, list)):
            yield from sources(value)


# -- the scenarios that come with Quetma ---------------------------------------------------------------------


def test_there_are_two():
    assert scenario_names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_under_its_own_name(name):
    loaded = load_scenario(name)
    assert (loaded.name, loaded.province.id) == (name, name)
    assert load_scenario(str(SCENARIOS / f"{name}.toml")) == loaded


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_stands_beside_its_source(name):
    found = list(figures(document(name)))
    assert len(found) > 60
    assert [path for path, sourced in found if not sourced] == [".seed"]


@pytest.mark.parametrize("name", NAMES)
def test_every_source_is_named_or_says_that_it_is_assumed(name):
    found = list(sources(document(name)))
    assert len(found) > 60
    unnamed = [source for source in found if source != "assumed" and not source.startswith(NAMED_SOURCES)]
    assert unnamed == []


@pytest.mark.parametrize("name", NAMES)
def test_the_electricity_tariff_is_the_national_one(name):
    bills = load_scenario(name).electricity
    assert [(step.up_to, step.vnd_per_unit) for step in bills.tariff] == EVN_TARIFF
    assert bills.vat.value == 0.08
    assert bills.cashless_share.value == 0.8596


def test_the_reports_figures_are_taken_over():
    an_giang, bac_giang = load_scenario("an-giang"), load_scenario("bac-giang")
    tron = next(market for market in an_giang.market if market.id == "tron")
    assert tron.stalls.value == 293
    shoppers = tron.payments_per_stall_day.value * tron.stalls.value / 2.5
    assert 300 <= shoppers <= 500
    assert an_giang.market_stall.amount_min_vnd.value == 5_000
    assert 15_000 < an_giang.market_stall.amount_median_vnd.value < 170_000
    shift = bac_giang.hours["shift"].value
    assert shift.index(max(shift)) == 18
    open_hours = [hour for hour, weight in enumerate(an_giang.hours["dawn"].value) if weight]
    assert open_hours == [5, 6, 7, 8, 9, 10]  # Lạc Tánh market: 5 to 11


def test_a_name_that_is_not_there():
    with pytest.raises(
        BadInputError, match=r"no scenario 'angiang'\. give one of an-giang, bac-giang, or a \.toml file"
    ):
        load_scenario("angiang")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(BadInputError, match=r"none\.toml"):
        load_scenario(str(tmp_path / "none.toml"))


def test_a_file_that_is_not_text(tmp_path):
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe0"')
    with pytest.raises(BadInputError, match="UTF-8"):
        read_scenario(tmp_path / "latin.toml")


# -- wrong files ---------------------------------------------------------------------------------------------

TEXT = (SCENARIOS / "an-giang.toml").read_text(encoding="utf-8")


def error_of(text: str) -> list[str]:
    """The lines of the error that a text gives."""
    with pytest.raises(BadInputError) as caught:
        parse_scenario(text, "place.toml")
    assert caught.value.stage == "scenario"
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    return str(caught.value).splitlines()


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
            ("cashless_share = { value = 0.8596", "cashless_share = { value = 1.0"),
            ('stalls = { value = 120, source = "assumed" }', "stalls = { value = 120 }"),
            ("vietqr = 0.80", "cheque = 0.80"),
            ("[0.95, 0.95, 0.95, 0.95, 1.0, 1.1, 1.1]", "[1.0, 1.0]"),
        )
    )
    assert first == "scenario: 8 errors"
    methods = "'cash', 'vietqr', 'e_wallet', 'card' or 'bank_transfer'"
    assert [line.removeprefix("  place.toml: ").split(". see ")[0] for line in lines] == [
        "seed = -1: input should be greater than or equal to 0",
        "scale.value = 3: input should be less than or equal to 1",
        "market.0.stalls.source: missing, required",
        "market.1.name: missing, required",
        "market.1.naem = 'Chợ Tròn': no such key",
        "market_stall.weekday.value = [1.0, 1.0]: tuple should have at least 7 items after validation, not 2",
        f"market_stall.cashless.mix.value.cheque.[key] = 'cheque': input should be {methods}",
        "electricity.cashless_share.value = 1.0: input should be less than 1",
    ]
    assert lines[-1].endswith("see docs/scenarios.md for what each key takes")


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
    assert "market.0.stalls.value = " in line


def test_a_whole_number_is_a_figure_too():
    text = edited(("usage_median = { value = 170.0", "usage_median = { value = 170"))
    assert parse_scenario(text, "place.toml").electricity.usage_median.value == 170


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


def test_dangling_references_are_named_together():
    _, line = error_of(
        edited(
            ('commune = "kien-luong"', 'commune = "kien"'),
            ('hours = "dawn"', 'hours = "dwan"'),
            ("{ dawn = 0.5, day", "{ night = 0.5, day"),
            ('hours = "bills"', 'hours = "office"'),
            ("communes = { value = 102", "communes = { value = 3"),
            ('id = "tron"', 'id = "cong-su"'),
        )
    )
    for words in (
        "market cong-su: commune 'kien' is not among u-minh-thuong, an-minh, van-khanh, kien-luong",
        "market cong-su: hour profile",
        "markets.hours night: hour profile 'night' is not among dawn, day, evening, bills",
        "electricity: hour profile 'office' is not among",
        "4 communes are named, province.communes is 3",
        "market.id 'cong-su' stands 2 times",
    ):
        assert words in line


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"commune.1.id": "u-minh-thuong"}, "commune.id 'u-minh-thuong' stands 2 times"),
        ({"market.0.id": "an-minh"}, "market an-minh: a commune has the same id"),
        ({"market.0.id": "an-giang-m007"}, "an-giang-m007: ids such as an-giang-c001 and an-giang-m001 are kept"),
        ({"commune.1.id": "an-giang-c9"}, "an-giang-c9: ids such as"),
        ({"hours.day.value": [0] * 24}, "hours.day: all weights are 0"),
        ({"market.0.hours": "dusk"}, "market cong-su: hour profile 'dusk' is not among dawn, day, evening, bills"),
        ({"water.hours": "dusk"}, "water: hour profile 'dusk'"),
    ],
)
def test_what_does_not_fit_together(changes, words):
    with pytest.raises(ValidationError, match=re.escape(words)):
        Scenario.model_validate(changed(changes))


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
