"""Actions: a scenario's own interventions with plain figures, usual ones where nothing is said, dates from a day."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import get_args

import pytest
from pydantic import TypeAdapter

from producers.scenario_files import load_scenario, scenario_names
from producers.simulation.calendar import Day
from producers.simulation.in_force import in_force
from producers.simulation.world import with_more
from schemas.errors import BadInputError
from schemas.scenario.actions import ACTIONS, ORDERED, USUAL, first_day, intervention_of, parse_action
from schemas.scenario.figures import Sourced
from schemas.scenario.interventions import Intervention
from tests.worlds import FEW, world

DAY = dt.date(2025, 11, 20)
ROW = TypeAdapter(Intervention)
ROWS = {get_args(row.model_fields["kind"].annotation)[0]: row for row in get_args(get_args(Intervention)[0])}


def test_every_kind_of_intervention_can_be_ordered():
    assert list(ACTIONS) == list(ROWS) == list(USUAL)


@pytest.mark.parametrize("kind", ACTIONS)
def test_an_action_has_the_figures_of_the_row_with_their_meaning_and_range(kind):
    row, action = ROWS[kind].model_fields, ACTIONS[kind].model_fields
    figures = {name for name, info in row.items() if name not in {"id", "source", "start", "end", "on"}}
    assert set(action) == figures | {"outage": {"at", "for_hours"}, "tet": set()}.get(kind, {"for_days"})
    own, ours = ROWS[kind].model_json_schema(), ACTIONS[kind].model_json_schema()
    for name in figures - {"kind", "place"}:
        info = row[name].annotation
        schema = own["properties"][name]
        assert ours["properties"][name]["description"] == schema["description"]
        if isinstance(info, type) and issubclass(info, Sourced):
            schema = TypeAdapter(info).json_schema()["properties"]["value"]
        known = {key: value for key, value in schema.items() if key not in {"title", "description", "default", "$ref"}}
        assert known.items() <= ours["properties"][name].items()


@pytest.mark.parametrize("kind", ACTIONS)
def test_an_action_that_says_nothing_has_the_usual_figures_and_makes_a_row_that_begins_on_its_day(kind):
    row = intervention_of(parse_action({"kind": kind}), "x", DAY)
    assert first_day(row) == DAY
    assert (row.id, row.kind, row.place, row.source) == ("x", kind, (), ORDERED)
    for name, info in type(row).model_fields.items():
        figure = getattr(row, name)
        if isinstance(figure, Sourced):
            assert (figure.value, figure.source) == (USUAL[kind][name], ORDERED)
        elif name in USUAL[kind] and info.is_required():
            assert figure == USUAL[kind][name]
    assert ROW.validate_json(row.model_dump_json()) == row


def test_usual_figures_are_those_of_scenarios_that_come_with_quetma():
    """But for how long it takes, and for teams: those are a commune's, and quick enough to be seen."""
    rows = [row for name in scenario_names() for row in load_scenario(name).intervention]
    for kind in ACTIONS:
        if kind == "digital_team":
            continue
        figures = {name: value for name, value in USUAL[kind].items() if name not in {"for_days", "for_hours", "at"}}
        found = [
            {name: getattr(getattr(row, name), "value", getattr(row, name)) for name in figures}
            for row in rows
            if row.kind == kind
        ]
        assert figures in found, kind


def test_days_and_hours_say_how_long_it_lasts():
    def row(kind, **more):
        return intervention_of(parse_action({"kind": kind, **more}), "x", DAY)

    assert row("promotion", for_days=1).end == dt.date(2025, 11, 21)
    assert row("fraud_wave", for_days=12).end == dt.date(2025, 12, 2)
    outage = row("outage", at="21:30", for_hours=4.5)
    assert (outage.start, outage.end) == (dt.datetime(2025, 11, 20, 21, 30), dt.datetime(2025, 11, 21, 2))  # noqa: DTZ001  # local
    tet = row("tet", days_before=3, holiday_days=2)
    assert tet.on == dt.date(2025, 11, 23)


