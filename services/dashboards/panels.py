"""What a panel shows: title, description, unit and queries; the rest of Grafana's JSON follows from its kind.

In: a few words for each panel. Out: `Panel`s, and the JSON of one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

Json = dict[str, Any]

SOURCE: Final[Json] = {"type": "prometheus", "uid": "${datasource}"}
GRAY_CASH: Final[Json] = {
    "matcher": {"id": "byName", "options": "cash"},
    "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": "#8e8e8e"}}],
}


@dataclass(frozen=True)
class Query:
    """An expression, and what its series are called."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """One panel; `width` is of 24 columns."""

    kind: str
    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    width: int = 8
    height: int = 8
    defaults: Json = field(default_factory=dict)
    """More of Grafana's field defaults."""
    overrides: tuple[Json, ...] = ()
    options: Json = field(default_factory=dict)
    more: Json = field(default_factory=dict)
    """More of the panel's JSON."""


def lines(
    title: str,
    description: str,
    unit: str,
    *queries: tuple[str, str],
    width: int = 8,
    stacked: bool = False,
    top: float | None = None,
    objective: float | None = None,
) -> Panel:
    """Return a panel of lines over time.

    Args:
        title: of the panel.
        description: what it says, what to make of it.
        unit: as Grafana names it.
        queries: expression and legend of each.
        width: of 24 columns.
        stacked: whether the lines add up.
        top: end of the axis, which begins at 0.
        objective: a value above which the panel is marked.
    """
    custom: Json = {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "fillOpacity": 30 if stacked else 8,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"group": "A", "mode": "normal" if stacked else "none"},
    }
    defaults: Json = {"color": {"mode": "palette-classic-by-name"}, "min": 0, "custom": custom}
    if top is not None:
        defaults["max"] = top
    if objective is not None:
        custom["thresholdsStyle"] = {"mode": "dashed"}
        steps = [{"color": "transparent", "value": None}, {"color": "red", "value": objective}]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    return Panel(
        "timeseries",
        title,
        description,
        unit,
        tuple(Query(*query) for query in queries),
        width,
        defaults=defaults,
        overrides=(GRAY_CASH,),
        options={
            "legend": {"calcs": ["lastNotNull"], "displayMode": "table", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    )


def signed(panel: Panel) -> Panel:
    """Return a panel of lines that may go below 0."""
    return replace(panel, defaults={name: value for name, value in panel.defaults.items() if name != "min"})


def stat(
    title: str,
    description: str,
    unit: str,
    *queries: tuple[str, str],
    width: int = 4,
    decimals: int | None = None,
    alarm: tuple[str, float] | None = None,
) -> Panel:
    """Return a panel of figures as they are now.

    Args:
        title: of the panel.
        description: what it says, what to make of it.
        unit: as Grafana names it.
        queries: expression and legend of each.
        width: of 24 columns.
        decimals: of the figure.
        alarm: ``above`` or ``below``, and the value from which on the figure is red.
    """
    steps: list[Json] = [{"color": "blue", "value": None}]
    if alarm is not None:
        side, value = alarm
        low, high = ("green", "red") if side == "above" else ("red", "green")
        steps = [{"color": low, "value": None}, {"color": high, "value": value}]
    defaults: Json = {"color": {"mode": "thresholds"}, "thresholds": {"mode": "absolute", "steps": steps}}
    if decimals is not None:
        defaults["decimals"] = decimals
    return Panel(
        "stat",
        title,
        description,
        unit,
        tuple(Query(*query) for query in queries),
        width,
        height=4,
        defaults=defaults,
        options={
            "colorMode": "value",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto",
            "textMode": "value_and_name" if len(queries) > 1 else "auto",
            "wideLayout": True,
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        },
    )


def table(
    title: str, description: str, unit: str, labels: dict[str, str], *queries: tuple[str, str], width: int = 12
) -> Panel:
    """Return a table of series as they are now, its labels and figures as columns.

    Args:
        title: of the panel.
        description: what it says, what to make of it.
        unit: of all figures, as Grafana names it.
        labels: labels of the series, and the headings of their columns.
        queries: expression and heading of each figure; the first one sorts.
        width: of 24 columns.
    """
    letters = "ABCDEFGH"[: len(queries)]
    values = [f"Value #{letter}" for letter in letters] if len(queries) > 1 else ["Value"]
    columns = {**labels, **dict(zip(values, (heading for _, heading in queries), strict=True))}
    organize = {
        "excludeByName": {"Time": True},
        "indexByName": {name: number for number, name in enumerate(columns)},
        "renameByName": columns,
    }
    gauge = {
        "matcher": {"id": "byRegexp", "options": f"/^({'|'.join(heading for _, heading in queries)})$/"},
        "properties": [
            {"id": "custom.cellOptions", "value": {"type": "gauge", "mode": "gradient", "valueDisplayMode": "text"}}
        ],
    }
    share = unit == "percentunit"
    defaults: Json = {"custom": {"align": "auto", "filterable": True}}
    if share:
        defaults |= {"min": 0, "max": 1, "decimals": 1, "color": {"mode": "continuous-BlPu"}}
    merge = [{"id": "merge", "options": {}}] if len(queries) > 1 else []
    return Panel(
        "table",
        title,
        description,
        unit,
        tuple(Query(expr) for expr, _ in queries),
        width,
        height=10,
        defaults=defaults,
        overrides=(gauge,) if share else (),
        options={"cellHeight": "sm", "showHeader": True, "sortBy": [{"displayName": queries[0][1], "desc": True}]},
        more={"transformations": [*merge, {"id": "organize", "options": organize}]},
    )


def panel_json(panel: Panel, number: int, x: int, y: int) -> Json:
    """Return Grafana's JSON of a panel, under a number and at a place of the grid."""
    return {
        "type": panel.kind,
        "id": number,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "gridPos": {"h": panel.height, "w": panel.width, "x": x, "y": y},
        "fieldConfig": {
            "defaults": {"unit": panel.unit, **panel.defaults},
            "overrides": list(panel.overrides),
        },
        "options": panel.options,
        "targets": [_target(panel, query, letter) for query, letter in zip(panel.queries, "ABCDEFGH", strict=False)],
        **panel.more,
    }


def _target(panel: Panel, query: Query, letter: str) -> Json:
    over_time = panel.kind == "timeseries"
    target: Json = {
        "refId": letter,
        "datasource": SOURCE,
        "editorMode": "code",
        "expr": query.expr,
        "instant": not over_time,
        "range": over_time,
    }
    if panel.kind == "table":
        target["format"] = "table"
    elif query.legend:
        target["legendFormat"] = query.legend
    return target
