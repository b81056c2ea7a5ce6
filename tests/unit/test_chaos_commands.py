"""`quetma chaos`: what its arguments ask for, what it says, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from schemas.errors import BadInputError
from services.chaos.faults import OF_BROKER, OF_LINKS, Kind
from services.chaos.run import Chaos, Course, Setting, given
from services.chaos_commands import course_of, lines_of
from tests.chaos.settings import setting_of


def course(**arguments: Any) -> Course:
    default = {"for_": None, "faults": None, "seed": 1, "rate": None, "without": []}
    return course_of("an-giang", **(default | arguments))


def test_time_and_number_of_faults_follow_from_each_other() -> None:
    assert (course().faults, course().seconds) == (50, 300.0)
    assert (course(faults=10).faults, course(faults=10).seconds) == (10, 60.0)
    assert (course(for_="1m").faults, course(for_="1s").faults) == (10, 1)
    assert (course(for_="10s", faults=9).faults, course(for_="10s", faults=9).seconds) == (9, 10.0)


@pytest.mark.parametrize("wrong", [{"rate": 0.0}, {"rate": float("nan")}, {"for_": "soon"}])
def test_what_is_not_allowed_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        course(**wrong)


def setting_for(broker: str) -> Setting:
    return given("127.0.0.1:9", session_seconds=6.0) if broker == "given" else setting_of(broker)


def kinds_of(setting: Setting, without: frozenset[Kind], tmp_path: Path) -> set[Kind]:
    return {fault.kind for fault in Chaos(Course("an-giang", 1, 30, 60.0, without), setting, tmp_path, print).plan}


@pytest.mark.parametrize(
    ("broker", "left_out"), [("embedded", OF_BROKER), ("kafka", frozenset[Kind]()), ("given", OF_BROKER | OF_LINKS)]
)
def test_each_broker_has_the_faults_that_apply_to_it(broker: str, left_out: frozenset[Kind], tmp_path: Path) -> None:
    setting = setting_for(broker)
    assert set(setting.left_out) == left_out
    assert kinds_of(setting, frozenset(), tmp_path) == set(Kind) - left_out
    assert kinds_of(setting, frozenset({Kind.KILL_WORKER}), tmp_path) == set(Kind) - left_out - {Kind.KILL_WORKER}


def test_pauses_are_longer_than_the_session_of_a_given_cluster(tmp_path: Path) -> None:
    others = frozenset(Kind) - {Kind.PAUSE_WORKER}
    course = Course("an-giang", 1, 30, 60.0, others)
    for broker, least in (("given", 7.0), ("kafka", 4.0)):
        pauses = [fault.seconds for fault in Chaos(course, setting_for(broker), tmp_path, print).plan]
        assert len(pauses) == 30
        assert least <= min(pauses) <= max(pauses) <= least + 2


def test_a_plan_without_any_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no kind of fault"):
        kinds_of(setting_for("embedded"), frozenset(Kind) - OF_BROKER, tmp_path)


REPORT: dict[str, Any] = {
    "faults": {"total": 2, "by_kind": {"kill-worker": 1, "stall": 1}},
    "seconds": 31.2,
    "seed": 4,
    "left_out": {"kill-broker": "why"},
    "recovery_seconds": {"median": 2.5, "maximum": 4.0, "never": 0},
    "payments": {"ledger": 1000, "aggregates": 1000},
    "amount_vnd": {"ledger": 5000, "aggregates": 5000},
    "records": {"topic": 1015, "payments": 1000, "duplicates": 11, "dead_letters": 4},
    "objections": [],
    "exact": True,
}


def test_report_for_people() -> None:
    good = "\n".join(lines_of(REPORT))
    assert "1,015 = payments 1,000 + duplicates 11 + dead letters 4" in good
    assert good.endswith("exact: nothing lost, nothing twice")
    bad = lines_of({**REPORT, "exact": False, "objections": ["payments: ledger 1, aggregates 2"]})
    assert bad[-2:] == ["  payments: ledger 1, aggregates 2", "NOT exact"]
