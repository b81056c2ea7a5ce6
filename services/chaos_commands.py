"""`quetma chaos`: a whole Quetma under faults, and whether its books are exact afterwards.

In: arguments. Out: a line for each fault on stderr, the report on stdout; exit code 1 if it is not exact.
"""

from __future__ import annotations

import asyncio
import math
import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop

from producers.scenario_files import load_scenario
from schemas.errors import BadInputError, ExitCode
from services.chaos.brokers import MemoryBroker
from services.chaos.faults import Kind
from services.chaos.run import Chaos, Course, Setting, Tell, embedded, given
from services.options import BrokerOption, JsonOption, QuietOption, RateOption, ScenarioArgument, settings_for
from services.output import print_json, say, seconds_of
from services.processes import set_up_logging, until_stopped

EVERY_SECONDS = 6.0
"""Mean time between two faults where the arguments leave it open."""
DEFAULT_FOR = "5m"


def chaos(
    scenario: ScenarioArgument = "an-giang",
    *,
    broker: BrokerOption = None,
    for_: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="Faults begin within this time; 5m if left out.")
    ] = None,
    faults: Annotated[int | None, typer.Option(min=1, help="How many; one in 6 s on average if left out.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the plan of faults.")] = 0,
    rate: RateOption = None,
    without: Annotated[list[Kind] | None, typer.Option(help="Leave out a kind of fault; may be repeated.")] = None,
    keep: Annotated[Path | None, typer.Option(metavar="DIR", help="Keep the logs of all processes there.")] = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Kill, pause, cut off and scale a running system from a seed, then verify that nothing is lost or counts twice."""
    set_up_logging(quiet=True)
    settings = settings_for(broker, need_broker=False)
    load_scenario(scenario)
    course = course_of(scenario, for_=for_, faults=faults, seed=seed, rate=rate, without=without or [])
    servers = settings.kafka.bootstrap_servers
    setting = given(servers, settings.stream.session_timeout_seconds) if servers else embedded(MemoryBroker)
    report = run_chaos(course, setting, keep=keep, tell=_nothing if quiet else say)
    if json:
        print_json(report)
    else:
        typer.echo("\n".join(lines_of(report)))
    if not report["exact"]:
        raise typer.Exit(ExitCode.CHECK_FAILED)


def course_of(
    scenario: str, *, for_: str | None, faults: int | None, seed: int, rate: float | None, without: list[Kind]
) -> Course:
    """Return what the arguments ask for.

    Raises:
        BadInputError: if a value is not allowed.
    """
    if rate is not None and not (rate > 0 and math.isfinite(rate)):
        raise BadInputError("arguments", f"--rate {rate}", "give a number above 0")
    seconds = seconds_of(for_ or (None if faults else DEFAULT_FOR), "--for")
    if seconds is None:
        seconds = (faults or 1) * EVERY_SECONDS
    count = faults or max(1, round(seconds / EVERY_SECONDS))
    return Course(scenario, seed, count, seconds, frozenset(without), rate=rate)


def run_chaos(course: Course, setting: Setting, *, keep: Path | None, tell: Tell) -> dict[str, Any]:
    """Run it and return the report; logs are kept where told to, and where the books are not exact."""
    folder = Path(tempfile.mkdtemp(prefix="quetma-chaos-")) if keep is None else keep
    folder.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {}
    try:
        report = uvloop.run(_run(Chaos(course, setting, folder, tell)))
    finally:
        if report.get("exact") and keep is None:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            tell(f"logs are in {folder}")
    return report


async def _run(running: Chaos) -> dict[str, Any]:
    reports: list[dict[str, Any]] = []

    async def work(stop: asyncio.Event) -> None:
        running.stop = stop
        reports.append(await running.run())

    await until_stopped(work)
    return reports[0]


def lines_of(report: dict[str, Any]) -> list[str]:
    """Return the report for people."""
    kinds = ", ".join(f"{kind} {count}" for kind, count in report["faults"]["by_kind"].items())
    recovery, records = report["recovery_seconds"], report["records"]
    payments, vnd = report["payments"], report["amount_vnd"]
    became = " + ".join(f"{name.replace('_', ' ')} {records[name]:,}" for name in records if name != "topic")
    lines = [
        f"{report['faults']['total']} faults in {report['seconds']:.0f} s, seed {report['seed']}: {kinds}",
        *(f"left out     {kind}: {why}" for kind, why in report["left_out"].items()),
        f"recovery     median {recovery['median']} s, at most {recovery['maximum']} s, never {recovery['never']}",
        f"payments     ledger {payments['ledger']:>18,}   aggregates {payments['aggregates']:>18,}",
        f"VND          ledger {vnd['ledger']:>18,}   aggregates {vnd['aggregates']:>18,}",
        f"records      topic {records['topic']:,} = {became}",
    ]
    if report["exact"]:
        return [*lines, "exact: nothing lost, nothing twice"]
    return [*lines, *(f"  {one}" for one in report["objections"]), "NOT exact"]


def _nothing(_text: str) -> None:
    """Say nothing."""
