"""A run on disk, read back.

In: a folder that `quetma simulate` made. Out: `Run`: its manifest, its scenario, its tables as lazy frames.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from producers.files.folder import MANIFEST
from producers.files.formats import Format
from producers.files.frames import type_of
from schemas.errors import BadInputError
from schemas.scenario import Scenario
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
    WIRE_COLUMNS,
    Table,
)


@dataclass(frozen=True)
class Run:
    """A run on disk. Its tables are described, column by column, in its ``datapackage.json``."""

    path: Path
    manifest: dict[str, Any]
    """What made the run, what came of it, its files; see docs/offline.md."""

    @cached_property
    def scenario(self) -> Scenario:
        """The scenario, with all that it extends."""
        return Scenario.model_validate_json((self.path / "scenario.json").read_bytes())

    def payments(self) -> pl.LazyFrame:
        """Return the payments of all days in order of time, 15 columns."""
        return self.table(PAYMENTS)

    def truth(self) -> pl.LazyFrame:
        """Return what is true of payments beyond their rows, 6 columns."""
        return self.table(TRUTH)

    def ledger(self) -> pl.LazyFrame:
        """Return the sums by day, cell and method, 10 columns."""
        return self.table(LEDGER)

    def adoption(self) -> tuple[pl.LazyFrame, pl.LazyFrame]:
        """Return the adoption of communes (11 columns) and of markets (7 columns), by day."""
        return self.table(ADOPTION_COMMUNES), self.table(ADOPTION_MARKETS)

    def communes(self) -> pl.LazyFrame:
        """Return the communes, 6 columns."""
        return self.table(COMMUNES)

    def markets(self) -> pl.LazyFrame:
        """Return the markets, 7 columns."""
        return self.table(MARKETS)

    def cells(self) -> pl.LazyFrame:
        """Return the cells, 6 columns."""
        return self.table(CELLS)

    def interventions(self) -> pl.LazyFrame:
        """Return the figures of the interventions, 9 columns."""
        return self.table(INTERVENTIONS)

    def table(self, table: Table) -> pl.LazyFrame:
        """Return a table; without rows if the run has none of it."""
        deterministic = self.scenario.adoption.deterministic
        types = {column.name: type_of(column, deterministic=deterministic) for column in table.columns}
        paths = [self.path / file["path"] for file in self.manifest["files"] if file["table"] == table.name]
        if not paths:
            return pl.LazyFrame(schema=types)
        return _scan(paths, self.manifest["format"], table, types)


def read_run(path: Path | str) -> Run:
    """Read a run from its folder.

    Raises:
        BadInputError: if the folder has no manifest.
    """
    folder = Path(path)
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError) as error:
        raise BadInputError(
            "run", f"{folder} is no run of Quetma: {error}", "give a folder of `quetma simulate`"
        ) from None
    return Run(folder, manifest)


def _scan(paths: list[Path], format_: Format, table: Table, types: dict[str, pl.DataType]) -> pl.LazyFrame:
    if format_ == "parquet":
        return pl.scan_parquet(paths)
    # Texts are read as texts, and made what they are afterwards: the readers do not know Enum.
    plain = {
        name: pl.String() if isinstance(type_, (pl.Enum, pl.Categorical)) else type_ for name, type_ in types.items()
    }
    if format_ == "csv":
        frame = pl.scan_csv(paths, schema=plain)
    else:
        wire = {column.name: type_of(column) for column in WIRE_COLUMNS} if table.record else {}
        frame = pl.scan_ndjson(paths, schema={**wire, **plain})
    return frame.select(pl.col(name).cast(type_) for name, type_ in types.items())
