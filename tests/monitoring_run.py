"""A run with an outage and a fraud wave, watched by a real Prometheus with our rules: which alerts fired, and when.

In: how long. Out: a timeline of alerts; exit code 1 if one of those expected did not fire and resolve, or another did.

``python -m tests.monitoring_run --for 10m`` takes its ten minutes and needs Debian's Prometheus.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.broker import EmbeddedBroker
from services.output import seconds_of
from tests.prometheus import Prometheus
from tests.system import System, finished

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]

SCENARIO = """
extends = "an-giang"
without = ["switch-down", "swapped-codes", "look-before-you-scan"]
name = "watched"
title = "An Giang, with an outage on the second day and swapped codes on the third"

[[intervention]]
id = "watched-outage"
kind = "outage"
scope = "switch"
start = 2025-11-18T09:00:00
end = 2025-11-18T12:00:00
then = "cash"
retry_after_seconds = { value = 1800.0, source = "assumed" }
source = "assumed"

[[intervention]]
id = "watched-swap"
kind = "fraud_wave"
place = ["tron"]
start = 2025-11-19
end = 2025-11-20
stalls = { value = 0.2, source = "assumed" }
source = "assumed"
"""
SIMULATED_HOURS = 100
"""Four days and a bit: the outage on the second, the wave on the third, and time for both to be over."""
EXPECTED = {"QuetmaOutageSeen", "QuetmaSuspectedQrSwap"}
LOCAL = dt.timezone(dt.timedelta(hours=7))
POLL_SECONDS = 1.0
LEAST_SECONDS = 480.0
"""In a shorter run an outage has few scrapes, and the swap, which resolves two minutes after its last, no time to."""


@dataclass(frozen=True)
class Change:
    """An alert took another state."""

    seconds: float
    simulated: str
    alert: str
    state: str


@dataclass
class Timeline:
    """What became of the alerts, as it happened."""

    changes: list[Change] = field(default_factory=list)
    _states: dict[str, str] = field(default_factory=dict)

    def look(self, alerts: list[Json], seconds: float, simulated: str) -> Iterator[Change]:
        """Take a look at the alerts there are; yield what has changed."""
        now = {_name(one["labels"]): one["state"] for one in alerts}
        for name in sorted({*now, *self._states}):
            state = now.get(name, "resolved" if self._states.get(name) == "firing" else "gone")
            if state != self._states.get(name):
                change = Change(round(seconds, 1), simulated, name, state)
                self.changes.append(change)
                yield change
        self._states = now

    def named(self, state: str) -> set[str]:
        """Names of the alerts that have ever been in a state."""
        return {change.alert.split("{")[0] for change in self.changes if change.state == state}

    @property
    def faults(self) -> list[str]:
        """What is not as expected."""
        fired, resolved = self.named("firing"), self.named("resolved")
        return [
            *(f"{name} did not fire" for name in sorted(EXPECTED - fired)),
            *(f"{name} did not resolve" for name in sorted(EXPECTED & fired - resolved)),
            *(f"{name} fired" for name in sorted(fired - EXPECTED)),
        ]


def _name(labels: dict[str, str]) -> str:
    places = [labels[name] for name in ("province", "commune", "instance") if name in labels]
    return f"{labels['alertname']}{{{', '.join(places)}}}"


def watch(seconds: float) -> Timeline:
    """Run the scenario in so many seconds, and tell what becomes of the alerts."""
    with tempfile.TemporaryDirectory(prefix="quetma-watched-") as name:
        folder = Path(name)
        (folder / "watched.toml").write_text(SCENARIO, encoding="utf-8")
        with EmbeddedBroker(folder) as broker, System(broker.bootstrap_servers, folder) as system:
            system.ready()
            return _watched(system, folder, seconds)


def _watched(system: System, folder: Path, seconds: float) -> Timeline:
    speed = SIMULATED_HOURS * 3600 / seconds
    producer = system.start("produce", "produce", str(folder / "watched.toml"), "--speed", f"{speed:g}", "--json")
    targets = {"serve": "serve", "stream": "stream", "producer": "produce"}
    timeline = Timeline()
    with Prometheus({job: f"127.0.0.1:{system.ports[of]}" for job, of in targets.items()}, folder) as prometheus:
        system.until(lambda: prometheus.scrapes() > 0, [producer])
        begun = time.monotonic()
        while (elapsed := time.monotonic() - begun) < seconds:
            assert producer.exit_code is None, producer.log_end()
            for change in timeline.look(prometheus.alerts(), elapsed, _simulated(prometheus)):
                _say(change)
            time.sleep(POLL_SECONDS)
    producer.ask_to_stop()
    summary = finished(producer)
    verdict = system.verify(summary["run"], wait_seconds=30.0)
    assert verdict["exact"], verdict["mismatches"][:5]
    return timeline


def _simulated(prometheus: Prometheus) -> str:
    found = prometheus.query("max(quetma_produced_time_seconds)")
    if not found or found[0]["value"][1] == "0":
        return "-"  # nothing has been paid yet
    return dt.datetime.fromtimestamp(float(found[0]["value"][1]), LOCAL).strftime("%Y-%m-%d %H:%M")


def _say(change: Change) -> None:
    line = f"{change.seconds:6.0f} s   {change.simulated:16}   {change.state:9}   {change.alert}"
    print(line, flush=True)  # noqa: T201  # this is what the tool is for


def main() -> int:
    """Run, and say what was not as expected."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--for", dest="for_", default="10m", help="how long on the wall clock, from 8m on")
    parser.add_argument("--json", action="store_true", help="end with the timeline as JSON")
    options = parser.parse_args()
    seconds = seconds_of(options.for_, "--for") or 0.0
    if seconds < LEAST_SECONDS:
        parser.error(f"--for {options.for_}: give 8m or more, or alerts have no time to resolve")
    timeline = watch(seconds)
    if options.json:
        print(json.dumps([change.__dict__ for change in timeline.changes]))  # noqa: T201  # see above
    for fault in timeline.faults:
        print(fault, file=sys.stderr)  # noqa: T201  # see above
    return 1 if timeline.faults else 0


if __name__ == "__main__":
    sys.exit(main())
