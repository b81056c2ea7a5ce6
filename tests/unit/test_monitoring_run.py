"""The timeline of a watched run: what changed, and what was not as expected."""

from __future__ import annotations

import pytest

from producers.scenario_files import parse_scenario
from producers.simulation.world import build_world
from tests.monitoring_run import EXPECTED, SCENARIO, Timeline
from tests.rule_files import alerts

OUTAGE = {"labels": {"alertname": "QuetmaOutageSeen", "province": "an-giang"}}
SWAP = {"labels": {"alertname": "QuetmaSuspectedQrSwap", "province": "an-giang", "commune": "kien-luong"}}
LAG = {"labels": {"alertname": "QuetmaLagGrows"}}
Looks = list[list[tuple[dict[str, dict[str, str]], str]]]


def timeline_of(looks: Looks) -> Timeline:
    timeline = Timeline()
    for number, look in enumerate(looks):
        list(timeline.look([{**alert, "state": state} for alert, state in look], float(number), "-"))
    return timeline


GOOD: Looks = [[], [(OUTAGE, "firing")], [(SWAP, "firing"), (LAG, "pending")], []]


def test_tells_each_change_once() -> None:
    found = [(one.seconds, one.alert, one.state) for one in timeline_of([GOOD[0], GOOD[1], GOOD[1], *GOOD[2:]]).changes]
    assert found == [
        (1, "QuetmaOutageSeen{an-giang}", "firing"),
        (3, "QuetmaLagGrows{}", "pending"),
        (3, "QuetmaOutageSeen{an-giang}", "resolved"),
        (3, "QuetmaSuspectedQrSwap{an-giang, kien-luong}", "firing"),
        (4, "QuetmaLagGrows{}", "gone"),
        (4, "QuetmaSuspectedQrSwap{an-giang, kien-luong}", "resolved"),
    ]


@pytest.mark.parametrize(
    ("looks", "faults"),
    [
        (GOOD, []),
        ([*GOOD, [(LAG, "firing")], []], ["QuetmaLagGrows fired"]),
        ([*GOOD[:2], []], ["QuetmaSuspectedQrSwap did not fire"]),
        (GOOD[:3], ["QuetmaSuspectedQrSwap did not resolve"]),
        ([[(OUTAGE, "pending")], []], ["QuetmaOutageSeen did not fire", "QuetmaSuspectedQrSwap did not fire"]),
    ],
    ids=["as expected", "another", "too few", "no end", "only pending"],
)
def test_says_what_is_not_as_expected(looks: Looks, faults: list[str]) -> None:
    assert timeline_of(looks).faults == faults


def test_what_is_expected_exists() -> None:
    assert set(alerts()) > EXPECTED
    scenario = parse_scenario(SCENARIO, "watched.toml").scenario
    assert {"watched-outage", "watched-swap"} <= {one.id for one in scenario.intervention}
    assert build_world(scenario, scenario.seed).markets
