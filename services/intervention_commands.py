"""`quetma interventions`: orders to a running scenario.

In: arguments. Out: orders on Kafka, and what became of them.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from schemas.errors import BadInputError
from schemas.run_interventions import OrderedIntervention
from schemas.scenario.actions import Action, parse_action
from services.broker import check_reachable
from services.interventions import Run, order_intervention, order_pace, run_of
from services.options import BrokerOption, JsonOption, settings_for
from services.output import print_json, say

app = typer.Typer(help="Interventions in running scenarios: order them, list them; pace.", no_args_is_help=True)
RunArgument = Annotated[str, typer.Argument(help="Name of the run.")]


@app.command()
def send(
    run: RunArgument,
    *,
    broker: BrokerOption = None,
    kind: Annotated[str | None, typer.Option(help="What is done, such as outage; see docs/scenarios.md.")] = None,
    place: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="A commune or market; may be repeated. All if left out.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A figure of it; may be repeated.")
    ] = None,
    file: Annotated[Path | None, typer.Option(metavar="FILE", help="The same keys as TOML; options override.")] = None,
    start: Annotated[
        str | None, typer.Option(metavar="DATE", help="First simulated day; as soon as possible if left out.")
    ] = None,
    id_: Annotated[str | None, typer.Option("--id", help="Its name within the run; made up if left out.")] = None,
    json: JsonOption = False,
) -> None:
    """Order an intervention: an outage, a fraud wave, a team, stands, …, from the next day on or a given one."""
    values = _values(file, kind, place, set_)
    first, name = start or values.pop("start", None), id_ or values.pop("id", None)
    action, day = parse_action(values), None if first is None else _date(first)
    order = uvloop.run(order_intervention(_servers(broker), run, action, id_=name, start=day))
    if json:
        print_json(order.model_dump(mode="json", exclude_none=True))
    else:
        say(f"{order.id} is ordered; `quetma interventions list {run}` says from which day on")


@app.command("list")
def list_(run: RunArgument, *, broker: BrokerOption = None, json: JsonOption = False) -> None:
    """List what was ordered of a run, and from which day on its producers do it."""
    known = uvloop.run(run_of(_servers(broker), run))
    if json:
        print_json(known.document())
        return
    table = Table("intervention", "kind", "place", "state", "from", box=None)
    for row in known.interventions.interventions:
        table.add_row(*_cells(row))
    Console().print(table)
    for line in _pace_lines(known):
        typer.echo(line)


@app.command()
def pace(
    run: RunArgument,
    *,
    broker: BrokerOption = None,
    speed: Annotated[
        str | None, typer.Option(metavar="X|max", help="Simulated seconds per second, or as fast as it goes.")
    ] = None,
    pause: Annotated[bool, typer.Option("--pause", help="Stand still.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on.")] = False,
) -> None:
    """Let a run go faster, slower, stand still, or go on. Its payments stay the same."""
    if [speed is not None, pause, resume].count(True) != 1:
        given = f"--speed {speed}, --pause {pause}, --resume {resume}"
        raise BadInputError("arguments", given, "give one of --speed X, --pause and --resume")
    wanted = None if speed is None else _speed(speed)
    uvloop.run(order_pace(_servers(broker), run, speed=wanted, paused=None if speed is not None else pause))


def _servers(broker: str | None) -> str:
    settings = settings_for(broker)
    servers = settings.kafka.bootstrap_servers
    assert servers is not None
    uvloop.run(check_reachable(servers, settings.kafka.connect_timeout_seconds))
    return servers


def _values(file: Path | None, kind: str | None, place: list[str] | None, pairs: list[str] | None) -> dict[str, Any]:
    """Return the keys of an order, options over file."""
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BadInputError("--file", f"{file}: {error}", "give a readable TOML file") from None
    values |= {"kind": kind} if kind else {}
    values |= {"place": tuple(place)} if place else {}
    return values | dict(_pair(text) for text in pairs or ())


def _pair(text: str) -> tuple[str, Any]:
    """Parse KEY=VALUE; the value is TOML's, or a word."""
    key, found, value = text.partition("=")
    if not (found and key):
        raise BadInputError("--set", repr(text), "give KEY=VALUE, such as for_hours=2")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def _date(value: object) -> dt.date:
    try:
        return value if type(value) is dt.date else dt.date.fromisoformat(str(value))
    except ValueError:
        raise BadInputError("start", repr(value), "give a date such as 2025-11-20") from None


def _speed(text: str) -> float | str:
    try:
        return text if text == "max" else float(text)
    except ValueError:
        raise BadInputError("pace", f"--speed {text}", "give a number above 0, or max") from None


def _cells(row: OrderedIntervention) -> tuple[str, ...]:
    known: Action | None = row.order
    said = [f"{one.shard}: {one.refused or one.from_day}" for one in row.outcomes]
    if len(row.outcomes) == 1 or (said and not row.differs):
        said = [str(row.outcomes[0].refused or row.outcomes[0].from_day)]
    return (
        row.id,
        known.kind if known else "-",
        ", ".join(known.place) if known and known.place else "all",
        row.state or "-",
        "; ".join(said) or (f"not before {row.start}" if row.start else "-"),
    )


def _pace_lines(run: Run) -> list[str]:
    lines = [] if run.speed is None else [f"speed ordered: {run.speed.speed}"]
    return [*lines, "paused by an order"] if run.paused is not None and run.paused.paused else lines
