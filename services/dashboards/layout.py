"""A dashboard: sections of panels, from left to right and from top to bottom, and the variables above them.

In: `Dashboard`s. Out: Grafana's JSON, and a page of the manual.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from services.dashboards.panels import SOURCE, Json, Panel, panel_json

GRID_WIDTH: Final = 24
SCHEMA_VERSION: Final = 42
"""Grafana 12.1 and later, 13 included, read it as it is."""
DATA_SOURCE_UID: Final = "quetma-prometheus"

_PLACES: Final = {
    "province": ("Province", "Provinces to show.", "label_values(quetma_province_cashless_share, province)"),
    "commune": (
        "Commune",
        "Communes of these provinces.",
        'label_values(quetma_commune_cashless_share{province=~"$province"}, commune)',
    ),
    "market": (
        "Market",
        "Markets of these communes.",
        'label_values(quetma_market_cashless_share{province=~"$province", commune=~"$commune"}, market)',
    ),
}


@dataclass(frozen=True)
class Section:
    """Panels under a heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Dashboard:
    """One dashboard. Its address is ``quetma-`` and its name, for ever."""

    name: str
    title: str
    description: str
    places: tuple[str, ...]
    """Variables of `_PLACES` that its panels use, the widest first."""
    sections: tuple[Section, ...]
    by: bool = False
    """Whether one chooses between number and value."""

    def document(self) -> Json:
        """Return Grafana's JSON."""
        return {
            "uid": f"quetma-{self.name}",
            "title": f"Quetma: {self.title}",
            "description": self.description,
            "tags": ["quetma"],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,
            "timezone": "Asia/Ho_Chi_Minh",
            "refresh": "5s",
            "time": {"from": "now-15m", "to": "now"},
            "timepicker": {"refresh_intervals": ["5s", "10s", "30s", "1m", "5m"]},
            "annotations": {"list": [_alerts()]},
            "links": [_others()],
            "fiscalYearStartMonth": 0,
            "liveNow": False,
            "templating": {"list": list(self._variables())},
            "panels": list(_laid_out(self.sections)),
        }

    def _variables(self) -> Iterator[Json]:
        yield _data_source()
        for name in self.places:
            yield _place(name)
        if self.by:
            yield _by()

    def manual(self) -> Iterator[str]:
        """Yield its page of the manual, line by line."""
        yield f"## {self.title}\n"
        yield f"{self.description}\n"
        for section in self.sections:
            yield f"**{section.title}**\n"
            yield "| panel | it says |"
            yield "|---|---|"
            for panel in section.panels:
                yield f"| {panel.title} | {panel.description} |"
            yield ""


def _laid_out(sections: Iterable[Section]) -> Iterator[Json]:
    """Yield panels from left to right, in rows as high as their highest panel."""
    number = y = 0
    for section in sections:
        number += 1
        yield _heading(section.title, number, y)
        y += 1
        x = height = 0
        for panel in section.panels:
            if x + panel.width > GRID_WIDTH:
                x, y, height = 0, y + height, 0
            number += 1
            yield panel_json(panel, number, x, y)
            x, height = x + panel.width, max(height, panel.height)
        y += height


def _heading(title: str, number: int, y: int) -> Json:
    place = {"h": 1, "w": GRID_WIDTH, "x": 0, "y": y}
    return {"type": "row", "id": number, "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _alerts() -> Json:
    """Return the annotation that marks times at which an alert fired."""
    return {
        "name": "Alerts",
        "datasource": SOURCE,
        "enable": True,
        "iconColor": "red",
        "expr": 'ALERTS{alertname=~"Quetma.*", alertstate="firing"}',
        "titleFormat": "{{alertname}}",
        "step": "5s",
    }


def _others() -> Json:
    return {
        "type": "dashboards",
        "title": "Quetma",
        "tags": ["quetma"],
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
    }


def _variable(kind: str, name: str, label: str, description: str) -> Json:
    return {
        "type": kind,
        "name": name,
        "label": label,
        "description": description,
        "multi": False,
        "includeAll": False,
        "hide": 0,
        "skipUrlSync": False,
        "options": [],
    }


def _data_source() -> Json:
    base = _variable("datasource", "datasource", "Data source", "The Prometheus that reads Quetma's processes.")
    current = {"text": "Prometheus", "value": DATA_SOURCE_UID}
    return {**base, "query": "prometheus", "regex": "", "refresh": 1, "current": current}


def _place(name: str) -> Json:
    label, description, query = _PLACES[name]
    return {
        **_variable("query", name, label, description),
        "datasource": SOURCE,
        "query": {"qryType": 1, "query": query, "refId": f"variable-{name}"},
        "refresh": 2,
        "regex": "",
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _by() -> Json:
    choices = [("number", "count"), ("value", "value")]
    options = [{"text": text, "value": value, "selected": value == "count"} for text, value in choices]
    return {
        **_variable("custom", "by", "Share by", "Count payments, or weigh them by their value."),
        "query": ", ".join(f"{text} : {value}" for text, value in choices),
        "options": options,
        "current": {"text": "number", "value": "count"},
    }
