"""The demo: everything on this machine, ending with the reconciliation.

In: a scenario, a pace, a broker or none. Out: broker, stream, exporter and producer as processes; a `DemoResult`.
Stopping goes in order: producer, drain, verify, stream, exporter, broker.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.errors import BadInputError, ExitCode, QuetmaError, UnreachableError
from schemas.settings import Settings
from services.broker import EmbeddedBroker, check_reachable, free_port, port_is_free
from services.page.tokens import token_of
from services.scrape import Samples, scrape
from services.supervisor import Child
from services.topic_admin import ensure_topics
from services.verify import Verdict, verify

READY_SECONDS = 60.0
DRAIN_SECONDS = 20.0
"""How long nothing may move before the reconciliation counts as final."""
WATCH_SECONDS = 0.5
EXPORTER_LOOKS = 4
"""Every how many looks the exporter is scraped too while payments flow: its answer is long, and costs both sides."""
MAX_RESTARTS = 5
MAX_LAG = 250_000
APPLIED = "quetma_applied_payments_total"
"""Payments that the worker has folded, each once: what is acknowledged must come to as many. Records would not do:
repeats and spoiled copies are among them."""
EMBEDDED_SESSION_SECONDS = "3"
"""Tansu lets a group join wait for half of it."""


@dataclass(frozen=True)
class DemoPlan:
    """What the demo is to show."""

    scenario: str
    province: str
    produce: list[str]
    """More arguments of `quetma produce`."""


@dataclass
class Snapshot:
    """The state of all processes at one moment."""

    producer: Samples = field(default_factory=Samples)
    stream: Samples = field(default_factory=Samples)
    exporter: Samples = field(default_factory=Samples)
    at: float = 0.0
    phase: str = "starting"
    restarts: int = 0


@dataclass(frozen=True)
class DemoResult:
    """How the demo ended."""

    document: dict[str, Any]
    verdict: Verdict


@dataclass
class Endpoints:
    """Where the processes answer scrapes."""

    host: str
    producer: int
    stream: int
    exporter: int

    def url(self, port: int) -> str:
        """Return the URL of a /metrics."""
        return f"http://{self.host}:{port}/metrics"

    def page(self, token: str) -> str:
        """Return the URL of the live page; the token stays in the browser, behind the #."""
        return f"http://{self.host}:{self.exporter}/#token={token}"


Show = Callable[[Snapshot], None]
"""Is given a snapshot twice a second."""


