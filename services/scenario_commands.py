"""`quetma scenario`: what there is, what it says, and whether a file is right.

In: arguments. Out: a listing, a scenario with all that it extends, or every error of a file at once.
"""

from __future__ import annotations

import json as json_module
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from producers.scenario_files import load_scenario, resolve_scenario, scenario_names
from producers.simulation.world import build_world
from schemas.scenario.merging import Leaf, leaves
from services.options import JsonOption, ScenarioArgument
from services.output import print_json
from services.toml_text import lines

app = typer.Typer(help="Scenarios: list them, show or check one.", no_args_is_help=True)


@app.command("list")
def list_(*, json: JsonOption = False) -> None:
    """List the scenarios that come with Quetma."""
    rows: list[dict[str, Any]] = []
    for name in scenario_names():
        scenario = load_scenario(name)
        rows.append(
            {
                "name": name,
                "title": scenario.title,
                "start": str(scenario.start),
                "communes": scenario.province.communes.value,
                "markets": len(scenario.market) + scenario.markets.count.value,
            }
        )
    if json:
        print_json(rows)
        return
    table = Table("name", "title", "start", box=None)
    for column in ("communes", "markets"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console().print(table)


@app.command()
def show(scenario: ScenarioArgument, *, json: JsonOption = False) -> None:
    """Show a scenario with all that it extends: each figure, its source, and the file that it stands in."""
    resolved = resolve_scenario(scenario)
    if json:
        print_json(json_module.loads(json_module.dumps(resolved.document, default=str)))
        return
    for line in lines(resolved.tree):
        typer.echo(line)


@app.command()
def check(scenario: ScenarioArgument) -> None:
    """Check a scenario and say what it holds."""
    resolved = resolve_scenario(scenario)
    checked = resolved.scenario
    world = build_world(checked, checked.seed)
    households, adults = (sum(getattr(place, name) for place in world.places) for name in ("households", "adults"))
    stalls = sum(market.sources for market in world.markets)
    sources = [source for _, leaf in leaves(resolved.tree) for source in _sources(leaf)]
    assumed = sum(source.startswith("assumed") for source in sources)
    typer.echo(f"{checked.name}: {len(world.places)} communes, {households:,} households, {adults:,} adults")
    typer.echo(f"{len(world.markets)} markets, {stalls:,} stalls, {len(checked.intervention)} interventions")
    typer.echo(f"{len(sources)} figures with their sources, {assumed} of them assumed")


def _sources(leaf: Leaf) -> list[str]:
    rows = leaf.value if isinstance(leaf.value, list) else [leaf.value]
    return [row["source"] for row in rows if isinstance(row, dict)]
