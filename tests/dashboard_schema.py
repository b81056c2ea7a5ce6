"""The rules of Grafana's dashboard JSON that we rely on, as a JSON Schema: what a panel without them would not show.

In: nothing. Out: `DASHBOARD`.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

UNITS = (
    "none",
    "short",
    "percentunit",
    "s",
    "cps",
    "Bps",
    "currencyVND",
    "dateTimeAsIso",
)
"""Ids of @grafana/data's value formats that we use; another one would be shown as a suffix."""

SOURCE: Json = {"const": {"type": "prometheus", "uid": "${datasource}"}}
TEXT: Json = {"type": "string", "minLength": 1}


def _closed(required: Json, optional: Json | None = None) -> Json:
    """An object with these keys and no other."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _whole(least: int, most: int) -> Json:
    return {"type": "integer", "minimum": least, "maximum": most}


GRID = _closed({"h": _whole(1, 40), "w": _whole(1, 24), "x": _whole(0, 23), "y": _whole(0, 1000)})
TARGET = _closed(
    {
        "refId": {"enum": list("ABCDEFGH")},
        "datasource": SOURCE,
        "editorMode": {"const": "code"},
        "expr": TEXT,
        "instant": {"type": "boolean"},
        "range": {"type": "boolean"},
    },
    {"legendFormat": TEXT, "format": {"const": "table"}},
)
STEPS: Json = {
    "type": "array",
    "minItems": 1,
    "prefixItems": [_closed({"color": TEXT, "value": {"type": "null"}})],
    "items": _closed({"color": TEXT, "value": {"type": "number"}}),
}
DEFAULTS = _closed(
    {"unit": {"enum": list(UNITS)}},
    {
        "color": {"type": "object", "required": ["mode"]},
        "thresholds": _closed({"mode": {"const": "absolute"}, "steps": STEPS}),
        "min": {"type": "number"},
        "max": {"type": "number"},
        "decimals": _whole(0, 4),
        "custom": {"type": "object"},
    },
)
OVERRIDE = _closed(
    {
        "matcher": _closed({"id": {"enum": ["byName", "byRegexp"]}, "options": TEXT}),
        "properties": {"type": "array", "minItems": 1, "items": _closed({"id": TEXT, "value": {}})},
    }
)
PANEL = _closed(
    {
        "type": {"enum": ["stat", "timeseries", "table"]},
        "id": _whole(1, 200),
        "title": TEXT,
        "description": {"type": "string", "minLength": 31},
        "datasource": SOURCE,
        "gridPos": GRID,
        "fieldConfig": _closed({"defaults": DEFAULTS, "overrides": {"type": "array", "items": OVERRIDE}}),
        "options": {"type": "object", "minProperties": 2},
        "targets": {"type": "array", "minItems": 1, "maxItems": 8, "items": TARGET},
    },
    {"transformations": {"type": "array", "items": _closed({"id": {"enum": ["merge", "organize"]}, "options": {}})}},
)
ROW = _closed(
    {
        "type": {"const": "row"},
        "id": _whole(1, 200),
        "title": TEXT,
        "collapsed": {"const": False},
        "gridPos": GRID,
        "panels": {"const": []},
    }
)
VARIABLE: Json = {
    "type": "object",
    "required": ["type", "name", "label", "description", "query", "current", "options", "multi", "includeAll"],
    "properties": {
        "type": {"enum": ["datasource", "query", "custom"]},
        "name": {"pattern": "^[a-z]+$"},
        "label": TEXT,
        "description": TEXT,
        "current": {"type": "object", "required": ["text", "value"]},
    },
}
DASHBOARD = _closed(
    {
        "uid": {"pattern": "^quetma-[a-z-]{1,33}$"},  # 40 characters at most
        "title": {"pattern": "^Quetma: "},
        "description": {"type": "string", "minLength": 31},
        "tags": {"const": ["quetma"]},
        "schemaVersion": {"const": 42},  # Grafana 12.1 and later, 13 included, read it as it is
        "version": {"type": "integer"},
        "editable": {"const": False},
        "graphTooltip": {"const": 1},
        "timezone": {"const": "Asia/Ho_Chi_Minh"},
        "refresh": TEXT,
        "time": _closed({"from": TEXT, "to": TEXT}),
        "timepicker": {"type": "object"},
        "annotations": _closed({"list": {"type": "array", "items": {"type": "object", "required": ["name", "expr"]}}}),
        "links": {"type": "array", "items": {"type": "object", "required": ["type", "title", "tags"]}},
        "fiscalYearStartMonth": {"const": 0},
        "liveNow": {"const": False},
        "templating": _closed({"list": {"type": "array", "minItems": 1, "items": VARIABLE}}),
        "panels": {
            "type": "array",
            "items": {"if": {"properties": {"type": {"const": "row"}}}, "then": ROW, "else": PANEL},
        },
    }
)
