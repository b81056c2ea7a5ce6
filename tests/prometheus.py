"""A real Prometheus with our rules, for tests: started on a free port, asked over its API, ended with the test.

In: targets by job. Out: query results, rules, alerts.
"""

from __future__ import annotations

import json
import subprocess
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any, Self

from services.broker import free_port
from services.leash import leashed
from tests.rule_files import RULE_FILES
from tests.tools import require_tool

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Json = dict[str, Any]
GRACE_SECONDS = 10


class Prometheus:
    """Use as a context manager."""

    def __init__(self, targets: Mapping[str, str], folder: Path, interval: str = "5s") -> None:
        """Args: HOST:PORT by job; a folder of its own; the time between two scrapes, and two looks at the rules."""
        (self._binary,) = require_tool("prometheus")
        self._targets, self._folder = dict(targets), folder
        self.url = f"127.0.0.1:{free_port()}"
        self._configuration = {
            "global": {"scrape_interval": interval, "evaluation_interval": interval, "scrape_timeout": interval},
            "rule_files": list(map(str, RULE_FILES)),
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": [target]}]} for job, target in self._targets.items()
            ],
        }

    def __enter__(self) -> Self:
        configuration = self._folder / "prometheus.json"  # JSON is YAML
        configuration.write_text(json.dumps(self._configuration), encoding="utf-8")
        options = [
            f"--config.file={configuration}",
            f"--storage.tsdb.path={self._folder}/tsdb",
            f"--web.listen-address={self.url}",
        ]
        with (self._folder / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(leashed([self._binary, *options]), stdout=log, stderr=log)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(GRACE_SECONDS)

    def query(self, expression: str) -> list[Json]:
        """The result of an expression, now."""
        result: list[Json] = self._get(f"query?{urllib.parse.urlencode({'query': expression})}")["result"]
        return result

    def rules(self) -> list[Json]:
        """All rules, with what became of their last evaluation."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def alerts(self) -> list[Json]:
        """The alerts that are pending or firing."""
        listed: list[Json] = self._get("alerts")["alerts"]
        return listed

    def scrapes(self) -> float:
        """How often every target has been scraped while it was up; 0 before Prometheus answers."""
        try:
            series = self.query("count_over_time(up[10m]) * up")
        except OSError:
            return 0
        return min(float(one["value"][1]) for one in series) if len(series) == len(self._targets) else 0

    def _get(self, path: str) -> Json:
        with urllib.request.urlopen(f"http://{self.url}/api/v1/{path}", timeout=10) as response:
            answer: Json = json.load(response)
        assert answer["status"] == "success", answer
        data: Json = answer["data"]
        return data
