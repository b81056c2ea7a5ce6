"""A real Prometheus with our rules scrapes real processes: every panel has data, no alert fires, series keep bounds."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from signal import SIGINT
from typing import Any

import pytest

from producers.scenario_files import load_scenario
from producers.simulation.world import build_world
from schemas.metrics import METRICS, SERIES_BUDGET
from services.broker import free_port
from services.supervisor import Child
from tests.contract.systems import Systems
from tests.loading import merchant
from tests.monitoring_tools import VariableQuery, dashboard_queries, load_dashboard, substituted, variable_queries
from tests.prometheus import Prometheus
from tests.rule_files import MONITORING, alerts, records
from tests.series import most_series
from tests.system import System, finished, usually_on
from tests.tools import require_tool

# One broker is enough: what is scraped does not depend on it.
pytestmark = [pytest.mark.broker, usually_on("embedded")]

DASHBOARDS = sorted((MONITORING / "dashboards").glob("*.json"))
PROCESSES = {"serve": "serve", "stream": "stream", "producer": "produce", "load": "load"}
"""Jobs, and whose port they read."""
SCRAPES = 24
DAYS_BEFORE = 7
"""So many that the exporter knows what is usual, and has compared some with the ledger."""
RUN = ("produce", "an-giang", "--run", "scraped", "--shard", "3/10", "--json")
LOAD = ("load", "an-giang", "--rate", "100", "--for", "10m", "--json")
"""Of a system under test that is no broker: what it sends is not counted."""

each_dashboard = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def producing(systems: Systems) -> Iterator[System]:
    """A system with a run of some days that goes on."""
    system, _ = systems.get()
    system.ports["load"] = free_port()
    with merchant() as url:
        load = system.start("load", *LOAD, "--to", url, QUETMA_LOAD__METRICS_PORT=str(system.ports["load"]))
        yield from _producing(system, load)


def _producing(system: System, load: Child) -> Iterator[System]:
    done = system.quetma(*RUN, "--days", str(DAYS_BEFORE), "--speed", "max")
    assert done.returncode == 0, done.stderr
    producer = system.start("produce", *RUN, "--rate", "2000", QUETMA_PRODUCER__MAX_LAG="100000")
    system.until(lambda: system.metrics("produce").total("quetma_acked_payments_total") > 0, [producer])
    system.until(lambda: system.metrics("load").total("quetma_load_failed_records_total") > 0, [load])
    yield system
    load.send(SIGINT)
    producer.ask_to_stop()
    finished(producer)
    report = finished(load)
    assert report["ended"] == "interrupted"
    assert report["counts"]["sent"] == report["counts"]["answered"] + report["counts"]["errors"]["http 500"] > 0


@pytest.fixture(scope="module")
def prometheus(producing: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has scraped all processes for a while."""
    targets = {job: f"127.0.0.1:{producing.ports[name]}" for job, name in PROCESSES.items()}
    with Prometheus(targets, tmp_path_factory.mktemp("prometheus"), interval="250ms") as started:
        producing.until(lambda: started.scrapes() >= SCRAPES)
        yield started


def test_every_target_is_up_and_every_rule_is_evaluated(prometheus: Prometheus) -> None:
    assert {one["metric"]["job"]: one["value"][1] for one in prometheus.query("up")} == dict.fromkeys(PROCESSES, "1")
    found = prometheus.rules()
    assert {rule["name"] for rule in found} == {*alerts(), *records()}
    assert {rule["name"]: rule["lastError"] for rule in found if rule.get("lastError")} == {}
    assert [name for name in records() if not prometheus.query(name)] == []


@each_dashboard
def test_every_panel_has_data(prometheus: Prometheus, path: Path) -> None:
    without = [(title, expression) for title, expression in dashboard_queries(path) if not prometheus.query(expression)]
    assert without == []


@each_dashboard
def test_every_panel_has_data_of_one_place(prometheus: Prometheus, path: Path) -> None:
    """As an operator chooses them: a province, then one of its communes, then one of its markets."""
    chosen: dict[str, str] = {}
    for variable in variable_queries(load_dashboard(path)):
        chosen[variable.name] = options(prometheus, variable, chosen)[0]
    without = [
        (title, expression) for title, expression in dashboard_queries(path, chosen) if not prometheus.query(expression)
    ]
    assert without == []


def options(prometheus: Prometheus, variable: VariableQuery, chosen: dict[str, str]) -> list[str]:
    """What a variable offers, as Grafana finds it: the values of a label."""
    found = prometheus.query(substituted(variable.selector, chosen))
    values = sorted({one["metric"][variable.label] for one in found})
    assert values, variable
    return values


def test_no_alert_fires_in_a_healthy_run(producing: System, prometheus: Prometheus) -> None:
    time.sleep(2)
    assert [one["labels"] for one in prometheus.alerts() if one["state"] == "firing"] == []
    held = producing.metrics("serve").total("quetma_reconciled_payments")
    assert held > 0
    assert producing.metrics("serve").total("quetma_reconciliation_difference_payments") == 0


def test_prometheus_sees_what_the_exporter_says(producing: System, prometheus: Prometheus) -> None:
    time.sleep(1)
    before = producing.metrics("serve").total("quetma_payments_total")
    (seen,) = prometheus.query("sum(quetma_payments_total)")
    after = producing.metrics("serve").total("quetma_payments_total")
    assert 0 < float(seen["value"][1]) <= after
    assert before <= after


def test_the_producer_says_what_was_asked_for_and_how_the_model_stands(producing: System) -> None:
    samples = producing.metrics("produce")
    assert samples.total("quetma_target_events_per_second") == 2000
    adults, active = (samples.total(f"quetma_model_{name}") for name in ("adults", "active_adults"))
    assert 0 < active < adults
    assert len(samples.series("quetma_model_adults")) == len(
        producing.metrics("serve").series("quetma_suspect_vnd_total")
    )


def test_a_real_scrape_has_no_more_series_than_the_table_allows(producing: System) -> None:
    scenario = load_scenario("an-giang")
    world = build_world(scenario, scenario.seed)
    together = 0
    for process, name in PROCESSES.items():
        samples = producing.metrics(name)
        for row in METRICS:
            if process not in row.processes:
                continue
            parts = {
                "counter": [f"{row.name}_total", f"{row.name}_created"],
                "histogram": [f"{row.name}_{part}" for part in ("bucket", "sum", "count", "created")],
            }.get(row.kind, [row.name])
            found = sum(len(samples.series(part)) for part in parts)
            together += found
            assert found <= most_series(row, world, partitions=4), row.name
    assert 200 < together < SERIES_BUDGET


@pytest.mark.parametrize("process", PROCESSES.values())
def test_promtool_finds_nothing_to_mend(producing: System, process: str) -> None:
    (promtool,) = require_tool("promtool")
    with urllib.request.urlopen(f"http://127.0.0.1:{producing.ports[process]}/metrics", timeout=10) as response:
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        exposition = response.read()
    done = subprocess.run([promtool, "check", "metrics"], input=exposition, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()


def test_health_and_readiness(producing: System) -> None:
    for path in ("healthz", "readyz"):
        with urllib.request.urlopen(f"http://127.0.0.1:{producing.ports['serve']}/{path}", timeout=10) as response:
            answer: Any = json.load(response)
        assert answer["ok"] is True
