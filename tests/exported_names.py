"""What queries may name: metrics of the table and of Prometheus itself, with their labels, and recording rules.

In: an expression. Out: what is wrong with its names.
"""

from __future__ import annotations

from schemas.metrics import METRICS
from tests.monitoring_tools import grouping_labels, legend_labels, selectors
from tests.rule_files import records

SCRAPED_LABELS = {"job", "instance"}
LEVEL_LABELS = {"quetma": set[str](), "province": {"province"}, "commune": {"province", "commune"}}
"""Labels of recorded series, by the level in their names."""


def _exported() -> dict[str, set[str]]:
    names: dict[str, set[str]] = {"up": set(SCRAPED_LABELS), "ALERTS": {"alertname", "alertstate", "severity"}}
    for row in METRICS:
        names[row.sample] = {*row.labels, *SCRAPED_LABELS}
        if row.kind == "histogram":
            names[row.sample] |= {"le"}
            names |= {f"{row.name}_{part}": {*row.labels, *SCRAPED_LABELS} for part in ("sum", "count")}
    names |= {name: LEVEL_LABELS[name.split(":")[0]] for name in records()}
    return names


EXPORTED = _exported()


def faults(expression: str, legend: str = "") -> list[str]:
    """What an expression names that no process exports and no rule records."""
    named = selectors(expression)
    found = [f"no such metric: {one.metric}" for one in named if one.metric not in EXPORTED]
    known = [one for one in named if one.metric in EXPORTED]
    found += [
        f"{one.metric} has no label {label}" for one in known for label in sorted(one.labels - EXPORTED[one.metric])
    ]
    any_label = set().union(*(EXPORTED[one.metric] for one in known))
    grouped = grouping_labels(expression)
    found += [f"groups by {label}, which nothing here has" for label in sorted(grouped - any_label)]
    shown = legend_labels(legend) - (grouped or any_label)
    found += [f"the legend shows {label}, which the result has not" for label in sorted(shown)]
    return found
