"""`quetma demo`: everything on this machine.

In: arguments. Out: a live view on stderr, and how it ended on stdout.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import typer
import uvloop
from rich.console import Console
from rich.live import Live

from producers.pacing import make_pace
from producers.scenario_files import load_scenario
from schemas.errors import ExitCode
from services.demo import Demo, DemoPlan, DemoResult, Show, Snapshot
from services.options import (
    BrokerOption,
    DaysOption,
    ForOption,
    JsonOption,
    QuietOption,
    RateOption,
    ScenarioArgument,
    SeedOption,
    SpeedOption,
    settings_for,
)
from services.output import print_json, say, seconds_of
from services.processes import set_up_logging, until_stopped
from services.produce_commands import DEFAULT_SPEED
from services.terminal_view import TerminalView
from services.verify_commands import lines_of

LINE_SECONDS = 5.0
FIRST_HOUR = "4"
"""The demo begins when the dawn markets do."""


def demo(
    scenario: ScenarioArgument = "an-giang",
    *,
    broker: BrokerOption = None,
    speed: SpeedOption = None,
    rate: RateOption = None,
    for_: ForOption = None,
    days: DaysOption = None,
    seed: SeedOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Let a province pay on this machine, broker included, and end with the reconciliation."""
    set_up_logging(quiet=True)
    settings = settings_for(broker, need_broker=False)
    checked = load_scenario(scenario)
    make_pace(speed=speed, rate=rate, default_speed=DEFAULT_SPEED, start_at=0)
    seconds_of(for_, "--for")
    given = {"--speed": speed, "--rate": rate, "--for": for_, "--days": days, "--seed": seed}
    options = [part for flag, value in given.items() if value is not None for part in (flag, str(value))]
    plan = DemoPlan(scenario, checked.province.id, [*options, "--start-hour", FIRST_HOUR])
    with tempfile.TemporaryDirectory(prefix="quetma-demo-") as folder:
        running = Demo(plan, settings, Path(folder))
        result = uvloop.run(_run(running, checked.title, quiet=quiet))
    if json:
        print_json(result.document)
    else:
        typer.echo("\n".join(_summary(result)))
    if not result.document["exact"]:
        raise typer.Exit(ExitCode.CHECK_FAILED)


async def _run(running: Demo, title: str, *, quiet: bool) -> DemoResult:
    view = TerminalView(title, running.endpoints, running.token)
    live, show = _display(view, quiet=quiet)
    if not quiet:
        say(f"live page {running.endpoints.page(running.token)}")
    results: list[DemoResult] = []

    async def work(stop: asyncio.Event) -> None:
        running.stop = stop
        with live:
            results.append(await running.run(show))

    await until_stopped(work)
    return results[0]


def _display(view: TerminalView, *, quiet: bool) -> tuple[AbstractContextManager[Any], Show]:
    """Return the live view on a terminal, a line now and then elsewhere, nothing if quiet."""
    console = Console(stderr=True)
    if quiet:
        return nullcontext(), lambda _snapshot: None
    if console.is_terminal:
        live = Live(console=console, refresh_per_second=4, transient=True)
        return live, lambda snapshot: live.update(view.render(snapshot))
    said_at = 0.0

    def line(snapshot: Snapshot) -> None:
        nonlocal said_at
        text = view.line(snapshot)
        if time.monotonic() - said_at >= LINE_SECONDS:
            said_at = time.monotonic()
            say(text)

    return nullcontext(), line


def _summary(result: DemoResult) -> list[str]:
    document, latency = result.document, result.document["latency_ms"]
    set_aside = ", ".join(
        f"{document[name]:,} {name.replace('_', ' ')}" for name in ("duplicates", "dead_letters", "late")
    )
    quantiles = ", ".join(f"{name} {value} ms" for name, value in latency.items())
    return [
        *lines_of(result.verdict),
        f"exported     {document['exported']:,} on /metrics; {set_aside}",
        f"speed        {document['events_per_second']:,.0f} payments/s end to end; event→metric {quantiles}",
    ]
