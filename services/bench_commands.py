"""`quetma bench`: the benchmarks of the checkout, run by name.

In: names and sizes. Out: one row a measurement: JSON lines, or a table.
A benchmark is a module ``tests/benchmarks/bench_NAME.py`` with a function ``run`` that yields rows and takes what it
needs of ``seconds``, ``events`` and ``broker``.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from schemas.errors import BadInputError
from services.options import BrokerOption, JsonOption, QuietOption
from services.output import print_json, say
from services.processes import set_up_logging

ROOT = Path(__file__).parents[1]
USUAL = ("adoption", "generate", "encode", "publish", "stream", "end-to-end", "qr")
"""What runs where no name is given, in the order in which payments go."""
BY_NAME = ("memory", "simulate", "scale", "recovery", "workers", "replay")
"""What takes its time, and runs only when it is named."""
DEFAULT_SECONDS = 2.0
"""For benchmarks without a default of their own."""
IN_TABLE = ("name", "events", "seconds", "events_per_second", "cpu_seconds", "cpu_us_per_event")

Row = dict[str, Any]
Benchmark = Callable[..., Iterator[Row]]


def bench(
    name: Annotated[
        str | None,
        typer.Argument(help=f"{', '.join(USUAL)}; {', '.join(BY_NAME)}. All of the first, if none is named."),
    ] = None,
    *,
    seconds: Annotated[float | None, typer.Option(min=0.001, help="Time for each measurement that takes one.")] = None,
    events: Annotated[int | None, typer.Option(min=1, help="Payments, for benchmarks that take a number.")] = None,
    broker: BrokerOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure how fast each part is, and what it takes: wall time, CPU time, memory. Needs a checkout."""
    set_up_logging(quiet=quiet)
    given = {"seconds": seconds, "events": events, "broker": broker}
    options = {option: value for option, value in given.items() if value is not None}
    rows: list[Row] = []
    for row in measurements(name, options, tell=_nothing if quiet else say):
        if json:
            print_json(row)
        rows.append(row)
    if not json:
        _print(rows)


def measurements(name: str | None, options: dict[str, Any], tell: Callable[[str], None]) -> Iterator[Row]:
    """Yield the rows of one benchmark, or of all usual ones.

    Args:
        name: of the benchmark.
        options: seconds, events, broker, as far as they are given. All must suit a benchmark that is named;
            without a name each gets those that it takes.
        tell: is told what is being measured.

    Raises:
        BadInputError: if there is no checkout, no such benchmark, or it does not take an option.
    """
    found = benchmark_names()
    if name is not None and name not in found:
        raise BadInputError("bench", f"no benchmark {name!r}", f"give one of {', '.join(found)}")
    for one in USUAL if name is None else (name,):
        run = _benchmark(one)
        taken = inspect.signature(run).parameters
        unused = [option for option in options if option not in taken]
        if name is not None and unused:
            raise BadInputError("bench", f"{name} takes no --{unused[0]}", "leave it out")
        arguments = {option: value for option, value in options.items() if option in taken}
        if "seconds" in taken and taken["seconds"].default is inspect.Parameter.empty:
            arguments.setdefault("seconds", DEFAULT_SECONDS)
        tell(f"{one} …")
        yield from run(**arguments)


def benchmark_names(root: Path = ROOT) -> list[str]:
    """Return the names of the benchmarks of a checkout.

    Raises:
        BadInputError: if it is none: an image has the packages without their tests.
    """
    folder = root / "tests" / "benchmarks"
    names = [path.stem.removeprefix("bench_").replace("_", "-") for path in sorted(folder.glob("bench_*.py"))]
    if not names:
        raise BadInputError("bench", f"no benchmarks in {folder}", "run it from a checkout of the repository")
    return names


def _benchmark(name: str) -> Benchmark:
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    try:
        run: Benchmark = importlib.import_module(f"tests.benchmarks.bench_{name.replace('-', '_')}").run
    except ModuleNotFoundError as error:
        raise BadInputError("bench", f"{error.name} is not installed", "install requirements/dev.txt") from error
    return run


def _print(rows: list[Row]) -> None:
    console = Console()
    table = Table("benchmark", box=None)
    for heading in ("events", "seconds", "events/s", "CPU s", "CPU µs/event"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row["name"],
            f"{row['events']:,}",
            f"{row['seconds']:.1f}",
            f"{row['events_per_second']:,.0f}",
            _number(row.get("cpu_seconds"), 1),
            _number(row.get("cpu_us_per_event"), 2),
        )
    console.print(table)
    for row in rows:
        more = {key: value for key, value in row.items() if key not in IN_TABLE}
        if more:
            console.print(f"{row['name']}: {_pairs(more)}", soft_wrap=True, highlight=False, markup=False)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {_text(value)}" for key, value in values.items())


def _text(value: object) -> str:
    match value:
        case dict():
            return f"({_pairs(value)})"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case None:
            return "-"
        case _:
            return str(value)


def _nothing(_message: str) -> None:
    """Say nothing."""
