"""The scenarios that come with Quetma say what the reports say, with a source for all; extending keeps its rules."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from producers.scenario_files import base_values, load_scenario, parse_scenario, resolve_scenario, scenario_names
from schemas.errors import BadInputError
from schemas.scenario.merging import file_of, grow, leaves, merge, plain
from services.scenario_commands import app
from services.toml_text import lines
from tests.worlds import SCENARIOS, document

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ["an-giang", "bac-giang", "hung-yen", "phu-tho"]
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


def rows(name: str) -> dict[str, Any]:
    """The interventions of a scenario by id."""
    return {row.id: row for row in load_scenario(name).intervention}


# -- the scenarios that come with Quetma ---------------------------------------------------------------------


def test_there_are_four_and_the_base_is_none():
    assert scenario_names() == NAMES
    with pytest.raises(BadInputError, match=r"'vietnam' is a base to extend, no scenario.* give one of an-giang, bac-"):
        load_scenario("vietnam")


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_under_its_own_name(name):
    loaded = load_scenario(name)
    assert (loaded.name, loaded.province.id) == (name, name)
    assert load_scenario(str(SCENARIOS / f"{name}.toml")) == loaded


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_stands_beside_its_source(name):
    found = list(figures(document(name)))
    assert len(found) > 300
    assert [path for path, sourced in found if not sourced] == [".seed"]


@pytest.mark.parametrize("name", NAMES)
def test_every_source_is_listed_or_says_that_it_is_assumed(name):
    page = Path("docs/sources.md").read_text(encoding="utf-8")
    listed = tuple(re.findall(r"^\| ([^|]+?) +\|", page, re.MULTILINE)[1:])
    found = list(sources(document(name)))
    assert len(found) > 150
    assert [source for source in found if source != "assumed" and not source.startswith(listed)] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_electricity_tariff_is_the_national_one(name):
    bills = load_scenario(name).electricity
    assert [(step.up_to, step.vnd_per_unit) for step in bills.tariff] == EVN_TARIFF
    assert bills.vat.value == 0.08


@pytest.mark.parametrize("name", NAMES)
def test_what_happens_everywhere_happens_in_each_province(name):
    assert rows(name)["tet"].factor.value == 1.3
    for day in (27, 31):
        outage = rows(name)[f"napas-2025-10-{day}"]
        assert (str(outage.start), str(outage.end)) == (f"2025-10-{day} 00:00:00", f"2025-10-{day} 01:00:00")


def test_the_reports_figures_are_taken_over():
    an_giang, bac_giang = load_scenario("an-giang"), load_scenario("bac-giang")
    hung_yen, phu_tho = load_scenario("hung-yen"), load_scenario("phu-tho")
    tron = next(market for market in an_giang.market if market.id == "tron")
    assert tron.stalls.value == 293
    shoppers = tron.payments_per_stall_day.value * tron.stalls.value / 2.5
    assert 300 <= shoppers <= 500
    assert next(one for one in an_giang.commune if one.id == "an-minh").dossiers_online_start.value == 300 / 2_000
    assert an_giang.market_stall.amount_min_vnd.value == 5_000
    assert 15_000 < an_giang.market_stall.amount_median_vnd.value < 170_000
    shift = bac_giang.hours["shift"].value
    assert shift.index(max(shift)) == 18
    open_hours = [hour for hour, weight in enumerate(an_giang.hours["dawn"].value) if weight]
    assert open_hours == [5, 6, 7, 8, 9, 10]  # Lạc Tánh market: 5 to 11
    assert bac_giang.public_service.online_start.value == 0.8047
    assert hung_yen.public_service.online_start.value == 0.96
    assert phu_tho.province.communes.value == 148
    assert phu_tho.markets.count.value == 3 * 81


def test_the_programmes_are_as_large_as_reported():
    teams = [row.members.value for row in rows("an-giang").values() if row.kind == "digital_team"]
    assert sum(teams) == 8_000
    assert rows("an-giang")["teams-an-minh"].members.value == 90
    taught, literacy = rows("bac-giang")["team-nghia-hung"], rows("hung-yen")["digital-literacy"]
    for row, households, tolerance in ((taught, 150, 0), (literacy, 250_000, 1_000)):
        days = (row.end - row.start).days
        visits = row.members.value * row.visits_per_member_day.value * days
        assert visits == pytest.approx(households, abs=tolerance)


# -- names and files -----------------------------------------------------------------------------------------


def test_a_name_that_is_not_there():
    with pytest.raises(
        BadInputError, match=r"no scenario 'angiang'\. give one of an-giang, .*phu-tho, or a \.toml file"
    ):
        load_scenario("angiang")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(BadInputError, match=r"none\.toml"):
        load_scenario(str(tmp_path / "none.toml"))


def test_a_file_that_is_not_text(tmp_path):
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe0"')
    with pytest.raises(BadInputError, match="UTF-8"):
        load_scenario(str(tmp_path / "latin.toml"))


# -- extending -----------------------------------------------------------------------------------------------


def written(folder: Path, **texts: str) -> str:
    """Files with these texts; the path of the last."""
    for name, text in texts.items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return str(folder / f"{name}.toml")


def message(path: str) -> str:
    with pytest.raises(BadInputError) as caught:
        load_scenario(path)
    return str(caught.value)


def test_tables_merge_by_key_figures_and_lists_are_replaced_rows_merge_by_id(tmp_path):
    path = written(
        tmp_path,
        mine="""
        extends = "an-giang"
        without = ["swapped-codes", "tron"]
        adoption.people.imitation = { value = 0.9, source = "assumed" }
        electricity.tariff = [{ vnd_per_unit = 2000, source = "assumed" }]
        [[intervention]]
        id = "stands"
        place = ["cong-su"]
        [[intervention]]
        id = "teams"
        members = { value = 1, source = "assumed" }
        [[intervention]]
        id = "pensions"
        kind = "pensions_to_accounts"
        start = 2025-12-01
        end = 2026-12-01
        share = { value = 0.5, source = "assumed" }
        source = "assumed"
        """,
    )
    mine, base = load_scenario(path), load_scenario("an-giang")
    people = base.adoption.people.imitation.model_copy(update={"value": 0.9, "note": "", "source": "assumed"})
    assert mine.adoption.people == base.adoption.people.model_copy(update={"imitation": people})
    assert [step.vnd_per_unit for step in mine.electricity.tariff] == [2000]
    assert [market.id for market in mine.market] == ["cong-su"]
    kept = [row.id for row in base.intervention if row.id != "swapped-codes"]
    assert [row.id for row in mine.intervention] == [*kept, "pensions"]
    teams = {row.id: row for row in mine.intervention}["teams"]
    assert (teams.members.value, teams.members.note) == (1, "")
    assert teams.effect == rows("an-giang")["teams"].effect
    assert (mine.seed, mine.hours, mine.commune) == (base.seed, base.hours, base.commune)


def test_a_chain_of_paths_begins_at_each_files_own_folder(tmp_path):
    (tmp_path / "inner").mkdir()
    written(tmp_path / "inner", a='extends = "bac-giang"\nseed = 1', b='extends = "a.toml"\ntitle = "B"')
    resolved = resolve_scenario(written(tmp_path, c='extends = "inner/b.toml"\nname = "c"'))
    assert (resolved.scenario.seed, resolved.scenario.title, resolved.scenario.name) == (1, "B", "c")
    files = {key: leaf.file.rsplit("/", 1)[-1] for key, leaf in leaves(resolved.tree)}
    assert [files[key] for key in ("name", "title", "seed", "start", "scale")] == [
        "c.toml", "b.toml", "a.toml", "bac-giang.toml", "vietnam.toml"
    ]  # fmt: skip


def test_a_circle_is_named(tmp_path):
    path = written(tmp_path, a='extends = "b.toml"', b='extends = "a.toml"')
    assert re.search(r"a\.toml: extends = 'b\.toml' leads back to itself", message(path))
    assert "leads back to itself" in message(written(tmp_path, self='extends = "self.toml"'))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('extends = "vietnm"', r"mine\.toml: extends = 'vietnm': no such scenario\. give one of an-giang, .*vietnam"),
        ('extends = "../x.toml"', r"mine\.toml: extends = '\.\./x\.toml': no such file\. give a path relative to /"),
        ("extends = 3", r"mine\.toml: extends = 3\. give a name or a \.toml file"),
        (
            'extends = "an-giang"\nwithout = ["tet", "no", "an-minh"]',
            r"mine\.toml: without: no no, an-minh\. give ids of",
        ),
        ('extends = "an-giang"\nwithout = "tet"', r"mine\.toml: without = 'tet'\. give a list of ids"),
        ('without = ["tet"]', r"mine\.toml: without = \['tet'\], but it extends nothing"),
    ],
)
def test_what_cannot_be_extended(tmp_path, text, words):
    assert re.search(words, message(written(tmp_path, mine=text)))


def test_errors_name_the_file_of_the_chain_that_has_the_value(tmp_path):
    base = 'extends = "an-giang"\nseed = -1\n[[market]]\nid = "tron"\nstalls = { value = 0, source = "assumed" }\n'
    own = """
    extends = "base.toml"
    scale = { value = 2, source = "assumed" }
    vat = 1
    [[market]]
    id = "moi"
    name = "Chợ Mới"
    [[intervention]]
    id = "teams"
    kind = "team"
    """
    first, *rest = message(written(tmp_path, base=base, own=own)).splitlines()
    assert first == "scenario: 9 errors"
    assert re.findall(r"/(\w+)\.toml: (\S+?):? ", "\n".join(rest)) == [
        ("base", "seed"),
        ("own", "scale.value"),
        ("base", "market.tron.stalls.value"),
        ("own", "market.moi.commune"),
        ("own", "market.moi.stalls"),
        ("own", "market.moi.hours"),
        ("own", "market.moi.source"),
        ("own", "intervention.teams"),
        ("own", "vat"),
    ]


def test_two_rows_of_one_id_in_one_file_are_refused(tmp_path):
    twice = '[[intervention]]\nid = "tet"\nplace = ["an-minh"]\n' * 2
    assert "intervention.tet" in message(written(tmp_path, mine=f'extends = "an-giang"\n{twice}'))


def test_the_example_of_the_page_holds():
    page = Path("docs/scenarios.md").read_text(encoding="utf-8")
    (text,) = (block for block in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if "extends" in block)
    found = {row.id: row for row in parse_scenario(text, "docs").scenario.intervention}
    assert found["teams"].members.value == 3 * rows("an-giang")["teams"].members.value
    assert "vouchers" in found
    assert not {"swapped-codes", "tet"} & set(found)


@pytest.mark.parametrize("kind", ["tet", "outage", "digital_team", "cash_shock", "promotion", "fraud_wave"])
def test_the_page_says_where_each_kind_is_used(kind):
    page = Path("docs/scenarios.md").read_text(encoding="utf-8")
    (line,) = (line for line in page.splitlines() if line.startswith("| `") and f"`{kind}`" in line)
    for name in (*NAMES, "vietnam"):
        own = document(name)["intervention"] if name in NAMES else plain(base_values(name)["intervention"])
        inherited = {row["id"] for row in plain(base_values("vietnam")["intervention"])}
        uses = any(row["kind"] == kind and (name == "vietnam" or row["id"] not in inherited) for row in own)
        told = name in line or (kind == "outage" and name not in ("phu-tho", "vietnam"))
        assert uses == told, name


# -- merging, for any documents ------------------------------------------------------------------------------

words = st.sampled_from(["a", "b", "c", "value", "id"])
values = st.recursive(
    st.integers(0, 3) | st.sampled_from(["x", "y"]),
    lambda inner: st.dictionaries(words, inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(st.sampled_from(["a", "b", "c"]), values, max_size=3)


@given(documents)
def test_a_tree_keeps_a_document(one):
    tree = grow(one, "f") if "value" not in one else {}
    assert plain(tree) == one
    assert all(leaf.file == "f" for _, leaf in leaves(tree))


@given(documents, documents)
def test_what_the_later_file_says_at_the_top_is_there_and_the_rest_is_the_bases(base, over):
    merged = merge(grow(base, "base"), grow(over, "over"))
    result = plain(merged)
    assert set(result) == set(base) | set(over)
    assert all(result[key] == base[key] for key in set(base) - set(over))
    for key in set(over) - {key for key in base if isinstance(base[key], (dict, list))}:
        assert result[key] == over[key]
        assert isinstance(over[key], (dict, list)) or file_of(merged, (key,)) == "over"


@given(documents)
def test_merging_a_document_with_itself_or_nothing_changes_no_value(one):
    tree = grow(one, "f")
    assert plain(merge(tree, {})) == plain(merge({}, tree)) == one


# -- commands ------------------------------------------------------------------------------------------------


def output(*words: str) -> str:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("name", NAMES)
def test_show_prints_toml_of_the_whole_scenario(name):
    shown = output("show", name)
    assert tomllib.loads(shown) == document(name)
    assert re.search(rf"^seed = \d+  # {name}\.toml$", shown, re.MULTILINE)
    assert re.search(r"^vat = { value = 0.08, source = \"EVN tariff .*}  # vietnam\.toml$", shown, re.MULTILINE)
    assert parse_scenario("\n".join(lines(resolve_scenario(name).tree, with_files=False)), "one").document == document(
        name
    )


def test_show_as_json_is_one_object_of_the_same():
    shown = json.loads(output("show", "phu-tho", "--json"))
    assert shown == json.loads(json.dumps(document("phu-tho"), default=str))
    assert shown["start"] == "2025-10-20"


def test_list_names_all_with_their_size():
    listed = output("list").splitlines()
    assert [line.split()[0] for line in listed[1:]] == NAMES
    assert re.fullmatch(r" phu-tho +Phú Thọ +2025-10-20 +148 +243 *", listed[-1])
    assert json.loads(output("list", "--json"))[0] == {
        "name": "an-giang", "title": "An Giang", "start": "2025-11-17", "communes": 102, "markets": 202
    }  # fmt: skip


def test_check_says_what_is_in_it():
    size, places, found = output("check", "an-giang").splitlines()
    assert re.fullmatch(r"an-giang: 102 communes, 1,20\d,\d{3} households, 3,1\d\d,\d{3} adults", size)
    assert re.fullmatch(r"202 markets, 2\d,\d{3} stalls, 12 interventions", places)
    figures_, assumed = map(int, re.findall(r"\d+", found))
    assert 0 < assumed < figures_
