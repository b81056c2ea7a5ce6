"""Causes: a world with an intervention against the same world without it, draw for draw.

In: spans and worlds. Out: checks. What a cause does not reach must not differ in a single payment.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from producers.simulation.calendar import DAY_MS
from producers.simulation.columns import CASH, SETTLED, BoolArray, IntArray
from producers.simulation.world import World
from schemas.scenario.interventions import Outage
from services.fidelity.check import Check, exact, nothing
from services.fidelity.span import Span, observe

_COMPARED = ("within", "amount_vnd", "bill", "method", "status", "sequence", "attempt", "reason", "labels")


def with_interventions(world: World, rows: tuple[Any, ...]) -> World:
    """Return the world with other interventions, all else the same."""
    return replace(world, scenario=world.scenario.model_copy(update={"intervention": rows}))


def outages(span: Span) -> Iterator[Check]:
    """Each outage within a span: nothing cashless inside, and the purchases of its day as if there were none."""
    rows = [row for row in span.scenario.intervention if isinstance(row, Outage)]
    for row in rows:
        for number, (begin, end) in _days_of(row, span):
            reached = reached_sources(span.world, row.place)
            today = np.flatnonzero(span.day == number)
            inside = (span.within[today] >= begin) & (span.within[today] < end) & reached[span.source[today]]
            wrong = int((inside & (span.method[today] != CASH)).sum())
            name = f"outage {row.id}, {span.days[number].date}"
            key = f"intervention {row.id}"
            yield exact(
                f"{name}: inside", "no cashless payment", key, wrong=wrong, of=int(inside.sum()), what="payments inside"
            )
            without = with_interventions(span.world, tuple(one for one in span.scenario.intervention if one is not row))
            other = observe(without, len(span.days), only=number)
            yield _demand_kept(name, key, span, today, other)


def _days_of(row: Outage, span: Span) -> Iterator[tuple[int, tuple[float, float]]]:
    """Yield the days of a span that an outage touches, and from when to when, in milliseconds of the day."""
    for number, day in enumerate(span.days):
        midnight = dt.datetime.combine(day.date, dt.time())
        begin, end = ((moment - midnight).total_seconds() * 1000 for moment in (row.start, row.end))
        if begin < DAY_MS and end > 0:
            yield number, (begin, end)


def _demand_kept(name: str, key: str, span: Span, today: IntArray, other: Span) -> Check:
    """Hold purchases and VND of each till against those without the outage; cashless ones must have been moved."""
    size = span.world.source_count
    settled = today[span.status[today] == SETTLED]
    there = np.flatnonzero(other.status == SETTLED)
    wrong = np.zeros(size, dtype=bool)
    for weight in ("one", "amount_vnd"):
        mine, theirs = (
            np.bincount(
                one.source[rows], weights=one.amount_vnd[rows] if weight == "amount_vnd" else None, minlength=size
            )
            for one, rows in ((span, settled), (other, there))
        )
        wrong |= mine != theirs
    moved = int((span.labelled("outage_cash") | span.labelled("outage_retry"))[today].sum())
    if not moved:
        return nothing(f"{name}: demand", key, "it moved no payment")
    expected = "purchases and VND of each till as without it"
    check = exact(f"{name}: demand", expected, key, wrong=int(wrong.sum()), of=size, what="tills")
    return replace(check, statistic=f"{moved:,} payments moved")


def reached_sources(world: World, place: tuple[str, ...]) -> BoolArray:
    """Return the tills that places name, by province, commune or market."""
    everywhere = not place or world.scenario.province.id in place
    cells = [everywhere or cell.id in place or world.places[cell.commune].id in place for cell in world.cells]
    return np.array(cells)[world.cell_of_source]


def differing(one: Span, other: Span) -> BoolArray:
    """Return on which days which tills have other payments, shape (days, tills)."""
    tills = one.world.source_count
    keys = [span.day.astype(np.int64) * tills + span.source for span in (one, other)]
    counts = [np.bincount(key, minlength=len(one.days) * tills) for key in keys]
    differ = np.asarray(counts[0] != counts[1])
    orders = []
    for span, key in zip((one, other), keys, strict=True):
        rows = np.flatnonzero(~differ[key])
        orders.append(rows[np.lexsort((span.sequence[rows], key[rows]))])
    for name in _COMPARED:
        unequal = getattr(one, name)[orders[0]] != getattr(other, name)[orders[1]]
        differ[keys[0][orders[0][unequal]]] = True
    return differ.reshape(len(one.days), tills)
