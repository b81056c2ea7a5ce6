"""`quetma scenario`: what there is, and whether a file is right.

In: arguments. Out: names, or every error of a file at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from producers.scenario_files import load_scenario, scenario_names
from producers.simulation.world import build_world

app = typer.Typer(help="Scenarios: list them, check a file.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """List the scenarios that come with Quetma."""
    for name in scenario_names():
        scenario = load_scenario(name)
        typer.echo(f"{name}\t{scenario.title}\tfrom {scenario.start}")


@app.command()
def check(scenario: Annotated[str, typer.Argument(help="Name of a scenario, or a .toml file.")]) -> None:
    """Check a scenario and say what it holds."""
    checked = load_scenario(scenario)
    world = build_world(checked, checked.seed)
    markets = sum(cell.sector == "market_stall" for cell in world.cells)
    size = f"{len(world.places)} communes, {markets} markets, {world.source_count} tills"
    typer.echo(f"{checked.name}: {size}; every figure has a source")
