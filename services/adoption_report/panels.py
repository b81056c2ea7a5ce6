"""The panels of a picture: fans of shares, differences, index, green communes, interventions.

In: a canvas, shares. Out: layered charts on one time axis.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from services.adoption_report.canvas import (
    GREEN,
    INK,
    STRONG,
    WEAK,
    WIDTH,
    Canvas,
    Layer,
    Style,
    ms,
    named_style,
    panel,
    without_style,
    y_axis,
)
from services.adoption_report.history import Fan, Line
from services.adoption_report.labels import Label
from services.adoption_report.programme_rows import Bar, Ticks

ROW_PX = 19
CHARACTER_PX = 6.3
"""Mean width of a character of the bars' labels."""
BESIDE_PX = 150
"""Room right of the plot, where other panels have labels."""


@dataclass(frozen=True)
class Share:
    """A share of the whole province, in its colour; `other` is the same without some interventions."""

    words: str
    fan: Fan
    colour: str
    other: Line | None = None


def share_panel(canvas: Canvas, title: Sequence[str], shares: Sequence[Share], named: Mapping[str, Line]) -> Layer:
    """Draw shares: a bold line and a band each, dashed what they are without interventions; named places thin."""
    height, y = 190, y_axis(0, 1, "%", [0, 0.25, 0.5, 0.75, 1])
    layers: list[Layer] = []
    labels: list[Label] = []
    for share in shares:
        digits = 0 if share.other is None else 1
        layers += canvas.fan(share.fan, share.colour, y)
        last = share.fan.whole[-1]
        if share.other is not None:
            layers.append(canvas.line(share.other, without_style(share.colour), y))
            labels.append(Label(f"{share.other[-1]:.1%} without", share.other[-1], share.colour))
        labels.append(Label(f"{last:.{digits}%} {share.words}", last, share.colour, bold=True))
    for number, (name, line) in enumerate(named.items()):
        style = named_style(number)
        layers.append(canvas.line(line, style, y))
        labels.append(Label(f"{line[-1]:.0%} {name}", line[-1], style.colour))
    return panel([*layers, *canvas.labels(labels, 0, 1, height)], title, height)


def difference_panel(
    canvas: Canvas, title: Sequence[str], whole: Mapping[str, tuple[Line, str]], named: Mapping[str, Line]
) -> Layer:
    """Draw differences of shares, 0 to 1, in percentage points: of the province with their colours, of named places."""
    height, styled = 170, [(words, line, Style(colour)) for words, (line, colour) in whole.items()]
    styled += [(name, line, named_style(number)) for number, (name, line) in enumerate(named.items())]
    points = [tuple(round(100 * value, 2) for value in line) for _, line, _ in styled]
    bottom, top = 1.08 * min(-0.5, *map(min, points)), 1.08 * max(1.0, *map(max, points))
    y = y_axis(bottom, top, "+.0f")
    layers = [canvas.line(line, style, y) for line, (_, _, style) in zip(points, styled, strict=True)]
    labels = [
        Label(f"{line[-1]:+.1f} {words}", line[-1], style.colour, bold=words in whole)
        for line, (words, _, style) in zip(points, styled, strict=True)
    ]
    return panel([*layers, *canvas.labels(labels, bottom, top, height)], title, height)


def index_panel(canvas: Canvas, title: Sequence[str], fan: Fan, threshold: float) -> Layer:
    """Draw the communes' index, its median bold, and the threshold."""
    height, top = 110, 1.0
    bottom = min(0.4, int(5 * min(fan.low)) / 5)
    y = y_axis(bottom, top, ".1f", [tenths / 10 for tenths in range(round(10 * bottom), 11, 2)])
    rule = canvas.chart([{"v": threshold}]).mark_rule(color=INK, strokeDash=[3, 3]).encode(y)
    labels = [
        Label(f"{fan.whole[-1]:.2f} median", fan.whole[-1], GREEN, bold=True),
        Label(f"{threshold:g} threshold", threshold, INK),
    ]
    return panel([*canvas.fan(fan, GREEN, y), rule, *canvas.labels(labels, bottom, top, height)], title, height)


