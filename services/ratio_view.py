"""Cashless payments against those expected, by commune and province: what shows outages and falling adoption.

In: records of ``quetma.adoption.commune``, as documents. Out: the families of the ratio, over two windows.
Pure. ``latest`` is over the newest payments, ``days`` over whole simulated days that are past.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from schemas.metrics import families, family
from services.expected_shares import (
    BASELINE_DAYS,
    Counts,
    LatestWindow,
    Shares,
    Standardised,
    baseline,
    counts_of,
    grown,
    standardised,
)
from services.shown_runs import Document, ShownRuns

NAMES = ("quetma_commune_cashless_ratio", "quetma_province_cashless_ratio")
LATEST_EXPECTED: Final = 30.0
"""Cashless payments expected in a commune's ``latest`` window: that none of them comes has a chance of 1 in 10¹³."""
PROVINCE_LATEST_EXPECTED: Final = 300.0
"""The same of a province: more than one commune has in it."""
DAYS_EXPECTED: Final = 400.0
"""The least for ``days``: the ratio's standard error is then 5%."""
LEAST_BASELINE_DAYS: Final = 3
"""Days before a day that ``days`` needs; ``latest`` does with one."""
KEPT_DAYS: Final = 20


class _Commune:
    """What is known of one commune of a run."""

    def __init__(self, province: str) -> None:
        self.province = province
        self.latest = LatestWindow(LATEST_EXPECTED)
        self._days: dict[int, Document] = {}
        self._total: Counts | None = None
        self._revision = -1
        self._shares: Shares | None = None
        self._past: list[Standardised] | None = None

    def learn_day(self, document: Document) -> None:
        """Keep a day's newest record; what is derived from days is derived anew if a past one changed."""
        at = document["start_at"]
        known = self._days.get(at)
        if known is not None and (known["revision"], known["final"]) >= (document["revision"], document["final"]):
            return
        if known is None or at != max(self._days):
            self._shares = self._past = None
        self._days[at] = document
        if len(self._days) > KEPT_DAYS:
            del self._days[min(self._days)]

    def learn_total(self, document: Document) -> Standardised:
        """Return what came since the last record, against what was to be expected."""
        if document["revision"] <= self._revision:
            return Standardised()
        counts, before = counts_of(document["by_sector"]), self._total
        self._total, self._revision = counts, document["revision"]
        if before is None:
            return Standardised()
        part = standardised(grown(counts, before), self._current_shares())
        self.latest.add(part)
        return part

    def _current_shares(self) -> Shares:
        """Return the baseline of today: of the days before the newest one."""
        if self._shares is None:
            past = sorted(self._days)[:-1][-BASELINE_DAYS:]
            self._shares = baseline(counts_of(self._days[at]["by_sector"]) for at in past)
        return self._shares

    def past_days(self) -> list[Standardised]:
        """Return the days that are past and have a baseline, the newest first."""
        if self._past is None:
            counts = [counts_of(self._days[at]["by_sector"]) for at in sorted(self._days)]
            self._past = [
                standardised(counts[number], baseline(counts[max(0, number - BASELINE_DAYS) : number]))
                for number in range(len(counts) - 2, LEAST_BASELINE_DAYS - 1, -1)
            ]
        return self._past


class RatioView(Collector):
    """Collects at each scrape what `apply` has learnt."""

    def __init__(self, runs: ShownRuns) -> None:
        self._runs = runs
        self._communes: dict[tuple[str, str], _Commune] = {}
        self._latest: dict[str, LatestWindow] = {}

    def apply(self, document: Document) -> None:
        """Learn a commune's adoption record."""
        run, window = document["run"], document["window"]
        if "market" in document or window == "hour":
            return
        place = (run, document["commune"])
        if place not in self._communes:
            self._communes[place] = _Commune(document["province"])
        commune = self._communes[place]
        if window == "day":
            commune.learn_day(document)
            return
        if run not in self._latest:
            self._latest[run] = LatestWindow(PROVINCE_LATEST_EXPECTED)
        self._latest[run].add(commune.learn_total(document))

    def describe(self) -> Iterable[Family]:
        """Return the families without samples."""
        return families(NAMES)

    def collect(self) -> Iterator[Family]:
        """Yield both families."""
        shown = self._runs.names
        communes = [(name, one) for (run, name), one in list(self._communes.items()) if run in shown]
        yield self._by_commune(communes)
        yield self._by_province(one for _, one in communes)

    def _by_commune(self, communes: Iterable[tuple[str, _Commune]]) -> Any:
        ratios = family("quetma_commune_cashless_ratio")
        for name, commune in communes:
            _add(ratios, [commune.province, name], commune.latest.ratio, _over_days(commune.past_days()))
        return ratios

    def _by_province(self, communes: Iterable[_Commune]) -> Any:
        ratios = family("quetma_province_cashless_ratio")
        days: dict[str, Standardised] = {}
        for commune in communes:
            newest = next(iter(commune.past_days()), Standardised())
            days[commune.province] = days.get(commune.province, Standardised()) + newest
        for province, run in self._runs.by_province.items():
            latest = self._latest[run].ratio if run in self._latest else None
            _add(ratios, [province], latest, _over_days([days.get(province, Standardised())]))
        return ratios


def _over_days(days: Iterable[Standardised]) -> float | None:
    """Return the ratio over as many days, from the newest back, as have enough expected; None if all have not."""
    whole = Standardised()
    for day in islice(days, KEPT_DAYS):
        whole += day
        if whole.expected >= DAYS_EXPECTED:
            return whole.ratio
    return None


def _add(ratios: Any, labels: list[str], latest: float | None, days: float | None) -> None:
    for window, ratio in (("latest", latest), ("days", days)):
        if ratio is not None:
            ratios.add_metric([*labels, window], ratio)
