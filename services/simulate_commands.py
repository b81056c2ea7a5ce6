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
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Simulate a scenario into a folder: payments, truth, adoption, sums, and what they are. Needs no Kafka."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # clean up as after Ctrl-C
    order = Order.of(
        load_scenario(scenario),
        days,
        seed=seed,
        run=run,
        format_=format_,
        shard=parse_shard(shard),
        adoption_only=adoption_only,
    )
    begun = time.monotonic()
    with _progress(days, quiet=quiet or json) as tell:
        manifest = write_run(order, out, jobs=jobs, force=force, tell=tell)
    summary = _summary(manifest, out, time.monotonic() - begun)
    if json:
        print_json(summary)
    elif not quiet:
        say(_words(summary))


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
