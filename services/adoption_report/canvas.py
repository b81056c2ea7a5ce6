"""What all panels of a picture share: the time axis, the data, lines, bands and labels, in Altair.

In: dates, shares. Out: layers of charts whose data are named, and the data by name.
Colours are Okabe and Ito's, darkened where they are letters: apart for the colour-blind, and in grey by their dashes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from services.adoption_report.history import Fan
from services.adoption_report.labels import Label, spread

WIDTH = 660
STRONG, WEAK, GREEN, INK, GREY = "#0072B2", "#B25C00", "#007A5A", "#222222", "#6B6B6B"
NAMED = ("#7B3F98", "#A0124E", "#3F5B00", "#00646B", "#8A5A00", "#444444")
NAMED_DASHES = ((1, 0), (6, 2), (2, 2), (8, 2, 2, 2), (4, 1), (1, 3))
BOLD, THIN = 2.6, 1.3
"""Widths of lines, pixels."""
DAY_MS = 86_400_000
TWO_YEARS_DAYS = 730

Layer = Any
"""An Altair chart; its methods are made at run time."""


@dataclass(frozen=True)
class Style:
    """How a line is drawn: its width in pixels."""

    colour: str
    width: float = BOLD
    dash: tuple[int, ...] = (1, 0)


class Canvas:
    """The time axis from the first to the last of some dates, and the data drawn on it.

    Data are named and handed over at the end: Altair copies and checks what it holds again and again.
    """

    def __init__(self, dates: Sequence[dt.date]) -> None:
        self.dates = tuple(dates)
        self.datasets: dict[str, list[dict[str, Any]]] = {}
        self._days = max((self.dates[-1] - self.dates[0]).days, 1)

    @property
    def x(self) -> Any:
        """The encoding of times, in UTC wherever it is drawn."""
        years = self._days > TWO_YEARS_DAYS
        axis = alt.Axis(format="%Y" if years else "%Y-%m-%d", tickCount="year" if years else 6, title=None)
        return alt.X("t:T", scale=alt.Scale(type="utc", domain=[ms(self.dates[0]), ms(self.dates[-1])]), axis=axis)

    def x_px(self, date: dt.date) -> float:
        """Return how far right a date is, pixels."""
        return (date - self.dates[0]).days / self._days * WIDTH

    def chart(self, rows: list[dict[str, Any]]) -> Layer:
        """Return a chart of rows, without marks."""
        name = f"data-{len(self.datasets) + 1:02d}"
        self.datasets[name] = rows
        return alt.Chart(alt.NamedData(name=name))

    def line(self, values: Sequence[float], style: Style, y: Any) -> Layer:
        """Draw a value for each date."""
        rows = [{"t": ms(t), "v": value} for t, value in zip(self.dates, values, strict=True)]
        mark = self.chart(rows).mark_line(color=style.colour, strokeWidth=style.width, strokeDash=list(style.dash))
        return mark.encode(self.x, y)

    def band(self, low: Sequence[float], high: Sequence[float], colour: str, y: Any) -> Layer:
        """Draw what lies between two values for each date."""
        rows = [{"t": ms(t), "v": v, "v2": v2} for t, v, v2 in zip(self.dates, low, high, strict=True)]
        return self.chart(rows).mark_area(color=colour, opacity=0.18).encode(self.x, y, alt.Y2("v2:Q"))

    def fan(self, fan: Fan, colour: str, y: Any) -> list[Layer]:
        """Draw the band and the line of a share."""
        return [self.band(fan.low, fan.high, colour, y), self.line(fan.whole, Style(colour), y)]

    def labels(self, labels: Sequence[Label], bottom: float, top: float, height: int) -> list[Layer]:
        """Draw labels right of a plot, each with a short line from the end of its own.

        Args:
            labels: words, values, colours.
            bottom: where the axis begins.
            top: where it ends.
            height: of the plot, pixels.
        """
        values = [label.value - bottom for label in labels]
        places = spread(values, top=top - bottom, height_px=float(height))
        rows = [
            {"v": label.value, "place": place + bottom, "words": label.text, "colour": label.colour, "bold": label.bold}
            for label, place in zip(labels, places, strict=True)
        ]
        colour, at = alt.Color("colour:N", scale=None), alt.Y("place:Q")
        leaders = self.chart(rows).mark_rule(strokeWidth=0.8)
        left, right = alt.value(WIDTH + 2), alt.value(WIDTH + 14)
        drawn = [leaders.encode(alt.Y("v:Q"), alt.Y2("place:Q"), colour, x=left, x2=right)]
        for bold in (False, True):
            some = self.chart([row for row in rows if row["bold"] == bold])
            weight = "bold" if bold else "normal"
            text = some.mark_text(align="left", baseline="middle", fontSize=12, fontWeight=weight)
            drawn.append(text.encode(at, alt.Text("words:N"), colour, x=alt.value(WIDTH + 18)))
        return drawn


def without_style(colour: str) -> Style:
    """Return the style of what would be without some interventions."""
    return Style(colour, 1.6, (5, 3))


def y_axis(bottom: float, top: float, form: str, ticks: Sequence[float] | None = None) -> Any:
    """Return the encoding of values, from `bottom` to `top`, in a number format of D3."""
    some = {"values": list(ticks)} if ticks else {"tickCount": 5}
    axis = alt.Axis(format=form, title=None, **some)
    return alt.Y("v:Q", scale=alt.Scale(domain=[bottom, top], nice=False, zero=False), axis=axis)


def panel(layers: Sequence[Layer], title: Sequence[str], height: int) -> Layer:
    """Return layers as one panel.

    Args:
        layers: at least one, the lowest first.
        title: a heading, and lines below it.
        height: pixels.
    """
    heading = alt.TitleParams(title[0], subtitle=list(title[1:]))
    return alt.layer(*layers).properties(width=WIDTH, height=height, title=heading)


def named_style(number: int) -> Style:
    """Return the style of a named place, by its number."""
    number %= len(NAMED)
    return Style(NAMED[number], THIN, NAMED_DASHES[number])


def ms(date: dt.date) -> int:
    """Return the midnight of a date, epoch milliseconds, for axes."""
    return (date - dt.date(1970, 1, 1)).days * DAY_MS
