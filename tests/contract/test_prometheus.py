"""A real Prometheus scrapes real processes: the exposition is right, and every panel of the dashboard has data."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.broker import free_port
from services.leash import leashed
from tests.contract.systems import Systems
from tests.monitoring_tools import dashboard_queries
from tests.system import System, finished, on
from tests.tools import require_tool

# One broker is enough: what is scraped does not depend on it.
pytestmark = [pytest.mark.broker, on("embedded")]

DASHBOARD = Path("services/monitoring/dashboards/adoption.json")
PROCESSES = ("serve", "stream", "produce")
SCRAPES = 8


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)


@pytest.fixture(scope="module")
def producing(systems: Systems) -> Iterator[System]:
    """The system that has run, with a producer of another run at work."""
    system, _ = systems.get()
    arguments = ["produce", "an-giang", "--run", "scraped", "--rate", "2000", "--json"]
    producer = system.start("produce", *arguments, QUETMA_PRODUCER__MAX_LAG="100000")
    system.until(lambda: system.metrics("produce").total("quetma_acked_payments_total") > 0, [producer])
    yield system
    producer.ask_to_stop()
    finished(producer)


@pytest.fixture(scope="module")
def prometheus(producing: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that has scraped all processes a few times."""
    (binary,) = require_tool("prometheus")
    tmp_path = tmp_path_factory.mktemp("prometheus")
    targets = [f"127.0.0.1:{producing.ports[name]}" for name in PROCESSES]
    jobs = [{"job_name": "quetma", "static_configs": [{"targets": targets}]}]
    configuration = tmp_path / "prometheus.json"  # JSON is YAML
    configuration.write_text(json.dumps({"global": {"scrape_interval": "250ms"}, "scrape_configs": jobs}))
    url = f"127.0.0.1:{free_port()}"
    options = [f"--config.file={configuration}", f"--storage.tsdb.path={tmp_path}/tsdb", f"--web.listen-address={url}"]
    with (tmp_path / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(leashed([binary, *options]), stdout=log, stderr=log)
    try:
        producing.until(lambda: scraped(url) >= SCRAPES)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def query(url: str, expression: str) -> list[dict[str, Any]]:
    answer = get(f"http://{url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
    assert answer["status"] == "success", answer
    result: list[dict[str, Any]] = answer["data"]["result"]
    return result


def scraped(url: str) -> float:
    try:
        series = query(url, "count_over_time(up[10m]) * up")
    except OSError:
        return 0
    return min((float(one["value"][1]) for one in series), default=0) if len(series) == len(PROCESSES) else 0


def test_every_target_is_up_and_every_panel_has_data(prometheus: str) -> None:
    assert [one["value"][1] for one in query(prometheus, "up")] == ["1"] * len(PROCESSES)
    without = [
        (title, expression) for title, expression in dashboard_queries(DASHBOARD) if not query(prometheus, expression)
    ]
    assert without == []


def test_prometheus_sees_what_the_exporter_says(producing: System, prometheus: str) -> None:
    time.sleep(1)
    before = producing.metrics("serve").total("quetma_payments_total")
    (seen,) = query(prometheus, "sum(quetma_payments_total)")
    after = producing.metrics("serve").total("quetma_payments_total")
    assert 0 < float(seen["value"][1]) <= after
    assert before <= after


@pytest.mark.parametrize("process", PROCESSES)
def test_promtool_finds_nothing_to_mend(producing: System, process: str) -> None:
    (promtool,) = require_tool("promtool")
    with urllib.request.urlopen(f"http://127.0.0.1:{producing.ports[process]}/metrics", timeout=10) as response:
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        exposition = response.read()
    done = subprocess.run([promtool, "check", "metrics"], input=exposition, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()


def test_health_and_readiness(producing: System) -> None:
    for path in ("healthz", "readyz"):
        assert get(f"http://127.0.0.1:{producing.ports['serve']}/{path}")["ok"] is True