class Demo:
    """Runs once."""

    def __init__(self, plan: DemoPlan, settings: Settings, folder: Path) -> None:
        self._plan = plan
        self._settings = settings
        self._folder = folder
        self._embedded: EmbeddedBroker | None = None
        self._watched: list[Child] = []
        serve = settings.serve
        self.endpoints = Endpoints(
            serve.host,
            producer=_port(serve.host, settings.producer.metrics_port),
            stream=_port(serve.host, settings.stream.metrics_port),
            exporter=_port(serve.host, serve.port),
        )
        self.bootstrap_servers = settings.kafka.bootstrap_servers or ""
        self.token = token_of(settings.serve)
        self._first_at: float | None = None
        self._moved_at = time.monotonic()
        self._applied = 0.0
        self.stop = asyncio.Event()
        self.snapshot = Snapshot()
        self._looks = 0

    async def run(self, show: Show) -> DemoResult:
        """Run until the producer ends or `stop` is set; ``show`` gets a snapshot twice a second.

        Raises:
            QuetmaError: if a process cannot start or dies for good.
        """
        async with AsyncExitStack() as stack:
            await self._start_broker(stack)
            environment = self._environment()
            stream = self._child(stack, "stream", ["stream"], environment)
            exporter = self._child(stack, "serve", ["serve"], environment)
            await self._until_ready(show)
            if self.stop.is_set():
                raise KeyboardInterrupt
            producer = self._child(stack, "produce", self._produce_arguments(), environment)
            self._watched = [stream, exporter]
            before = self.snapshot
            summary = await self._watch(producer, show)
            await self._drain(before, summary["acked"], show)
            verdict = await self._reconcile(summary["run"], show)
            await self._exported(verdict, show)
            for child in (stream, exporter):
                child.ask_to_stop()
                await child.stopped()
        return DemoResult(self._document(summary, verdict, before), verdict)

    async def _start_broker(self, stack: AsyncExitStack) -> None:
        if self.bootstrap_servers:
            await check_reachable(self.bootstrap_servers, self._settings.kafka.connect_timeout_seconds)
        else:
            self._embedded = await stack.enter_async_context(EmbeddedBroker(self._folder))
            self.bootstrap_servers = self._embedded.bootstrap_servers
        await ensure_topics(self._settings.kafka.model_copy(update={"bootstrap_servers": self.bootstrap_servers}))

    def _environment(self) -> dict[str, str]:
        environment = {
            "QUETMA_KAFKA__BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "QUETMA_SERVE__PORT": str(self.endpoints.exporter),
            "QUETMA_SERVE__TOKEN": self.token,
            "QUETMA_STREAM__METRICS_PORT": str(self.endpoints.stream),
            "QUETMA_PRODUCER__METRICS_PORT": str(self.endpoints.producer),
            "QUETMA_PRODUCER__MAX_LAG": str(self._settings.producer.max_lag or MAX_LAG),
        }
        if self._embedded is not None:
            environment["QUETMA_STREAM__SESSION_TIMEOUT_SECONDS"] = EMBEDDED_SESSION_SECONDS
        return environment

    def _produce_arguments(self) -> list[str]:
        run = [] if self._embedded is not None else ["--run", f"{Path(self._plan.scenario).stem}-{int(time.time())}"]
        return ["produce", self._plan.scenario, *run, *self._plan.produce, "--json"]

    def _child(self, stack: AsyncExitStack, name: str, arguments: list[str], environment: dict[str, str]) -> Child:
        child = Child(name, arguments, environment, self._folder)

        async def end() -> None:
            child.ask_to_stop()
            await child.stopped(grace_seconds=5.0)

        stack.push_async_callback(end)
        self._watched.append(child)
        return child

    async def _until_ready(self, show: Show) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not (
            self.snapshot.stream.total("quetma_recovery_seconds") and self.snapshot.exporter.series("quetma_build_info")
        ):
            await self._look(show, "starting")
            if time.monotonic() > deadline:
                logs = "\n".join(child.log_end() for child in self._watched)
                raise UnreachableError("demo", f"stream or exporter not ready in {READY_SECONDS:.0f} s", logs)

    async def _watch(self, producer: Child, show: Show) -> dict[str, Any]:
        """Wait for the producer's end; pass a stop on to it. Return its summary."""
        asked = False
        while producer.exit_code is None:
            if self.stop.is_set() and not asked:
                producer.ask_to_stop()
                asked = True
            await self._look(show, "paying")
        if self.stop.is_set() and producer.exit_code == -signal.SIGTERM:
            raise KeyboardInterrupt  # before it had begun
        if producer.exit_code != ExitCode.DONE:
            raise _ended(producer)
        summary: dict[str, Any] = json.loads(producer.output().splitlines()[-1])
        return summary

    async def _look(self, show: Show, phase: str) -> None:
        """Take a snapshot, show it, bring back what has died."""
        if self._embedded is not None and not self._embedded.alive:
            raise UnreachableError(
                "demo", "the embedded broker has ended, and what it kept in memory with it", self._embedded.log_end()
            )
        for child in self._watched:
            if child.exit_code is not None:
                if child.restarts >= MAX_RESTARTS or child.exit_code in {ExitCode.BAD_INPUT, ExitCode.UNREACHABLE}:
                    raise _ended(child)
                child.restart()
        points = self.endpoints
        self._looks += 1
        ports = [points.producer, points.stream]
        if phase != "paying" or self._looks % EXPORTER_LOOKS == 0:
            ports.append(points.exporter)
        producer, stream, *rest = await asyncio.gather(*(scrape(points.url(port)) for port in ports))
        (exporter,) = rest or (None,)
        last, restarts = self.snapshot, sum(child.restarts for child in self._watched)
        self.snapshot = Snapshot(
            # One that does not answer now, or any more, is shown as it was last.
            producer or last.producer,
            stream or last.stream,
            exporter or last.exporter,
            time.monotonic(),
            phase,
            restarts,
        )
        self._time_the_flow(self.snapshot)
        show(self.snapshot)
        await asyncio.sleep(WATCH_SECONDS)

    def _time_the_flow(self, snapshot: Snapshot) -> None:
        """Note when the first payment was acknowledged and when the last one was folded, to half a second."""
        applied = snapshot.stream.total(APPLIED)
        if self._first_at is None and snapshot.producer.total("quetma_acked_payments_total"):
            self._first_at = snapshot.at
        if applied > self._applied:
            self._applied, self._moved_at = applied, snapshot.at

    async def _drain(self, before: Snapshot, acked: int, show: Show) -> None:
        """Wait until the worker has folded every payment, or nothing moves any more."""
        goal = before.stream.total(APPLIED) + acked
        while self.snapshot.stream.total(APPLIED) < goal and time.monotonic() - self._moved_at < DRAIN_SECONDS:
            await self._look(show, "draining")

    async def _reconcile(self, run: str, show: Show) -> Verdict:
        """Verify until it is exact or nothing moves any more."""
        work = asyncio.create_task(verify(self.bootstrap_servers, run, wait_seconds=DRAIN_SECONDS))
        return await self._during(work, show, "reconciling")

    async def _exported(self, verdict: Verdict, show: Show) -> None:
        """Wait until the exporter shows every payment that was aggregated."""
        deadline = time.monotonic() + DRAIN_SECONDS
        await self._look(show, "exporting")
        while self._exported_payments() < verdict.payments["aggregates"] and time.monotonic() < deadline:
            await self._look(show, "exporting")

    def _events_per_second(self, processed: int) -> float:
        """Return the rate from the first acknowledged payment to the last one folded."""
        seconds = self._moved_at - self._first_at if self._first_at is not None else 0.0
        return round(processed / max(seconds, WATCH_SECONDS), 1)

    def _exported_payments(self) -> int:
        series = self.snapshot.exporter.series("quetma_payments_total")
        return int(sum(value for labels, value in series if labels["province"] == self._plan.province))

    async def _during(self, work: asyncio.Task[Verdict], show: Show, phase: str) -> Verdict:
        try:
            while not work.done():
                await self._look(show, phase)
            return work.result()
        finally:
            work.cancel()

    def _document(self, summary: dict[str, Any], verdict: Verdict, before: Snapshot) -> dict[str, Any]:
        """Return the object that `quetma demo --json` ends with.

        Produced, acknowledged, processed and exported are payments, each counted once. Repeats and dead letters
        are records beside them.
        """
        after = self.snapshot

        def grown(name: str) -> int:
            return int(after.stream.total(name) - before.stream.total(name))

        processed, exported = grown(APPLIED), self._exported_payments()
        latency = {
            f"p{percent}": _milliseconds(after.exporter.quantile("quetma_event_to_metric_seconds", percent / 100))
            for percent in (50, 95, 99)
        }
        return {
            "scenario": summary["scenario"],
            "seed": summary["seed"],
            "produced": summary["produced"],
            "acked": summary["acked"],
            "processed": processed,
            "duplicates": grown("quetma_dropped_duplicates_total"),
            "dead_letters": grown("quetma_dead_letters_total"),
            "late": grown("quetma_late_records_total"),
            "exported": exported,
            "exact": verdict.exact and exported == summary["acked"],
            "mismatches": len(verdict.mismatches),
            "events_per_second": self._events_per_second(processed),
            "latency_ms": latency,
        }


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _port(host: str, wanted: int) -> int:
    return wanted if wanted and port_is_free(host, wanted) else free_port()


def _ended(child: Child) -> QuetmaError:
    kind = BadInputError if child.exit_code == ExitCode.BAD_INPUT else UnreachableError
    return kind("demo", f"{child.name} ended with exit code {child.exit_code}", child.log_end())
