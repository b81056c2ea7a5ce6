"""`quetma report adoption`: how a province adopts over the years.

In: arguments. Out: a picture as SVG or PNG, and a yearly table, or one JSON object instead of both.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from producers.scenario_files import load_scenario
from schemas.errors import BadInputError
from services.adoption_report.history import History, history, without
from services.options import JsonOption, ScenarioArgument, SeedOption
from services.output import print_json, say

FIVE_YEARS_DAYS = 1826
KINDS = (".svg", ".png")

Other = tuple[History, frozenset[str]] | None
"""The history without some interventions, and their ids."""


def adoption(
    scenario: ScenarioArgument,
    *,
    days: Annotated[int, typer.Option("--days", min=1, help="Simulated days.")] = FIVE_YEARS_DAYS,
    seed: SeedOption = None,
    without_: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="ID", help="Compare with a run without this intervention; may be repeated."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE.svg|.png", help="Picture; adoption-NAME.svg if left out without --json."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Draw how people and stalls adopt: only the adoption model runs, no payments."""
    if out is not None and out.suffix.lower() not in KINDS:
        raise BadInputError("arguments", f"--out {out}", f"give a file that ends in {' or '.join(KINDS)}")
    loaded = load_scenario(scenario)
    seed = loaded.seed if seed is None else seed
    dropped = frozenset(without_ or ())
    reduced = without(loaded, dropped)
    shown = history(loaded, seed, days)
    other = (history(reduced, seed, days), dropped) if dropped else None
    if out is None and not json:
        out = Path(f"adoption-{loaded.name}.svg")
    if out is not None:
        _write(out, _drawn(shown, other, as_png=out.suffix.lower() == ".png"))
        say(f"drawn: {out}")
    if json:
        print_json(_document(shown, days, other))
    else:
        _print_tables(shown, other)


def _drawn(shown: History, other: Other, *, as_png: bool) -> bytes:
    try:
        from services.adoption_report.picture import Counterfactual, document_of, png_of, svg_of  # noqa: PLC0415  # an extra
    except ImportError as error:
        fix = "install the extra quetma[pictures]: altair, vl-convert-python; --json without --out needs neither"
        raise BadInputError("pictures", f"{error.name} is not installed", fix) from None
    document = document_of(shown, Counterfactual(*other) if other else None)
    if as_png:
        return png_of(document)
    scenario = shown.world.scenario
    return svg_of(document, f"Adoption in {scenario.province.name}, scenario {scenario.name}").encode()


def _write(path: Path, drawn: bytes) -> None:
    try:
        path.write_bytes(drawn)
    except OSError as error:
        raise BadInputError("arguments", f"--out {path}: {error.strerror}", "give a file that can be written") from None


def _document(shown: History, days: int, other: Other) -> dict[str, object]:
    world = shown.world
    document = {"scenario": world.scenario.name, "seed": world.seed, "days": days, "communes": len(world.places)}
    compared = {"without": sorted(other[1]), "rows_without": other[0].rows()} if other else {}
    return {**document, "rows": shown.rows(), **compared}


def _print_tables(shown: History, other: Other) -> None:
    runs = [("", shown)] if other is None else [("", shown), (f"without {', '.join(sorted(other[1]))}", other[0])]
    for title, one in runs:
        rows = one.rows()
        table = Table(*rows[0], box=None, title=title or None, title_justify="left", title_style="")
        for column in table.columns[1:]:
            column.justify = "right"
        for row in rows:
            table.add_row(*(value if isinstance(value, str) else f"{value:,}" for value in row.values()))
        Console().print(table)
