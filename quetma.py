"""Quetma in a notebook: a province, simulated, as Polars frames or as files.

In: a scenario and how many days. Out: frames day by day, or a `Run` on disk. The columns of every frame, with their
units, are in docs/offline.md.

A scenario is a value: change a figure or an intervention and simulate again. Two scenarios that differ in one
intervention share all other randomness, so that what differs in their payments is its doing.

>>> scenario = load_scenario("bac-giang")
>>> without = scenario.model_copy(update={"intervention": ()})
>>> first = next(simulate(without, days=1))
>>> first.payments.columns[:4]
['payment_id', 'source', 'cell', 'commune']
>>> communes, markets = adoption(scenario, days=3)
>>> communes.height == 3 * scenario.province.communes.value
True
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import overload

import polars as pl

from producers.engine import DayOfPayments, ProvinceSimulation
from producers.files.days import labelled
from producers.files.formats import Format
from producers.files.frames import PaymentFrames, type_of
from producers.files.order import Order
from producers.files.province import ProvinceFrames
from producers.files.reading import Run, read_run
from producers.files.run import write_run
from producers.scenario_files import load_scenario
from producers.simulation.adoption import AdoptionDay, AdoptionModel
from schemas.errors import BadInputError, QuetmaError
from schemas.scenario import Scenario
from schemas.tables import PAYMENTS, TRUTH, Table

__all__ = [
    "BadInputError",
    "QuetmaError",
    "Run",
    "Scenario",
    "SimulatedDay",
    "adoption",
    "load_scenario",
    "read_run",
    "simulate",
]


@dataclass(frozen=True)
class SimulatedDay:
    """A simulated day. Amounts are whole VND, times UTC epoch milliseconds."""

    day: dt.date
    """Local date."""
    payments: pl.DataFrame
    """Failed ones and reversals included, in order of time, 15 columns."""
    truth: pl.DataFrame
    """What is true of payments beyond their rows: fraud, outages, faults of the way to Kafka; 6 columns."""
    communes: pl.DataFrame
    """Adoption in each commune at the beginning of the day, 11 columns."""
    markets: pl.DataFrame
    """Adoption in each market at the beginning of the day, 7 columns."""


@overload
def simulate(
    scenario: Scenario | Path | str, *, days: int, seed: int | None = None, adoption_only: bool = False
) -> Iterator[SimulatedDay]: ...


@overload
def simulate(
    scenario: Scenario | Path | str,
    *,
    days: int,
    seed: int | None = None,
    out: Path | str,
    jobs: int = 1,
    format: Format = "parquet",
    adoption_only: bool = False,
    force: bool = False,
) -> Run: ...


def simulate(
    scenario: Scenario | Path | str,
    *,
    days: int,
    seed: int | None = None,
    out: Path | str | None = None,
    jobs: int = 1,
    format: Format = "parquet",  # noqa: A002 - the name that Polars and others have for it
    adoption_only: bool = False,
    force: bool = False,
) -> Iterator[SimulatedDay] | Run:
    """Simulate a scenario from its start on.

    Args:
        scenario: name of one that comes with Quetma, path of a TOML file, or the scenario itself.
        days: simulated days, at least 1.
        seed: of all randomness; the scenario's own if None.
        out: folder to make; None: the days are yielded and nothing is written.
        jobs: with ``out``, processes side by side; the files are the same for any number.
        format: with ``out``, of the tables: parquet, jsonl (payments as they go over the wire) or csv.
        adoption_only: no payments: their frames have no rows, or no files.
        force: with ``out``, replace a run that is there, once the new one is whole.

    Returns:
        The days one after the other, each made when it is asked for; with ``out`` the run on disk.

    Raises:
        BadInputError: if the scenario or a number is wrong, or the folder exists or cannot be written.
    """
    if days < 1 or jobs < 1:
        raise BadInputError("simulate", f"days {days}, jobs {jobs}", "give at least 1 of each")
    order = Order.of(_scenario(scenario), days, seed=seed, format_=format, adoption_only=adoption_only)
    if out is None:
        return _days(order)
    manifest = write_run(order, Path(out), jobs=jobs, force=force)
    return Run(Path(out), manifest)


def adoption(
    scenario: Scenario | Path | str, *, days: int, seed: int | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return how communes (11 columns) and markets (7 columns) adopt, a row a day each; arguments as in `simulate`."""
    states = list(simulate(scenario, days=days, seed=seed, adoption_only=True))
    return pl.concat(state.communes for state in states), pl.concat(state.markets for state in states)


def _scenario(scenario: Scenario | Path | str) -> Scenario:
    return scenario if isinstance(scenario, Scenario) else load_scenario(str(scenario))


def _days(order: Order) -> Iterator[SimulatedDay]:
    world = order.world
    province, frames = ProvinceFrames(world), PaymentFrames(world, order.run)

    def seen(state: AdoptionDay, payments: pl.DataFrame, truth: pl.DataFrame) -> SimulatedDay:
        communes, markets = province.adoption_communes(state), province.adoption_markets(state)
        return SimulatedDay(state.day.date, payments, truth, communes, markets)

    def paid(day: DayOfPayments) -> SimulatedDay:
        known = labelled(world, day)
        return seen(day.adoption, frames.payments(known), frames.truth(known))

    if order.adoption_only:
        states = islice(AdoptionModel(world).days(), order.days)
        return (seen(state, _empty(PAYMENTS), _empty(TRUTH)) for state in states)
    return (paid(day) for day in ProvinceSimulation(world, codes=False).days(order.days))


def _empty(table: Table) -> pl.DataFrame:
    return pl.DataFrame(schema={column.name: type_of(column) for column in table.columns})
