"""`quetma simulate`: a scenario into a folder, without Kafka.

In: arguments. Out: a folder of files that describes itself, and a summary.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from producers.files.formats import Format
from producers.files.order import Order
from producers.files.run import Tell, write_run
from producers.scenario_files import load_scenario
from schemas.errors import BadInputError
from schemas.run_interventions import RunInterventions, parse_run_interventions
from schemas.scenario import Scenario
from schemas.scenario.hashing import scenario_hash
from services.options import JsonOption, QuietOption, RunOption, ScenarioArgument, SeedOption
from services.output import print_json, say
from services.produce_commands import parse_shard


def simulate(
    scenario: ScenarioArgument = "an-giang",
    *,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to make.")],
    days: Annotated[int, typer.Option(min=1, help="Simulated days.")],
    seed: SeedOption = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes side by side; the files are the same.")] = 1,
    format_: Annotated[Format, typer.Option("--format", help="Of the tables.")] = "parquet",
    adoption_only: Annotated[bool, typer.Option("--adoption-only", help="No payments.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a run that is there, when the new one is whole.")
    ] = False,
    shard: Annotated[str, typer.Option(metavar="I/N", help="Only every N-th commune from the I-th.")] = "1/1",
    run: RunOption = None,
    interventions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What was ordered of a running scenario: `quetma interventions list RUN --json`. "
            "Its run and seed are taken unless others are given.",
        ),
    ] = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Simulate a scenario into a folder: payments, truth, adoption, sums, and what they are. Needs no Kafka."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # clean up as after Ctrl-C
    loaded, (index, count) = load_scenario(scenario), parse_shard(shard)
    known = _ordered(interventions, loaded)
    order = Order.of(
        loaded,
        days,
        seed=known.seed if seed is None else seed,
        run=run or known.run,
        format_=format_,
        shard=(index, count),
        adoption_only=adoption_only,
        ordered=known.rows(f"{index}/{count}"),
    )
    begun = time.monotonic()
    with _progress(days, quiet=quiet or json) as tell:
        manifest = write_run(order, out, jobs=jobs, force=force, tell=tell)
    summary = _summary(manifest, out, time.monotonic() - begun)
    if json:
        print_json(summary)
    elif not quiet:
        say(_words(summary))


def _ordered(path: Path | None, scenario: Scenario) -> RunInterventions:
    """Read what was ordered of a run, and see that it is of the same scenario."""
    if path is None:
        return RunInterventions()
    try:
        known = parse_run_interventions(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError("--interventions", f"{path}: {error}", "give a readable UTF-8 file") from None
    own = scenario_hash(scenario)
    if known.scenario_hash not in (None, own):
        found = f"{path} is of scenario {known.scenario} {known.scenario_hash}, {scenario.name} is {own}"
        raise BadInputError("--interventions", found, "give the scenario that was run, or a file without the hash")
    return known


def _summary(manifest: dict[str, Any], out: Path, seconds: float) -> dict[str, Any]:
    payments = manifest["counts"].get("payments", 0)
    known = ("run", "scenario", "scenario_hash", "seed", "days")
    return {
        **{name: manifest[name] for name in known},
        **manifest["counts"],
        "out": str(out),
        "files": len(manifest["files"]),
        "bytes": sum(file["bytes"] for file in manifest["files"]),
        "seconds": round(seconds, 3),
        "payments_per_second": round(payments / seconds, 1),
    }


def _words(summary: dict[str, Any]) -> str:
    size = f"{summary['files']} files, {summary['bytes'] / 1e6:,.1f} MB"
    paid = f"{summary['payments']:,} payments, " if "payments" in summary else ""
    speed = f", {summary['payments_per_second']:,.0f} payments/s" if paid else ""
    return f"{summary['out']}: {summary['days']} days, {paid}{size} in {summary['seconds']:.1f} s{speed}"


@contextmanager
def _progress(days: int, *, quiet: bool) -> Iterator[Tell | None]:
    if quiet:
        yield None
        return
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("days  {task.fields[payments]:,} payments  {task.fields[speed]:,.0f}/s"),
        TimeRemainingColumn(),
    )
    begun = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=days, payments=0, speed=0.0)

        def tell(done: int, payments: int) -> None:
            bar.update(task, completed=done, payments=payments, speed=payments / (time.monotonic() - begun))

        yield tell
