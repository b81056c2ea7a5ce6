"""Every rule has unit tests that can fail, every alert a place in the runbook, and queries name what is exported."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from schemas.metrics import METRICS
from tests.exported_names import EXPORTED, faults
from tests.monitoring_tools import selectors
from tests.rule_files import (
    HEALTHY,
    MONITORING,
    RULE_FILES,
    RUNBOOK,
    TEST_FILES,
    alert_cases,
    alerts,
    expected_expressions,
    records,
    rules,
)
from tests.tools import require_tool

ALERTS, RECORDS = alerts(), records()
REQUIRED = {
    "QuetmaPipelineStalled",
    "QuetmaLagGrows",
    "QuetmaDeadLetters",
    "QuetmaLatencyBudgetBurnsFast",
    "QuetmaLatencyBudgetBurnsSlowly",
    "QuetmaReconciliationDiffers",
    "QuetmaOutageSeen",
    "QuetmaSuspectedQrSwap",
    "QuetmaAdoptionFalls",
    "QuetmaExporterAway",
    "QuetmaProducerAway",
}
each_alert = pytest.mark.parametrize("name", sorted(ALERTS))


def promtool(*arguments: str, folder: Path = MONITORING) -> subprocess.CompletedProcess[str]:
    (binary,) = require_tool("promtool")
    return subprocess.run([binary, *arguments], capture_output=True, text=True, check=False, cwd=folder)


def unit_tests(folder: Path = MONITORING) -> subprocess.CompletedProcess[str]:
    return promtool("test", "rules", *[f"tests/{path.name}" for path in TEST_FILES], folder=folder)


def test_the_alerts_that_an_operator_needs_are_there() -> None:
    assert set(ALERTS) >= REQUIRED


def test_prometheus_takes_all_rules_and_nothing_twice() -> None:
    done = promtool("check", "rules", *map(str, RULE_FILES))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert len(rules()) == len(ALERTS) + len(RECORDS)


def test_the_configuration_loads_them_all() -> None:
    done = promtool("check", "config", "prometheus.yml")
    assert done.returncode == 0, done.stderr
    assert f"{len(RULE_FILES)} rule files found" in done.stdout


def test_unit_tests_pass() -> None:
    done = unit_tests()
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_queries_name_only_what_is_exported_or_recorded(rule: dict[str, str]) -> None:
    assert faults(rule["expr"]) == []


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_recorded_names_are_level_metric_operations(name: str) -> None:
    """As Prometheus recommends: labels kept, metric, what was done to it."""
    level, metric, operation = name.split(":")
    assert level in {"quetma", "province", "commune"}
    assert re.fullmatch(r"[a-z_]+", metric)
    assert re.fullmatch(r"(ratio|sum|avg|count|rate|increase|estimate)(_?(rate|increase))?(\d+m)?", operation)
    if level != "quetma":
        assert {level} <= set(re.findall(r"\w+", RECORDS[name]["expr"]))


@each_alert
def test_an_alert_says_what_how_bad_and_where_to_read_on(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert all(alert["annotations"].values())
    path, anchor = alert["annotations"]["runbook_url"].split("#")
    assert (MONITORING.parents[1] / path) == RUNBOOK
    assert anchor == name.lower()


@each_alert
def test_an_alert_has_a_section_and_a_row_in_the_runbook(name: str) -> None:
    text = RUNBOOK.read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (\w+)\n\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    assert len(sections[name]) > 60
    assert f"\n| [{name}](#{name.lower()}) | {ALERTS[name]['labels']['severity']} | " in text
    assert set(sections) == set(ALERTS)


def test_queries_of_the_runbook_name_what_is_exported() -> None:
    queries = [
        text for text in re.findall(r"`([^`]+)`", RUNBOOK.read_text(encoding="utf-8")) if re.search(r"quetma[:_]", text)
    ]
    assert len(queries) > 8
    for query in queries:
        assert faults(query) == [], query


@each_alert
def test_an_alert_is_seen_to_fire_to_resolve_and_to_keep_quiet(name: str) -> None:
    cases = [case for case in alert_cases(*TEST_FILES) if case.alert == name]
    firing = [case for case in cases if case.fires]
    assert firing
    for scene in {case.scene for case in firing}:
        last = max(case.at_seconds for case in firing if case.scene == scene)
        resolved = [case for case in cases if case.scene == scene and not case.fires and case.at_seconds > last]
        assert resolved or scene.endswith("no worker was ever there"), scene
    assert any(not case.fires and case.at_seconds < min(one.at_seconds for one in firing) for case in cases)


def test_in_a_healthy_run_none_fires() -> None:
    quiet = alert_cases(HEALTHY)
    assert {case.alert for case in quiet} == set(ALERTS)
    assert not any(case.fires for case in quiet)


def test_the_healthy_run_has_all_that_alerts_ask_for() -> None:
    """An alert on a metric that is not there is quiet for the wrong reason."""
    series = {
        match[0]
        for scene in yaml.safe_load(HEALTHY.read_text(encoding="utf-8"))["tests"]
        for one in scene["input_series"]
        if (match := re.match(r"[\w:]+", one["series"]))
    }
    asked = {one.metric for rule in ALERTS.values() for one in selectors(rule["expr"])}
    while recorded := asked & set(RECORDS):
        asked = (asked - recorded) | {one.metric for name in recorded for one in selectors(RECORDS[name]["expr"])}
    assert asked <= series


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_a_recording_rule_is_tested_for_its_value(name: str) -> None:
    named = [one.metric for expression in expected_expressions() for one in selectors(expression)]
    assert name in named


def _same(expression: str) -> str:
    return expression


def _noticed(folder: Path, alert: Callable[[str], str], record: Callable[[str], str] = _same) -> str:
    """What the unit tests say when the expressions of rules are changed."""
    shutil.copytree(MONITORING, folder, ignore=shutil.ignore_patterns("dashboards"))
    for path in [*folder.glob("rules/*.yml"), *folder.glob("alerts/*.yml")]:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        for group in content["groups"]:
            for rule in group["rules"]:
                rule["expr"] = (alert if "alert" in rule else record)(rule["expr"])
        path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    done = unit_tests(folder)
    assert done.returncode == 1
    return done.stderr


def test_unit_tests_notice_an_alert_that_never_fires(tmp_path: Path) -> None:
    noticed = _noticed(tmp_path / "never", lambda expression: f"({expression}) unless on () vector(1)")
    assert set(re.findall(r"alertname: (\w+)", noticed)) == set(ALERTS)


def test_unit_tests_notice_an_alert_that_always_fires(tmp_path: Path) -> None:
    noticed = _noticed(tmp_path / "always", lambda _: "vector(1)")
    healthy = re.findall(r"name: (.+),\n +alertname: (\w+)", noticed)
    scene = "twenty minutes of a run"
    assert {alert for name, alert in healthy if name == scene} == set(ALERTS)


def test_unit_tests_notice_a_recording_rule_without_a_result(tmp_path: Path) -> None:
    noticed = _noticed(tmp_path / "records", _same, lambda _: "vector(0) > 1")
    failed = {one.metric for text in re.findall(r'expr: "(.+)", time', noticed) for one in selectors(text)}
    assert failed >= set(RECORDS)


def test_every_metric_that_alerts_use_is_of_the_table() -> None:
    """`up` is Prometheus's own; all else is ours."""
    own = {*EXPORTED, *RECORDS}
    assert {row.sample for row in METRICS} <= own
    assert {one.metric for rule in rules() for one in selectors(rule["expr"])} - own <= {"up"}
