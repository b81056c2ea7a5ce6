"""The report: simulate what the checks need, run them all, and put the outcome into words.

In: a scenario, a seed, how many days. Out: `Report`, as a table, as Markdown or as one object.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any

from producers.simulation.lunar import tet
from producers.simulation.world import World, build_world
from schemas.events import SECTORS
from schemas.scenario import Scenario
from schemas.scenario.interventions import LunarMarketDays, Tet
from services.fidelity import amounts, causes, choice, demand, life, probes, sizes
from services.fidelity.check import Check, Verdict, level
from services.fidelity.span import Span, observe

MOST_PAYMENTS = 8_000_000
"""Of the main span; above it only a part of the communes is simulated."""
SOME_PAYMENTS = 1_000_000
"""Of each other span."""
PLAIN_DAYS, AROUND_TET_DAYS = 7, 14
NO_DAY_EFFECT = 1e9
"""Shape of the gamma effect with which counts are Poisson."""


@dataclass(frozen=True)
class Report:
    """Checks, and what they looked at."""

    scenario: str
    seed: int
    days: int
    part: int
    """Every so-manieth commune was simulated."""
    payments: int
    checks: tuple[Check, ...]

    @property
    def level(self) -> float:
        """The p-value below which a check fails."""
        return level(self.checks)

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.verdict(self.level) == "fail")

    def document(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        checks = [
            {
                "check": check.name,
                "expected": check.expected,
                "source": check.source,
                "measured": check.measured,
                "statistic": check.statistic,
                "p": check.p,
                "verdict": check.verdict(self.level),
            }
            for check in self.checks
        ]
        return {
            "scenario": self.scenario,
            "seed": self.seed,
            "days": self.days,
            "part": f"1/{self.part}",
            "payments": self.payments,
            "level": self.level,
            "passed": not self.failed,
            "checks": checks,
        }

    def summary(self) -> str:
        """Return the outcome in one line."""
        verdicts = [check.verdict(self.level) for check in self.checks]
        counted = ", ".join(f"{verdicts.count(one)} {word}" for one, word in _WORDS.items() if verdicts.count(one))
        part = "" if self.part == 1 else f", one commune of {self.part}"
        return (
            f"{self.scenario}, seed {self.seed}, {self.days} days{part}, {self.payments:,} payments: {counted}; "
            f"a check fails below p = {self.level:.1e}"
        )

    def markdown(self) -> str:
        """Return the report as a Markdown document."""
        rows = [f"| {' | '.join(_cell(one) for one in line_of(check, self.level))} |" for check in self.checks]
        head = [
            f"# Fidelity of {self.scenario}",
            "",
            self.summary() + ".",
            "",
            f"| {' | '.join(HEAD)} |",
            "|---" * len(HEAD) + "|",
        ]
        return "\n".join([*head, *rows, ""])


_WORDS: dict[Verdict, str] = {"pass": "passed", "fail": "FAILED", "nothing to check": "without data"}
HEAD = ("check", "expected", "after", "measured", "statistic", "p", "verdict")


def line_of(check: Check, below: float) -> tuple[str, ...]:
    """Return a check as the cells of a table."""
    p = "" if check.p is None else f"{check.p:.3g}"
    return check.name, check.expected, check.source, check.measured, check.statistic, p, check.verdict(below)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def make_report(scenario: Scenario, seed: int, days: int) -> Report:
    """Run all checks on a scenario.

    Sectors that have no payments in the span, such as tuition between two terms, are checked in the days around Tết,
    which begin when bills of the second term are sent.
    """
    part = _part(scenario, days, MOST_PAYMENTS)
    world = build_world(scenario, seed, (1, part))
    span, later = observe(world, days, wire=True), _around_tet(scenario, seed)
    here = [sector for sector in SECTORS if len(span.asked(sector))]
    seen = [(span, here), (later, [sector for sector in SECTORS if sector not in here])]
    checks = [
        *(check for one, sectors in seen for check in demand.arrivals(one, sectors)),
        *(check for sector in demand.BY_CHANCE for check in demand.counts(span, sector)),
        *_without_day_effect(scenario, seed),
        *demand.dated_factors(span, "market_stall", LunarMarketDays),
        *(check for sector in demand.MOVED_BY_TET for check in demand.dated_factors(later, sector, Tet)),
        *(check for one, sectors in seen for check in amounts.amounts(one, sectors)),
        amounts.popularity(span),
        *amounts.bills(span),
        *(check for one, sectors in seen for check in choice.shares(one, sectors)),
        *causes.outages(span),
        *(check for one, sectors in seen for check in life.failures(one, sectors)),
        *life.afterwards(span),
        *life.chains(span),
        *life.stream_faults(span),
        *sizes.sizes(world),
        *probes.probes(_small(scenario, seed)),
    ]
    return Report(scenario.name, seed, days, part, len(span), tuple(checks))


def _part(scenario: Scenario, days: int, most: int) -> int:
    """Return of how many communes one has to be simulated, so that there are so many payments at most."""
    stalls = sum(market.stalls.value for market in scenario.market)
    stalls += round(scenario.markets.count.value * scenario.markets.stalls_median.value * 1.2)
    bought = stalls * scenario.market_stall.payments_per_stall_day.value * scenario.scale.value
    billed = 0.07 * scenario.province.households.value * scenario.scale.value
    return max(1, min(ceil((bought + billed) * days / most), scenario.province.communes.value // 2))


def _small(scenario: Scenario, seed: int) -> World:
    """Return a world for all spans with probes together."""
    return build_world(scenario, seed, (1, _part(scenario, probes.DAYS * (1 + len(probes.PROBES)), SOME_PAYMENTS)))


def _without_day_effect(scenario: Scenario, seed: int) -> Iterator[Check]:
    """The same purchases without the day's gamma effect: then their counts are Poisson."""
    shape = scenario.market_stall.day_shape.model_copy(update={"value": NO_DAY_EFFECT})
    plain = scenario.model_copy(update={"market_stall": scenario.market_stall.model_copy(update={"day_shape": shape})})
    world = build_world(plain, seed, (1, _part(plain, PLAIN_DAYS, SOME_PAYMENTS)))
    yield from demand.counts(observe(world, PLAIN_DAYS), "market_stall", "no day effect")


def _around_tet(scenario: Scenario, seed: int) -> Span:
    """Simulate the days around the next Tết, two weeks before its factor begins to one after it ends."""
    rows = [row for row in scenario.intervention if isinstance(row, Tet)]
    before = max((row.days_before.value for row in rows), default=0)
    after = max((row.holiday_days.value for row in rows), default=0)
    start = tet(scenario.start.year + 1).date - dt.timedelta(days=before + AROUND_TET_DAYS)
    days = before + after + AROUND_TET_DAYS * 3 // 2
    moved = scenario.model_copy(update={"start": start})
    part = 1 if any(row.place for row in rows) else _part(moved, days, SOME_PAYMENTS)
    return observe(build_world(moved, seed, (1, part)), days)
