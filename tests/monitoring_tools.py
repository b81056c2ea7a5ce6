"""What Grafana's dashboards ask of Prometheus, read from their JSON, and what such a query names.

In: a dashboard file, or an expression. Out: expressions that run as they are, the metrics and labels they name.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Json = dict[str, Any]

_STRING = re.compile(r'"(?:\\.|[^"\\])*"' + r"|'(?:\\.|[^'\\])*'")
_RANGE = re.compile(r"\[[^\]]*\]")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_SELECTOR = re.compile(rf"(?<![\w:.])({_NAME.pattern})(?!\s*\()(?![\w:])\s*(?:\{{([^}}]*)\}})?")
_NOT_METRICS = {"and", "or", "unless", "bool", "offset", "group_left", "group_right", "inf", "nan"}
_LABEL_VALUES = re.compile(r"label_values\((?P<selector>.+),\s*(?P<label>\w+)\)", re.DOTALL)
_BUILT_IN = {"__rate_interval": "1m", "__interval": "15s", "__range": "1h"}


@dataclass(frozen=True)
class Selector:
    """A metric in an expression, and the labels that it is chosen by."""

    metric: str
    labels: frozenset[str]


@dataclass(frozen=True)
class VariableQuery:
    """A variable's ``label_values(selector, label)``."""

    name: str
    selector: str
    label: str


def load_dashboard(path: Path) -> Json:
    """Return a dashboard's JSON."""
    dashboard: Json = json.loads(path.read_text(encoding="utf-8"))
    return dashboard


def dashboard_panels(dashboard: Json) -> Iterator[Json]:
    """Yield every panel that shows something: rows not, the panels folded into rows too."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels", ())
        else:
            yield panel


def dashboard_queries(path: Path, chosen: dict[str, str] | None = None) -> list[tuple[str, str]]:
    """Return each panel's title with each of its expressions, Grafana's variables replaced: ready to run.

    A variable of several values becomes what is chosen, or "any", one of a single value its first option.
    """
    dashboard = load_dashboard(path)
    values = _variable_values(dashboard) | (chosen or {})
    return [
        (panel["title"], substituted(target["expr"], values))
        for panel in dashboard_panels(dashboard)
        for target in panel["targets"]
    ]


def variable_queries(dashboard: Json) -> list[VariableQuery]:
    """Return what the variables ask of Prometheus, in their order."""
    found = []
    for variable in dashboard["templating"]["list"]:
        if variable["type"] != "query":
            continue
        match = _LABEL_VALUES.fullmatch(variable["query"]["query"])
        assert match is not None, f"not label_values(selector, label): {variable['query']['query']}"
        found.append(VariableQuery(variable["name"], match["selector"], match["label"]))
    return found


def substituted(expression: str, values: dict[str, str]) -> str:
    """Return an expression with ``$name`` replaced.

    Raises:
        KeyError: for a variable that has no value.
    """
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda match: values[match[1] or match[2]], expression)


def selectors(expression: str) -> list[Selector]:
    """Return the metrics of an expression with the labels in their braces."""
    bare = _GROUPING.sub(" ", _RANGE.sub(" ", _STRING.sub('""', expression)))
    return [
        Selector(match[1], frozenset(_NAME.findall(_STRING.sub("", match[2] or ""))))
        for match in _SELECTOR.finditer(bare)
        if match[1].lower() not in _NOT_METRICS
    ]


def grouping_labels(expression: str) -> set[str]:
    """Return the labels that an expression groups or joins by."""
    bare = _STRING.sub('""', expression)
    return {label for match in _GROUPING.finditer(bare) for label in _NAME.findall(match[1])}


def legend_labels(legend: str) -> set[str]:
    """Return the labels that a legend such as ``{{province}} by {{by}}`` shows."""
    return {label.strip() for label in re.findall(r"\{\{([^}]*)\}\}", legend)}


def _variable_values(dashboard: Json) -> dict[str, str]:
    values = dict(_BUILT_IN)
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            values[variable["name"]] = ".*"
        elif variable["type"] == "custom":
            values[variable["name"]] = variable["options"][0]["value"]
    return values
