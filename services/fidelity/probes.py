"""Probes: each kind of intervention, strong and in one commune, against the same world without it.

In: a world. Out: checks: nothing differs before it starts, nothing elsewhere, and in its place all goes the right way.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from producers.simulation.calendar import Day
from producers.simulation.columns import CASH
from producers.simulation.world import World
from schemas.scenario.interventions import Intervention
from services.fidelity.causes import differing, outages, with_interventions
from services.fidelity.check import Check, exact
from services.fidelity.span import Span, observe

DAYS, START = 6, 2
"""Days of a comparison, and the index of the one on which the probe begins."""
_BY_COMMUNE = ("eligible", "active", "account_share", "dossiers_online")
_parse: TypeAdapter[Any] = TypeAdapter(Intervention)
Measure = Callable[[Span, int], float]


def _last(name: str) -> Measure:
    """Measure a part of the last day's state in a commune; of markets, their sum."""

    def measure(span: Span, commune: int) -> float:
        state = getattr(span.adoption[-1], name)
        if name in _BY_COMMUNE:
            return float(state[commune])
        return float(state[[market.commune == commune for market in span.world.markets]].sum())

    return measure


def _here(which: Callable[[Span], Any]) -> Measure:
    """Measure how many payments in a commune are of some sort."""
    return lambda span, commune: float(which(span)[span.world.commune_of_source[span.source] == commune].sum())


@dataclass(frozen=True)
class Probe:
    """An intervention, and what it should move."""

    kind: str
    figures: Mapping[str, float]
    measure: Measure
    rises: bool = True
    words: Mapping[str, str] = field(default_factory=dict)
    """Its other keys."""


_CASHLESS = _here(lambda span: span.method != CASH)
PROBES = (
    Probe(
        "digital_team",
        {"members": 5000, "visits_per_member_day": 5.0, "effect": 1.0, "delay_days": 1.0},
        _last("active"),
    ),
    Probe("stall_stands", {"make_share": 0.9, "use_share": 1.0, "delay_days": 1.0}, _last("using")),
    Probe("promotion", {"people": 50.0, "stalls": 50.0}, _last("active")),
    Probe("pensions_to_accounts", {"share": 0.9}, _last("account_share")),
    Probe("cash_shock", {"choice": 2.0, "hazard": 10.0}, _CASHLESS),
    Probe("scam_warning", {"hazard": 0.0, "fraud": 0.0}, _last("active"), rises=False),
    Probe("fraud_wave", {"stalls": 1.0}, _here(lambda span: span.labelled("fraud"))),
    Probe("outage", {"retry_after_seconds": 600.0}, _CASHLESS, rises=False, words={"scope": "network", "then": "cash"}),
    Probe(
        "outage",
        {"retry_after_seconds": 600.0},
        _here(lambda span: span.labelled("outage_retry")),
        words={"scope": "switch", "then": "retry"},
    ),
)


def probes(world: World) -> Iterator[Check]:
    """Put each probe into a commune of a world."""
    commune = world.cells[0].commune
    without = observe(with_interventions(world, ()), DAYS)
    for probe in PROBES:
        row = row_of(probe, world, commune)
        span = observe(with_interventions(world, (row,)), DAYS)
        yield from compare(span, without, probe, commune)
        if probe.kind == "outage":
            yield from outages(span)


def compare(span: Span, without: Span, probe: Probe, commune: int) -> Iterator[Check]:
    """Hold a span that has a probe in a commune against one that has not."""
    there = span.world.commune_of_source == commune
    differ = differing(span, without)
    early, elsewhere = int(differ[:START].sum()), int(differ[:, ~there].sum())
    for number, (one, other) in enumerate(zip(span.adoption, without.adoption, strict=True)):
        for name in _BY_COMMUNE:
            moved = getattr(one, name) != getattr(other, name)
            elsewhere += int(np.delete(moved, commune).sum())
            early += int(moved.sum()) if number <= START else 0
    name = " ".join([probe.kind, *list(probe.words.values())[1:]])
    key = f"schemas.scenario.interventions: {probe.kind}"
    yield exact(
        f"{name}: before it starts", "no difference", key, wrong=early, of=differ[:START].size, what="till-days"
    )
    yield exact(
        f"{name}: elsewhere", "no difference", key, wrong=elsewhere, of=differ[:, ~there].size, what="till-days"
    )
    found, was = probe.measure(span, commune), probe.measure(without, commune)
    right = found > was if probe.rises else found < was
    measured = f"{found:,.5g}, without it {was:,.5g}"
    statistic = f"{int(differ.sum()):,} till-days differ"
    expected = "more with it" if probe.rises else "less with it"
    yield Check(f"{name}: in its place", expected, key, measured, statistic, holds=right)


def row_of(probe: Probe, world: World, commune: int) -> Any:
    """Return the intervention of a probe in a commune."""
    start = Day.of(world.scenario.start) + START
    begin: dt.date = start.date
    end: dt.date = (start + DAYS).date
    if probe.kind == "outage":
        begin, end = (dt.datetime.combine(start.date, dt.time(hour)) for hour in (8, 10))
    figures = {name: {"value": value, "source": "a probe"} for name, value in probe.figures.items()}
    row = {"id": f"probe-{'-'.join(list(probe.words.values())[1:]) or 'one'}", "kind": probe.kind, "source": "a probe"}
    place = (world.places[commune].id,)
    return _parse.validate_python({**row, "place": place, "start": begin, "end": end, **probe.words, **figures})
