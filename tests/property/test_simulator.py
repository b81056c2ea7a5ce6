"""The exactness protocol in simulated worlds: `python -m tests.simulator` runs as many schedules as one likes.

Any order of crashes, late writes, holes, compactions and rival owners comes to the same; and where the protocol is made
wrong on purpose, the simulator says so.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import tests.simulator
from tests.simulator.__main__ import main
from tests.simulator.kinds import Totals
from tests.simulator.mutants import MUTANTS
from tests.simulator.real import REAL_LOGS, real
from tests.simulator.schedules import failure, first_failure, minimised, read, run, schedule_of

LINES = (Path(tests.simulator.__file__).parent / "regressions.txt").read_text(encoding="utf-8").splitlines()
REGRESSIONS = [line.split(" = ") for line in LINES if line and not line.startswith("#")]
MODEL_SCHEDULES, REAL_SCHEDULES = 5_000, 400
FOUND_SOON = ("ConstantEpoch", "MixedLineages", "OwnStateFirst", "WritesOnlyWhatChanged", "SweepFirst", "DeafToHoles")


@pytest.mark.parametrize(("kind", "count"), [("model", MODEL_SCHEDULES), ("real", REAL_SCHEDULES)])
def test_every_schedule_keeps_the_invariants(kind, count):
    totals = Totals()
    for seed in range(count):
        schedule = schedule_of(seed, kind)
        try:
            run(schedule, totals)
        except Exception as error:  # noqa: BLE001  # any end but a good one is told with its schedule
            pytest.fail(f"seed {seed}: {error!r}; python -m tests.simulator --replay '{minimised(schedule)}'")
    tame = [name for name, value in vars(totals).items() if not value and name != "stale_newest"]
    assert not tame, "else it would show less than it says"


@pytest.mark.parametrize(("name", "line"), REGRESSIONS, ids=[name for name, _ in REGRESSIONS])
def test_schedules_that_found_something(name, line):
    assert not failure(read(line))
    if name in MUTANTS:
        assert failure(read(line), MUTANTS[name])


def test_every_mutant_has_a_schedule():
    assert {name for name, _ in REGRESSIONS} >= MUTANTS.keys()


@pytest.mark.parametrize("name", FOUND_SOON)
def test_a_wrong_protocol_is_found_by_chance(name):
    system = MUTANTS[name]
    found = first_failure(range(4_000), system)
    assert found is not None
    shortest = minimised(found, system)
    assert len(shortest.actions) <= len(found.actions)
    assert failure(read(str(shortest)), system) == failure(shortest, system) != ""


def test_one_seed_is_one_schedule():
    assert schedule_of(7) == schedule_of(7) != schedule_of(8)
    assert read(str(schedule_of(7, "real"))) == schedule_of(7, "real")


def test_the_real_logs_have_everything_in_them():
    kinds = [real(seed) for seed in range(REAL_LOGS)]
    ends = [document for kind in kinds for document in kind.told[-1].values()]
    assert sum(one["final"] for one in ends) > 100
    assert sum(bool(one.get("outside_windows")) for one in ends) > 10
    for what in ("repeated", "late", "set_aside"):
        assert sum(len(getattr(kind.reference, what)) for kind in kinds) > 50
    assert any(kind.log[-1].offset in kind.reference.set_aside for kind in kinds)


def test_the_command_prints_totals(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["simulator", "--schedules", "300", "--seed", "5"])
    assert main() == 0
    assert "schedules 300," in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["simulator", "--replay", str(schedule_of(3))])
    assert main() == 0
