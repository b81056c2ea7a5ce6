"""A whole run into a folder.

In: an `Order`. Out: the folder, complete, and its manifest. Memory does not grow with the number of days.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from producers.encoding import PaymentText
from producers.files.crew import days_done
from producers.files.days import Tallies
from producers.files.folder import MANIFEST, StoredFile, new_folder, store
from producers.files.formats import Format, Part, as_file
from producers.files.order import DayDone, Order
from producers.files.package import as_json, descriptor, manifest
from producers.files.province import ProvinceFrames
from producers.simulation.adoption import AdoptionModel
from producers.simulation.calendar import Day
from producers.simulation.columns import FAILED, REVERSED, SETTLED
from schemas.tables import (
    ADOPTION_COMMUNES,
    ADOPTION_MARKETS,
    CELLS,
    COMMUNES,
    INTERVENTIONS,
    LEDGER,
    MARKETS,
    PAYMENTS,
    TRUTH,
    Table,
)

Tell = Callable[[int, int], None]
"""Is told of days and payments done so far."""


def write_run(
    order: Order, out: Path, *, jobs: int = 1, force: bool = False, tell: Tell | None = None
) -> dict[str, Any]:
    """Simulate into a folder that is there as a whole or not at all; return its manifest.

    Args:
        order: what to simulate.
        out: the folder.
        jobs: processes side by side; the bytes are the same for any number.
        force: whether a run that is there may be replaced.
        tell: is told how far it is.

    Raises:
        BadInputError: if the folder exists or cannot be written, or the order cannot be met.
    """
    world = order.world  # what is wrong with the order is told before anything is written
    PaymentText(world, order.run)
    with new_folder(out, force=force) as folder:
        writing = _Writing(order, folder)
        with closing(days_done(order, folder, jobs)) as payments:
            done: Iterator[DayDone | None] = (None for _ in range(order.days)) if order.adoption_only else payments
            adoption = islice(AdoptionModel(world).days(), order.days)
            for number, (today, day) in enumerate(zip(adoption, done, strict=True), start=1):
                writing.month.add(ADOPTION_COMMUNES, today.day, writing.frames.adoption_communes(today))
                writing.month.add(ADOPTION_MARKETS, today.day, writing.frames.adoption_markets(today))
                if day is not None:
                    writing.add(today.day, day)
                if tell:
                    tell(number, writing.counts["payments"])
        return writing.finished()


class _Writing:
    """A run on its way."""

    def __init__(self, order: Order, folder: Path) -> None:
        self._order, self._folder = order, folder
        self._files: list[StoredFile] = []
        self.frames = ProvinceFrames(order.world)
        self.month = _Months(order.format, self._store)
        names = () if order.adoption_only else _COUNTS
        self.counts: Counter[str] = Counter(dict.fromkeys(names, 0))

    def add(self, day: Day, done: DayDone) -> None:
        """Count a day that is on disk."""
        self._files += done.files
        self.month.add(LEDGER, day, self.frames.ledger(day, done.tallies))
        self.counts.update(_counted(done.tallies))
        self.counts["truth"] += sum(file.rows for file in done.files if file.table == TRUTH.name)

    def finished(self) -> dict[str, Any]:
        """Write what is left, and what the folder says of itself."""
        self.month.flush()
        order, frames = self._order, self.frames
        once = {
            COMMUNES: frames.communes(),
            MARKETS: frames.markets(),
            CELLS: frames.cells(order.run),
            INTERVENTIONS: frames.interventions(),
        }
        for table, frame in once.items():
            self._store(_part(table, table.name, frame, order.format))
        self._store(Part("", "scenario.json", 0, order.scenario_text))
        self._store(Part("", "datapackage.json", 0, as_json(descriptor(order, self._files))))
        document = manifest(order, dict(self.counts), self._files)
        store(self._folder, Part("", MANIFEST, 0, as_json(document)))
        return document

    def _store(self, part: Part) -> None:
        self._files.append(store(self._folder, part))


_COUNTS = ("payments", "settled", "failed", "reversed", "amount_vnd", "reversed_vnd", "truth")


def _counted(tallies: Tallies) -> dict[str, int]:
    count, amount = tallies.count.sum(axis=(0, 1)), tallies.amount_vnd.sum(axis=(0, 1))
    return {
        PAYMENTS.name: tallies.payments,
        "settled": int(count[SETTLED]),
        "failed": int(count[FAILED]),
        "reversed": int(count[REVERSED]),
        "amount_vnd": int(amount[SETTLED]),
        "reversed_vnd": int(amount[REVERSED]),
    }


class _Months:
    """Gathers the small tables of days and writes them month by month."""

    def __init__(self, format_: Format, write: Callable[[Part], None]) -> None:
        self._format, self._write = format_, write
        self._month = ""
        self._frames: dict[Table, list[pl.DataFrame]] = {}

    def add(self, table: Table, day: Day, frame: pl.DataFrame) -> None:
        """Add a day's rows; days come in order."""
        month = f"{day.date:%Y-%m}"
        if month != self._month:
            self.flush()
            self._month = month
        self._frames.setdefault(table, []).append(frame)

    def flush(self) -> None:
        """Write the month that is gathered, if any."""
        for table, frames in self._frames.items():
            name = f"{table.name.replace('-', '/')}/{self._month}"
            self._write(_part(table, name, pl.concat(frames), self._format))
        self._frames = {}


def _part(table: Table, name: str, frame: pl.DataFrame, format_: Format) -> Part:
    return Part(table.name, f"{name}.{format_}", frame.height, as_file(frame, format_))
