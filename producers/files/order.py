"""What to simulate, and one process's share of it.

In: a scenario and how much of it. Out: `Order`; the days that it comes to, written, as `DayDone`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from pydantic import TypeAdapter, ValidationError

from producers.engine import ProvinceSimulation
from producers.files.days import DayFiles, Tallies
from producers.files.folder import StoredFile, store
from producers.files.formats import Format
from producers.simulation.columns import IntArray
from producers.simulation.world import World, build_world, with_more
from schemas.errors import BadInputError
from schemas.scenario import Scenario
from schemas.scenario.hashing import canonical
from schemas.scenario.interventions import Intervention

_ROWS: Final[TypeAdapter[list[Intervention]]] = TypeAdapter(list[Intervention])


@dataclass(frozen=True)
class Order:
    """What to simulate. Plain values, so that it can be handed to another process."""

    scenario_text: bytes
    """The scenario as `schemas.scenario.hashing.canonical` writes it."""
    days: int
    """Simulated days, at least 1."""
    seed: int
    run: str
    format: Format
    shard: tuple[int, int]
    """(i, n): only every n-th commune from the i-th (1 to n)."""
    adoption_only: bool
    ordered_text: bytes = b"[]"
    """The interventions that were ordered beside the scenario's, as JSON, in order of their ids."""

    @classmethod
    def of(
        cls,
        scenario: Scenario,
        days: int,
        *,
        seed: int | None = None,
        run: str | None = None,
        format_: Format = "parquet",
        shard: tuple[int, int] = (1, 1),
        adoption_only: bool = False,
        ordered: Iterable[Intervention] = (),
    ) -> Order:
        """Return an order; seed and name of the run are the scenario's own unless given."""
        number = scenario.seed if seed is None else seed
        name = run or f"{scenario.name}-s{number}"
        rows = _ROWS.dump_json(sorted(ordered, key=lambda row: row.id), exclude_none=True)
        return cls(canonical(scenario), days, number, name, format_, shard, adoption_only, rows)

    @cached_property
    def world(self) -> World:
        """The province, laid out.

        Raises:
            BadInputError: if the scenario, made by hand, is wrong, the shard is empty, or what was ordered does not
                fit.
        """
        try:
            scenario = Scenario.model_validate_json(self.scenario_text)
        except ValidationError as error:
            raise BadInputError("scenario", str(error), "see docs/parameters.md for what each key takes") from None
        return with_more(build_world(scenario, self.seed, self.shard), _ROWS.validate_json(self.ordered_text))

    def __getstate__(self) -> dict[str, object]:
        """Return what goes to another process, which lays out the world by itself."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def scenario_hash(self) -> str:
        """SHA-256 of the scenario, hexadecimal."""
        return hashlib.sha256(self.scenario_text).hexdigest()

    @property
    def ordered_hash(self) -> list[str]:
        """SHA-256 of what was ordered, hexadecimal; nothing if nothing was."""
        return [] if self.ordered_text == b"[]" else [hashlib.sha256(self.ordered_text).hexdigest()]


@dataclass(frozen=True)
class DayDone:
    """A day that is on disk."""

    files: list[StoredFile]
    tallies: Tallies


class Relay(Protocol):
    """Hands the number of payments that each source made so far from day to day."""

    def take(self) -> IntArray | None:
        """Return the payments by source before the next day of this process; None before the first day of all."""

    def give(self, counts: IntArray) -> None:
        """Hand on the payments by source up to and with the day."""


class OneHand:
    """The relay of a process that makes all days."""

    def __init__(self) -> None:
        self._counts: IntArray | None = None

    def take(self) -> IntArray | None:
        """Return what was given last."""
        return self._counts

    def give(self, counts: IntArray) -> None:
        """Keep it for the next day."""
        self._counts = counts


def write_days(order: Order, folder: Path, part: tuple[int, int], relay: Relay) -> Iterator[DayDone]:
    """Simulate days and write them.

    Args:
        order: what to simulate.
        folder: where to write.
        part: (i, n): only every n-th day from the i-th (0 to n - 1).
        relay: carries the counts from one day to the next.

    Raises:
        BadInputError: if a file cannot be written, or the name of the run does not do.
    """
    world = order.world
    files = DayFiles(world, order.run, order.format)
    first, step = part
    days = ProvinceSimulation(world, codes=False).unnumbered(order.days, part)
    for number, unnumbered in zip(range(first, order.days, step), days, strict=True):
        before = relay.take()
        before = np.zeros(world.source_count, dtype=np.int64) if before is None else before
        if number + 1 < order.days:
            relay.give(before + unnumbered.counts)
        day = unnumbered.numbered(before)
        yield DayDone([store(folder, one) for one in files.parts(day)], files.tallies(day))
