"""The dashboards ask only for what the processes export, and Prometheus and Grafana are set up to find it."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from schemas.metrics import METRICS
from schemas.settings import Settings
from services.dashboards.files import rendered
from tests.dashboard_schema import DASHBOARD
from tests.exported_names import EXPORTED, faults
from tests.monitoring_tools import (
    Json,
    Selector,
    dashboard_panels,
    dashboard_queries,
    grouping_labels,
    load_dashboard,
    selectors,
    substituted,
    variable_queries,
)
from tests.rule_files import rules
from tests.tools import require_tool

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "services" / "monitoring"
DASHBOARDS = sorted((MONITORING / "dashboards").glob("*.json"))
PROMETHEUS = MONITORING / "prometheus.yml"
NAMES = {"adoption", "payments", "pipeline", "incidents", "load-test"}
PLACES = ["province", "commune", "market"]
GRID_WIDTH = 24

each_dashboard = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)


class TestReadingExpressions:
    def test_finds_metrics_with_their_labels_and_groupings(self) -> None:
        text = 'sum by (method) (rate(a_total{x=~"b{c}|d", y!="z"}[$__rate_interval])) / on (n) group_left b or c'
        assert selectors(text) == [
            Selector("a_total", frozenset({"x", "y"})),
            Selector("b", frozenset()),
            Selector("c", frozenset()),
        ]
        assert grouping_labels(text) == {"method", "n"}

    def test_takes_functions_numbers_and_keywords_for_what_they_are(self) -> None:
        text = "histogram_quantile(0.99, sum by (le) (rate(m_bucket[5m] offset 1h))) > bool 1e3 and vector(0)"
        assert [one.metric for one in selectors(text)] == ["m_bucket"]

    def test_replaces_variables_and_misses_none(self) -> None:
        assert substituted('a{p=~"$p"}[$__range] + ${by}', {"p": ".*", "__range": "1h", "by": "b"}) == (
            'a{p=~".*"}[1h] + b'
        )
        with pytest.raises(KeyError):
            substituted("$unknown", {})

    @pytest.mark.parametrize(
        ("expression", "legend", "fault"),
        [
            ("rate(quetma_payments[1m])", "", "no such metric: quetma_payments"),
            ('quetma_lag_records{topic="a"}', "", "quetma_lag_records has no label topic"),
            ("sum by (market) (quetma_lag_records)", "", "groups by market, which nothing here has"),
            ("sum by (partition) (quetma_lag_records)", "{{job}}", "the legend shows job"),
            ("quetma_event_to_metric_seconds", "", "no such metric: quetma_event_to_metric_seconds"),
        ],
    )
    def test_a_wrong_name_is_found(self, expression: str, legend: str, fault: str) -> None:
        assert any(fault in found for found in faults(expression, legend))


class TestDashboards:
    def test_all_five_are_there(self) -> None:
        assert {path.stem for path in DASHBOARDS} == NAMES

    @pytest.mark.parametrize("file", sorted(rendered()))
    def test_files_are_what_they_are_written_from(self, file: str) -> None:
        assert (ROOT / file).read_text(encoding="utf-8") == rendered()[file]

    @each_dashboard
    def test_it_keeps_the_rules_of_dashboards(self, path: Path) -> None:
        faults_found = jsonschema.Draft202012Validator(DASHBOARD).iter_errors(load_dashboard(path))
        assert [f"{'/'.join(map(str, one.absolute_path))}: {one.message}" for one in faults_found] == []

    @pytest.mark.parametrize(
        ("place", "value"),
        [
            (("panels", 1, "fieldConfig", "defaults", "unit"), "per mille"),
            (("panels", 1, "description"), "short"),
            (("panels", 1, "targets"), []),
            (("panels", 1, "gridPos", "w"), 25),
            (("panels", 1, "targets", 0, "datasource"), {"type": "prometheus", "uid": "mine"}),
            (("panels", 1, "oops"), 1),
            (("uid",), "another"),
            (("schemaVersion",), 41),
        ],
        ids=lambda part: str(part[-1]) if isinstance(part, tuple) else "",
    )
    def test_the_rules_find_what_is_wrong(self, place: tuple[Any, ...], value: Any) -> None:
        dashboard = load_dashboard(DASHBOARDS[0])
        part: Any = dashboard
        for step in place[:-1]:
            part = part[step]
        part[place[-1]] = value
        assert not jsonschema.Draft202012Validator(DASHBOARD).is_valid(dashboard)

    @each_dashboard
    def test_queries_name_only_what_is_exported(self, path: Path) -> None:
        found = [
            f"{panel['title']}: {fault}"
            for panel in dashboard_panels(load_dashboard(path))
            for target in panel["targets"]
            for fault in faults(target["expr"], target.get("legendFormat", ""))
        ]
        assert found == []

    @each_dashboard
    def test_it_is_found_under_a_stable_address(self, path: Path) -> None:
        dashboard = load_dashboard(path)
        assert dashboard["uid"] == f"quetma-{path.stem}"
        assert "id" not in dashboard  # Grafana's own, another in every database

    @each_dashboard
    def test_titles_tell_panels_apart(self, path: Path) -> None:
        titles = Counter(panel["title"] for panel in dashboard_panels(load_dashboard(path)))
        assert max(titles.values()) == 1

    def test_addresses_differ(self) -> None:
        assert max(Counter(load_dashboard(path)["uid"] for path in DASHBOARDS).values()) == 1

    @each_dashboard
    def test_panels_lie_beside_each_other_on_the_grid(self, path: Path) -> None:
        dashboard = load_dashboard(path)
        taken: Counter[tuple[int, int]] = Counter()
        for panel in dashboard["panels"]:
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= GRID_WIDTH, panel["title"]
            taken.update(
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            )
        assert max(taken.values()) == 1
        ids = [panel["id"] for panel in dashboard["panels"]]
        assert len(ids) == len(set(ids))

    @each_dashboard
    def test_every_variable_is_defined_before_it_is_used(self, path: Path) -> None:
        dashboard = load_dashboard(path)
        known: set[str] = set()
        for variable in dashboard["templating"]["list"]:
            query = variable["query"]
            text = query["query"] if isinstance(query, dict) else query
            assert _variables_in(text) <= known
            known.add(variable["name"])
        for panel in dashboard_panels(dashboard):
            for target in panel["targets"]:
                used = {name for name in _variables_in(target["expr"]) if not name.startswith("__")}
                assert used <= known, panel["title"]

    @each_dashboard
    def test_every_variable_is_used(self, path: Path) -> None:
        """By a panel, or by a variable behind it."""
        dashboard = load_dashboard(path)
        variables = dashboard["templating"]["list"]
        asked = [variable["query"]["query"] for variable in variables if variable["type"] == "query"]
        used = {
            name
            for text in [*asked, *(one["expr"] for panel in dashboard_panels(dashboard) for one in panel["targets"])]
            for name in _variables_in(text)
        }
        assert {variable["name"] for variable in variables} - {"datasource"} <= used

    @each_dashboard
    def test_the_place_is_chosen_from_the_province_down_to_the_market(self, path: Path) -> None:
        queries = variable_queries(load_dashboard(path))
        assert [query.name for query in queries] == PLACES[: len(queries)]
        for place, query in enumerate(queries):
            (selector,) = selectors(query.selector)
            assert selector.metric in EXPORTED
            assert query.label == query.name
            assert {query.label, *selector.labels} <= EXPORTED[selector.metric]
            assert selector.labels == {outer.name for outer in queries[:place]}

    def test_adoption_goes_down_to_the_market(self) -> None:
        for name in ("adoption", "payments"):
            queries = variable_queries(load_dashboard(MONITORING / "dashboards" / f"{name}.json"))
            assert [query.name for query in queries] == PLACES

    def test_every_metric_has_a_panel_or_an_alert(self) -> None:
        """What nobody looks at need not be exported."""
        asked = {
            one.metric
            for path in DASHBOARDS
            for _, expression in dashboard_queries(path)
            for one in selectors(expression)
        }
        asked |= {one.metric for rule in rules() for one in selectors(rule["expr"])}
        assert [row.name for row in METRICS if not {row.sample, f"{row.name}_count"} & asked] == []

    @each_dashboard
    def test_prometheus_can_parse_every_query(self, path: Path, tmp_path: Path) -> None:
        (promtool,) = require_tool("promtool")
        rules = [
            {"record": f"quetma:query:{number}", "expr": expression}
            for number, (_, expression) in enumerate(dashboard_queries(path))
        ]
        assert rules
        file = tmp_path / "rules.yml"
        file.write_text(yaml.safe_dump({"groups": [{"name": path.stem, "rules": rules}]}), encoding="utf-8")
        _run([promtool, "check", "rules", str(file)])


class TestPrometheus:
    def test_its_settings_are_valid(self) -> None:
        (promtool,) = require_tool("promtool")
        _run([promtool, "check", "config", str(PROMETHEUS)])

    def test_it_reads_every_process_at_the_port_it_listens_on(self) -> None:
        settings = Settings()
        jobs = {job["job_name"]: job for job in _yaml(PROMETHEUS)["scrape_configs"]}
        assert set(jobs) == {"prometheus", "serve", "stream", "producer", "load"}
        assert jobs["serve"]["static_configs"] == [{"targets": [f"serve:{settings.serve.port}"]}]
        for name, port in (
            ("stream", settings.stream.metrics_port),
            ("producer", settings.producer.metrics_port),
            ("load", settings.load.metrics_port),
        ):
            (lookup,) = jobs[name]["dns_sd_configs"]  # one address per container of a scaled service
            assert (lookup["names"], lookup["type"], lookup["port"]) == ([name], "A", port)

    def test_it_reads_nothing_that_nobody_exports(self) -> None:
        assert {process for row in METRICS for process in row.processes} == {
            "producer",
            "stream",
            "serve",
            "load",
        }


class TestGrafana:
    def test_the_data_source_is_the_one_that_dashboards_begin_with(self) -> None:
        (source,) = _yaml(MONITORING / "provisioning" / "datasources" / "prometheus.yml")["datasources"]
        assert source["type"] == "prometheus"
        assert source["isDefault"]
        assert source["jsonData"]["timeInterval"] == _yaml(PROMETHEUS)["global"]["scrape_interval"]
        for path in DASHBOARDS:
            chooser = load_dashboard(path)["templating"]["list"][0]
            assert (chooser["type"], chooser["current"]["value"]) == ("datasource", source["uid"])

    def test_provisioning_is_told_by_compose_where_things_are(self) -> None:
        (source,) = _yaml(MONITORING / "provisioning" / "datasources" / "prometheus.yml")["datasources"]
        (provider,) = _yaml(MONITORING / "provisioning" / "dashboards" / "quetma.yml")["providers"]
        services = _yaml(ROOT / "docker-compose.yml")["services"]
        environment = services["grafana"]["environment"]
        mounts = dict(volume.split(":")[:2] for volume in services["grafana"]["volumes"])
        assert substituted(source["url"], environment) == "http://prometheus:9090"
        assert (
            mounts["./services/monitoring/dashboards"]
            == substituted(provider["options"]["path"], environment)
            == str(Path(environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]).parent)
        )
        assert mounts["./services/monitoring/provisioning/datasources"].endswith("/provisioning/datasources")
        assert mounts["./services/monitoring/provisioning/dashboards"].endswith("/provisioning/dashboards")
        home = Path(environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]).name
        assert (MONITORING / "dashboards" / home).is_file()


def _variables_in(text: str) -> set[str]:
    return set(re.findall(r"\$\{?(\w+)", text))


def _yaml(path: Path) -> Json:
    content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
