"""The rules of services/monitoring, and their unit tests, as they stand in the files.

In: the folder. Out: recording rules, alerts, and the tests of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MONITORING = Path(__file__).parents[1] / "services" / "monitoring"
RULE_FILES = sorted([*MONITORING.glob("rules/*.yml"), *MONITORING.glob("alerts/*.yml")])
TEST_FILES = sorted(MONITORING.glob("tests/*.yml"))
HEALTHY = MONITORING / "tests" / "healthy.yml"
RUNBOOK = MONITORING / "runbook.md"

Json = dict[str, Any]


@dataclass(frozen=True)
class AlertCase:
    """One look of a unit test at an alert."""

    alert: str
    scene: str
    """File and name of the test."""
    at_seconds: float
    fires: bool


def rules() -> list[Json]:
    """All rules, recording ones and alerts."""
    return [rule for path in RULE_FILES for group in _yaml(path)["groups"] for rule in group["rules"]]


def alerts() -> dict[str, Json]:
    """The alerts by name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def records() -> dict[str, Json]:
    """The recording rules by the name of what they record."""
    return {rule["record"]: rule for rule in rules() if "record" in rule}


def alert_cases(*files: Path) -> list[AlertCase]:
    """The looks at alerts of test files."""
    return [
        AlertCase(
            case["alertname"],
            f"{path.name}: {scene['name']}",
            _seconds(case["eval_time"]),
            bool(case.get("exp_alerts")),
        )
        for path in files
        for scene in _yaml(path)["tests"]
        for case in scene.get("alert_rule_test", ())
    ]


def expected_expressions() -> list[str]:
    """The expressions that unit tests expect samples of."""
    return [
        case["expr"]
        for path in TEST_FILES
        for scene in _yaml(path)["tests"]
        for case in scene.get("promql_expr_test", ())
        if case["exp_samples"]
    ]


def _seconds(duration: str) -> float:
    minutes, _, rest = duration.rpartition("m")
    return 60 * float(minutes or 0) + float(rest.removesuffix("s") or 0)


def _yaml(path: Path) -> Json:
    content: Json = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content