@pytest.mark.parametrize(
    ("values", "found", "allowed"),
    [
        ({}, "kind", "give a kind: digital_team, "),
        ({"kind": "flood"}, "'flood'", "give a kind: digital_team, "),
        ({"kind": 7}, "kind", "give a kind: digital_team, "),
        ({"kind": "fraud_wave", "stalls": 1.5}, "stalls = 1.5", "fraud_wave takes place, for_days, stalls"),
        ({"kind": "fraud_wave", "stall": 0.5}, "stall = 0.5: no such key", "fraud_wave takes"),
        ({"kind": "fraud_wave", "stalls": "0.5"}, "stalls = '0.5'", "fraud_wave takes"),
        ({"kind": "fraud_wave", "for_days": 0}, "for_days = 0", "fraud_wave takes"),
        ({"kind": "fraud_wave", "for_days": 3.5}, "for_days = 3.5", "fraud_wave takes"),
        ({"kind": "fraud_wave", "place": ("Tròn",)}, "place.0 = 'Tròn'", "fraud_wave takes"),
        ({"kind": "fraud_wave", "start": "2025-11-20"}, "start = '2025-11-20': no such key", "fraud_wave takes"),
        ({"kind": "outage", "then": "wait"}, "then = 'wait': input should be 'cash' or 'retry'", "outage takes"),
        ({"kind": "outage", "at": "25:00"}, "at = '25:00'", "outage takes"),
        ({"kind": "outage", "at": "09:00+07:00"}, "local time, without an offset", "outage takes"),
        ({"kind": "outage", "for_hours": float("nan")}, "for_hours", "outage takes"),
        ({"kind": "lunar_market_days", "days": (31,)}, "days.0 = 31", "lunar_market_days takes"),
    ],
)
def test_what_is_wrong_is_said_with_key_value_and_what_is_allowed(values, found, allowed):
    with pytest.raises(BadInputError) as caught:
        parse_action(values)
    assert found in caught.value.found
    assert allowed in caught.value.fix


# -- Tết and market days with dates ---------------------------------------------------------------------------


def test_a_tet_of_a_date_is_that_day_alone_and_market_days_end():
    own = {"intervention": []}
    tet = intervention_of(parse_action({"kind": "tet", "days_before": 2, "holiday_days": 1}), "feast", DAY)
    days = intervention_of(
        parse_action({"kind": "lunar_market_days", "days": tuple(range(1, 31)), "for_days": 2}), "fair", DAY
    )
    of = with_more(world(FEW | own), [tet, days])
    found = [in_force(of.scenario, Day.of(DAY) + more) for more in range(-1, 5)]
    assert [one["tet"] for one in found] == [0, 1, 1, 1, 0, 0]
    assert [one["lunar_market_days"] for one in found] == [0, 1, 1, 0, 0, 0]
    assert not any(in_force(of.scenario, Day.of(dt.date(2026, 2, 17)))["tet"] for _ in [0])  # the moon's


def test_rows_without_a_date_are_written_as_before():
    row = next(row for row in load_scenario("an-giang").intervention if row.kind == "tet")
    assert "on" not in row.model_dump(mode="json")
    dated = intervention_of(parse_action({"kind": "tet"}), "x", DAY)
    assert dated.model_dump(mode="json")["on"] == "2025-12-04"


# -- worlds with more ------------------------------------------------------------------------------------------


def test_a_world_does_not_depend_on_the_order_of_what_is_put_into_it():
    rows = [intervention_of(parse_action({"kind": kind}), f"z-{kind.replace('_', '-')}", DAY) for kind in ACTIONS]
    base = world(FEW)
    there, back = with_more(base, rows), with_more(base, reversed(rows))
    assert there.scenario == back.scenario
    assert there.scenario.intervention[: len(base.scenario.intervention)] == base.scenario.intervention
    assert (there.places, there.markets, there.cells) == (base.places, base.markets, base.cells)


@pytest.mark.parametrize(
    ("id_", "place", "found"),
    [
        ("teams", (), "teams: the scenario has an intervention of this name"),
        ("x", ("nowhere",), "intervention x: place 'nowhere' is no commune or market of the scenario"),
    ],
)
def test_what_does_not_fit_into_a_world_is_refused(id_, place, found):
    row = intervention_of(parse_action({"kind": "promotion", "place": place}), id_, DAY)
    with pytest.raises(BadInputError, match=found):
        with_more(world(FEW), [row])
    with pytest.raises(BadInputError, match="'x' stands 2 times"):
        with_more(world(FEW), [intervention_of(parse_action({"kind": "promotion"}), "x", DAY)] * 2)


def test_outages_are_in_force_on_each_day_that_they_touch():
    row = intervention_of(parse_action({"kind": "outage", "at": "12:00", "for_hours": 12.0}), "x", DAY)
    of = with_more(world(FEW | {"intervention": []}), [row])
    assert [in_force(of.scenario, Day.of(DAY) + more)["outage"] for more in (-1, 0, 1)] == [0, 1, 0]


def test_the_documents_name_every_kind_and_its_usual_figures():
    page = Path("docs/reference.md").read_text(encoding="utf-8")
    for kind, usual in USUAL.items():
        for name in usual:
            assert f"| `{kind}` | `{name}` |" in page
