"""`quetma report fidelity`: its tests are tests, its verdicts are counted right, its output is what it says."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

from producers.scenario_files import load_scenario
from producers.simulation.world import build_world
from schemas.errors import BadInputError
from services import report_commands
from services.cli import build_app
from services.fidelity import check, report
from services.fidelity.check import Check
from services.fidelity.span import NOTHING, observe
from tests.worlds import FEW, world


def p_values(draw, count: int = 400) -> np.ndarray:
    random = np.random.default_rng(57)
    return np.array([draw(random) for _ in range(count)])


def uniform(found: np.ndarray) -> bool:
    return stats.kstest(found, "uniform").pvalue > 1e-3


def test_p_values_of_sums_are_uniform_if_all_is_well_and_small_if_not():
    chance = np.linspace(0.01, 0.3, 500)
    spread = chance * (1 - chance)
    moments = chance.sum(), spread.sum(), (spread * (1 - 2 * chance)).sum()
    assert uniform(p_values(lambda random: check.sum_p((random.random(500) < chance).sum(), *moments)[1]))
    assert check.sum_p(chance.sum() + 8 * np.sqrt(spread.sum()), *moments)[1] < 1e-9
    assert check.sum_p(5.0, 5.0, 0.0) == (0.0, 1.0)
    assert check.sum_p(5.1, 5.0, 0.0) == (0.0, 0.0)


@pytest.mark.parametrize("shape", [25.0, np.inf])
def test_p_values_of_spreads_are_uniform_if_all_is_well_and_small_if_not(shape):
    mean = np.linspace(50, 500, 300)

    def counts(random: np.random.Generator) -> np.ndarray:
        effect = 1.0 if np.isinf(shape) else random.gamma(shape, size=len(mean)) / shape
        return random.poisson(mean * effect).astype(float)

    assert uniform(p_values(lambda random: check.dispersion_p(counts(random), mean, 1 / shape)))
    other = 1 / 5 if np.isinf(shape) else 0.0
    assert check.dispersion_p(counts(np.random.default_rng(1)), mean, other) < 1e-9


def test_thin_bins_are_joined_and_nothing_is_lost():
    weights = np.array([0.0001] * 10 + [0.5] + [0.0001] * 30)

    def draw(random: np.random.Generator) -> float:
        found = check.chi_square("x", "", "", random.multinomial(20_000, weights / weights.sum()), weights)
        assert found.p is not None
        return found.p

    assert len(set(p_values(draw, 50))) > 10
    even = check.chi_square("x", "", "", np.full(8, 1000), np.ones(8))
    assert (even.p, even.statistic) == (1.0, "χ² = 0.0, df 7")
    assert check.chi_square("x", "", "", np.array([1000, 0]), np.ones(2)).p < 1e-100
    assert check.chi_square("x", "", "", np.array([3, 2]), np.ones(2)).verdict(0.5) == "nothing to check"


def test_what_cannot_be_fails_however_rare():
    found = check.chi_square("x", "", "", np.array([500, 500, 1]), np.array([1.0, 1.0, 0.0]))
    assert found.verdict(0.0) == "fail"


def test_verdicts_by_bonferroni():
    checks = [Check("", "", "", "", p=p) for p in (0.5, 0.00051, 0.00049)] + [Check("", "", "", "", holds=True)]
    checks.append(check.nothing("", "", ""))
    level = check.level(checks)
    assert level == pytest.approx(check.FALSE_ALARM / 3)
    assert [one.verdict(level) for one in checks] == ["pass", "pass", "pass", "pass", "nothing to check"]
    assert [one.verdict(0.0005) for one in checks[:3]] == ["pass", "pass", "fail"]
    assert Check("", "", "", "", p=float("nan")).verdict(level) == "fail"
    assert Check("", "", "", "", p=0.9, holds=False).verdict(level) == "fail"
    assert check.exact("", "", "", wrong=0, of=0, what="rows").verdict(level) == "nothing to check"
    assert check.binomial("", "", hits=0, of=0, share=0.1, what="rows").verdict(level) == "nothing to check"
    assert check.level([]) == check.FALSE_ALARM


def test_a_span_has_what_the_engine_makes():
    small = world(FEW)
    span, one = observe(small, 3), observe(small, 3, only=2)
    assert len(span.days) == 3
    assert len(span) == len(span.amount_vnd) == len(span.labels) > 100
    assert (np.diff(span.day) >= 0).all()
    last = span.day == 2
    assert one.source.tolist() == span.source[last].tolist()
    assert one.amount_vnd.tolist() == span.amount_vnd[last].tolist()
    refers = span.refers[span.refers != NOTHING]
    assert (refers >= 0).all()
    assert len(span.record) == 0


def make() -> report.Report:
    checks = (
        Check("one", "1", "key", "1 | 2", "z = 0", p=0.4),
        Check("two", "0", "key", "3", holds=False),
        check.nothing("three", "key", "no data"),
    )
    return report.Report("an-giang", 57, 30, 2, 1234, checks)


def test_a_report_as_an_object_and_as_markdown():
    made = make()
    document = made.document()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert (document["passed"], document["part"], document["level"]) == (False, "1/2", check.FALSE_ALARM)
    assert [one["verdict"] for one in document["checks"]] == ["pass", "fail", "nothing to check"]
    text = made.markdown()
    assert "| one | 1 | key | 1 \\| 2 | z = 0 | 0.4 | pass |" in text
    assert "1,234 payments: 1 passed, 1 FAILED, 1 without data" in text
    assert "one commune of 2" in text


def test_the_command_prints_a_table_or_an_object_and_fails_with_a_check(monkeypatch, tmp_path):
    monkeypatch.setattr(report_commands, "make_report", lambda *_: make())
    table = CliRunner().invoke(build_app(), ["report", "fidelity", "an-giang", "--out", str(tmp_path / "f.md")])
    assert table.exit_code == 1
    assert "nothing to check" in table.stdout
    assert (tmp_path / "f.md").read_text(encoding="utf-8") == make().markdown()
    object_ = CliRunner().invoke(build_app(), ["report", "fidelity", "an-giang", "--json"])
    assert json.loads(object_.stdout) == make().document()
    away = CliRunner().invoke(build_app(), ["report", "fidelity", "an-giang", "--out", str(tmp_path / "no" / "f.md")])
    assert isinstance(away.exception, BadInputError)


def test_a_whole_report_on_a_part_of_a_province(monkeypatch):
    monkeypatch.setattr(report, "MOST_PAYMENTS", 60_000)
    monkeypatch.setattr(report, "SOME_PAYMENTS", 60_000)
    made = report.make_report(load_scenario("an-giang"), 3, 4)
    assert made.part > 1
    assert made.payments < 120_000
    assert len(made.checks) > 110
    assert len({one.name for one in made.checks}) == len(made.checks)
    assert not made.failed


def test_a_smaller_part_has_the_same_places():
    whole, part = (build_world(load_scenario("an-giang"), 3, (1, count)) for count in (1, 20))
    assert whole.places == part.places
    assert len(part.cells) < len(whole.cells) / 15
