"""The picture of a province's adoption, as one Vega-Lite document and as SVG or PNG.

In: a history, and one without some interventions if wanted. Out: a document; SVG or PNG.
The SVG needs nothing from elsewhere, is the same bytes each time, and its ``<desc>`` has the hash of what was drawn.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from html import escape
from typing import Any

import altair as alt
import vl_convert

from services.adoption_report.canvas import GREY, INK, STRONG, WEAK, Canvas, Layer
from services.adoption_report.history import History, Line
from services.adoption_report.panels import (
    Share,
    difference_panel,
    green_panel,
    index_panel,
    programme_panel,
    share_panel,
)
from services.adoption_report.programme_rows import programme_rows

FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
"""The first is the one that the drawing measures with; the others are as wide."""
PNG_SCALE = 2.0
PADDING_PX = 14
INDEX_PARTS = ("accounts", "active", "stalls", "dossiers", "coverage")


@dataclass(frozen=True)
class Counterfactual:
    """A history without some of the interventions, and their ids."""

    history: History
    dropped: Collection[str]


def document_of(history: History, counterfactual: Counterfactual | None = None) -> dict[str, Any]:
    """Return the picture as a Vega-Lite document."""
    canvas = Canvas(history.dates)
    other = counterfactual.history if counterfactual else None
    dropped = counterfactual.dropped if counterfactual else ()
    panels = [
        *_shares(canvas, history, other),
        _index(canvas, history) if other is None else _differences(canvas, history, other, dropped),
        _green(canvas, history, other),
        _programmes(canvas, history, dropped),
    ]
    name = history.world.scenario.province.name
    heading = f"{name}: how people and stalls take up cashless payment"
    if dropped:
        heading = f"{name}: with and without {_kinds(history, dropped)}"
    title = alt.TitleParams(heading, subtitle=_about(history), fontSize=18, subtitleFontSize=12, offset=16)
    chart = alt.vconcat(*panels, spacing=20).properties(title=title, padding=PADDING_PX)
    document: dict[str, Any] = _styled(chart).to_dict(validate=False)
    return {**document, "datasets": canvas.datasets}


def svg_of(document: dict[str, Any], title: str) -> str:
    """Return a document as SVG that says what it is."""
    drawn: str = vl_convert.vegalite_to_svg(document)
    head, mark, rest = drawn.partition(">")
    return f"{head}{mark}<title>{escape(title)}</title><desc>{fingerprint(document)}</desc>{rest}\n"


def png_of(document: dict[str, Any]) -> bytes:
    """Return a document as PNG."""
    drawn: bytes = vl_convert.vegalite_to_png(document, scale=PNG_SCALE)
    return drawn


def fingerprint(document: dict[str, Any]) -> str:
    """Return the SHA-256 of a document, whatever the version of its schema."""
    drawn = {key: value for key, value in document.items() if key != "$schema"}
    return hashlib.sha256(json.dumps(drawn, sort_keys=True).encode()).hexdigest()


def _styled(chart: Layer) -> Layer:
    axis = {"labelFontSize": 11, "labelColor": GREY, "gridColor": "#E6E6E6", "domainColor": "#999999"}
    title = {"fontSize": 13, "subtitleFontSize": 11, "subtitlePadding": 4, "color": INK, "subtitleColor": GREY}
    return (
        chart.configure(font=FONT, background="white")
        .configure_view(stroke=None)
        .configure_axis(**axis, tickColor="#999999", labelPadding=4)
        .configure_axisY(minExtent=44, maxExtent=44, domain=False, ticks=False, labelPadding=6)
        .configure_title(**title, anchor="start", frame="bounds")
    )


def _about(history: History) -> list[str]:
    world, first, last = history.world, history.dates[0], history.dates[-1]
    adults, stalls = sum(place.adults for place in world.places), sum(market.sources for market in world.markets)
    run = f"Simulated {first} to {last}, scenario {world.scenario.name}, seed {world.seed}"
    size = f"{adults / 1e6:.2f} million adults in {len(world.places)} communes"
    markets = f"{stalls:,} stalls at {len(world.markets)} markets"
    band = "Band: 10th to 90th percentile of its communes or markets."
    return [f"{run}: {size}, {markets}.", f"Bold: the whole province. {band} Thin: places that a source names."]


def _shares(canvas: Canvas, history: History, other: History | None) -> list[Layer]:
    def share(name: str, words: str, colour: str) -> Share:
        return Share(words, history.shares[name], colour, other.shares[name].whole if other else None)

    without = " · dashed: without them" if other else ""
    people = ["People, share of adults", f"eligible: have an account and a smartphone · active: pay cashless{without}"]
    stalls = ["Market stalls, share of stalls", f"show a QR code, or use it: take payments by it{without}"]
    if other is None:
        people[1] += " · thin: active in a commune"
        stalls[1] += " · thin: use it in a market"
    adopting = [share("eligible", "eligible", WEAK), share("active", "active", STRONG)]
    using = [share("showing", "show a QR", WEAK), share("using", "use it", STRONG)]
    return [
        share_panel(canvas, people, adopting, {} if other else history.communes),
        share_panel(canvas, stalls, using, {} if other else history.markets),
    ]


def _index(canvas: Canvas, history: History) -> Layer:
    rule = history.world.scenario.status
    formula = " + ".join(f"{getattr(rule, part).value:g} {part}" for part in INDEX_PARTS)
    title = ["Index of the communes", f"{formula}, each a share"]
    return index_panel(canvas, title, history.shares["index"], rule.threshold.value)


def _differences(canvas: Canvas, history: History, other: History, dropped: Collection[str]) -> Layer:
    def added(name: str) -> Line:
        return _minus(history.shares[name].whole, other.shares[name].whole)

    whole = {"active": (added("active"), STRONG), "stalls use it": (added("using"), WEAK)}
    named = {name: _minus(line, other.communes[name]) for name, line in history.communes.items()}
    title = [f"What the {_kinds(history, dropped)} add", "percentage points · thin: active adults in a commune"]
    return difference_panel(canvas, title, whole, named)


def _kinds(history: History, dropped: Collection[str]) -> str:
    """Return what kinds of interventions are dropped, such as ``digital teams``."""
    kinds = {row.kind.replace("_", " ") for row in history.world.scenario.intervention if row.id in dropped}
    return " and ".join(kind if kind.endswith("s") else f"{kind}s" for kind in sorted(kinds))


def _minus(one: Line, other: Line) -> Line:
    return tuple(a - b for a, b in zip(one, other, strict=True))


def _green(canvas: Canvas, history: History, other: History | None) -> Layer:
    scenario = history.world.scenario
    title = ["Green communes", f"communes whose index is {scenario.status.threshold.value:g} or more"]
    known, communes = scenario.status.reported_green, len(history.world.places)
    reported = (known.value, f"reported: {known.value} of {communes} ({_report(known.source)})") if known else None
    green = other.green if other else None
    return green_panel(canvas, title, history.green, communes, reported=reported, other=green)


def _report(source: str) -> str:
    """Return which report a source is, without what it says."""
    return source.partition(":")[0]


def _programmes(canvas: Canvas, history: History, dropped: Collection[str]) -> Layer:
    white = ", white: dropped" if dropped else ""
    title = ["Interventions", f"bars: as long as they last{white} · ticks: the days of outages and Tết"]
    return programme_panel(canvas, title, programme_rows(history, dropped))