def green_panel(
    canvas: Canvas,
    title: Sequence[str],
    green: Sequence[int],
    communes: int,
    *,
    reported: tuple[int, str] | None = None,
    other: Sequence[int] | None = None,
) -> Layer:
    """Draw how many communes are green, the number reported (at the start), and the number without interventions."""
    height, y = 110, y_axis(0, communes, "d", [0, communes // 2, communes])
    layers = [canvas.band([0] * len(green), green, GREEN, y), canvas.line(green, Style(GREEN), y)]
    labels = [Label(f"{green[-1]} of {communes}", green[-1], GREEN, bold=True)]
    if other is not None:
        layers.append(canvas.line(other, without_style(INK), y))
        labels.append(Label(f"{other[-1]} without", other[-1], INK))
    if reported:
        number, words = reported
        point = canvas.chart([{"t": ms(canvas.dates[0]), "v": number, "words": words}]).encode(canvas.x, y)
        layers.append(point.mark_point(color=INK, size=70, filled=True, opacity=1))
        layers.append(point.mark_text(align="left", dx=10, dy=18, color=INK, fontSize=11).encode(alt.Text("words:N")))
    return panel([*layers, *canvas.labels(labels, 0, communes, height)], title, height)


def programme_panel(canvas: Canvas, title: Sequence[str], rows: Sequence[Bar | Ticks]) -> Layer:
    """Draw interventions: a row each, words beside the bar, on the side where there is room."""
    height = ROW_PX * max(len(rows), 1)
    axis = alt.Axis(labels=False, grid=False, title=None)
    y = alt.Y("row:Q", scale=alt.Scale(domain=[0, len(rows)], reverse=True), axis=axis)
    layers = _bars(canvas, rows, y) + _ticks(canvas, rows, y)
    for align, dx in (("left", 6), ("right", -6)):
        words = [_words(canvas, row, number) for number, row in enumerate(rows)]
        some = [word for word in words if word["align"] == align]
        text = canvas.chart(some).mark_text(align=align, dx=dx, baseline="middle", fontSize=11, color=INK)
        layers.append(text.encode(canvas.x, y, alt.Text("words:N")))
    return panel(layers, title, height)


def _bars(canvas: Canvas, rows: Sequence[Bar | Ticks], y: Any) -> list[Layer]:
    bars = [
        {"t": ms(row.start), "t2": ms(row.end), "row": number + 0.2, "row2": number + 0.8, "dropped": row.dropped}
        for number, row in enumerate(rows)
        if isinstance(row, Bar)
    ]
    drawn = []
    for dropped, fill in ((False, STRONG), (True, "white")):
        some = canvas.chart([bar for bar in bars if bar["dropped"] == dropped])
        rect = some.mark_rect(stroke=STRONG, strokeWidth=1, fill=fill)
        drawn.append(rect.encode(canvas.x, y, alt.X2("t2:T"), alt.Y2("row2:Q")))
    return drawn


def _ticks(canvas: Canvas, rows: Sequence[Bar | Ticks], y: Any) -> list[Layer]:
    ticks = [
        {"t": ms(day), "row": number + 0.15, "row2": number + 0.85}
        for number, row in enumerate(rows)
        if isinstance(row, Ticks)
        for day in row.days
    ]
    return [canvas.chart(ticks).mark_rule(color=WEAK, strokeWidth=2).encode(canvas.x, y, alt.Y2("row2:Q"))]


def _words(canvas: Canvas, row: Bar | Ticks, number: int) -> dict[str, Any]:
    """Place the words of a row behind its last date if they fit there, else before the first."""
    first, last = _ends(row)
    fits = canvas.x_px(last) + len(row.label) * CHARACTER_PX < WIDTH + BESIDE_PX
    align = "left" if fits else "right"
    return {"t": ms(last if fits else first), "row": number + 0.5, "words": row.label, "align": align}


def _ends(row: Bar | Ticks) -> tuple[dt.date, dt.date]:
    return (row.start, row.end) if isinstance(row, Bar) else (row.days[0], row.days[-1])
