"""`quetma report`: what the simulator did, in figures.

In: arguments. Out: a table, a Markdown file or one JSON object; exit code 1 if a check fails.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from producers.scenario_files import load_scenario
from schemas.errors import BadInputError, ExitCode
from services.adoption_commands import adoption
from services.fidelity.report import HEAD, Report, line_of, make_report
from services.options import JsonOption, ScenarioArgument, SeedOption
from services.output import print_json

app = typer.Typer(help="Reports: whether the simulator does what a scenario intends.", no_args_is_help=True)
app.command()(adoption)
_STYLES = {"pass": None, "fail": "bold red", "nothing to check": "dim"}
WIDE, SPARED = 200, ("after", "statistic")
"""Columns of a terminal from which on the whole table is shown, and what narrower ones leave out; --out has it."""


@app.command()
def fidelity(
    scenario: ScenarioArgument,
    *,
    days: Annotated[int, typer.Option("--days", min=1, help="Simulated days.")] = 30,
    seed: SeedOption = None,
    json: JsonOption = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE.md", help="Write Markdown there too.")] = None,
) -> None:
    """Hold what is simulated against what the scenario intends."""
    loaded = load_scenario(scenario)
    report = make_report(loaded, loaded.seed if seed is None else seed, days)
    if out is not None:
        _write(out, report.markdown())
    if json:
        print_json(report.document())
    else:
        _show(report)
    if report.failed:
        raise typer.Exit(ExitCode.CHECK_FAILED)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInputError("arguments", f"--out {path}: {error.strerror}", "give a file that can be written") from None


def _show(report: Report) -> None:
    console = Console()
    if not console.is_terminal:
        console.width = WIDE
    shown = [number for number, name in enumerate(HEAD) if console.width >= WIDE or name not in SPARED]
    table = Table(*(HEAD[number] for number in shown), box=None, pad_edge=False)
    for check in report.checks:
        cells = line_of(check, report.level)
        table.add_row(*(cells[number] for number in shown), style=_STYLES[cells[-1]])
    console.print(table)
    typer.echo(report.summary())
