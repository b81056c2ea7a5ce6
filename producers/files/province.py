"""What is known of a province beside its payments: adoption by day, its places, the interventions.

In: a world, days of adoption, sums of payments. Out: frames as `schemas.tables` has them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from producers.digits import index
from producers.encoding import cell_records
from producers.files.days import Tallies
from producers.files.frames import METHOD_TEXTS, frame_of, repeating
from producers.simulation.adoption import AdoptionDay
from producers.simulation.calendar import Day
from producers.simulation.columns import FAILED, REVERSED, SETTLED
from producers.simulation.status import coverage, status
from producers.simulation.world import World
from schemas.events import SECTORS
from schemas.scenario import Scenario, Sourced
from schemas.tables import ADOPTION_COMMUNES, ADOPTION_MARKETS, CELLS, COMMUNES, INTERVENTIONS, LEDGER, MARKETS


class ProvinceFrames:
    """Makes the frames of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._coverage = coverage(world)
        self._communes = repeating(place.id for place in world.places)
        self._markets = repeating(market.id for market in world.markets)
        self._market_communes = repeating(world.places[market.commune].id for market in world.markets)
        self._cells = repeating(cell.id for cell in world.cells)
        self._cell_communes = repeating(world.places[cell.commune].id for cell in world.cells)
        self._cell_sectors = pl.Series([cell.sector for cell in world.cells], dtype=pl.Enum(SECTORS))
        self._deterministic = world.scenario.adoption.deterministic

    def adoption_communes(self, day: AdoptionDay) -> pl.DataFrame:
        """Return the state of all communes at the beginning of a day, shape (communes, 11)."""
        seen = status(self._world, day, self._coverage)
        columns = {
            "day": _dates(day.day, len(self._communes)),
            "commune": self._communes,
            "adults": day.adults,
            "eligible": day.eligible,
            "active": day.active,
            "active_share": day.active_share,
            "households_reached": day.reached,
            "account_share": day.account_share,
            "dossiers_online": day.dossiers_online,
            "status_index": seen.index,
            "green": seen.green,
        }
        return frame_of(ADOPTION_COMMUNES, columns, deterministic=self._deterministic)

    def adoption_markets(self, day: AdoptionDay) -> pl.DataFrame:
        """Return the state of all markets at the beginning of a day, shape (markets, 7)."""
        columns = {
            "day": _dates(day.day, len(self._markets)),
            "market": self._markets,
            "commune": self._market_communes,
            "stalls": day.stalls,
            "showing": day.showing,
            "using": day.using,
            "using_share": day.using_share,
        }
        return frame_of(ADOPTION_MARKETS, columns, deterministic=self._deterministic)

    def ledger(self, day: Day, tallies: Tallies) -> pl.DataFrame:
        """Return the sums of a day, a row for each cell and method that has any, 10 columns."""
        cell, method = np.nonzero(tallies.count.any(axis=2))
        count, amount = tallies.count[cell, method], tallies.amount_vnd[cell, method]
        columns = {
            "day": _dates(day, len(cell)),
            "cell": self._cells[index(cell)],
            "commune": self._cell_communes[index(cell)],
            "sector": self._cell_sectors[index(cell)],
            "method": METHOD_TEXTS[index(method)],
            "settled": count[:, SETTLED],
            "failed": count[:, FAILED],
            "reversed": count[:, REVERSED],
            "amount_vnd": amount[:, SETTLED],
            "reversed_vnd": amount[:, REVERSED],
        }
        return frame_of(LEDGER, columns)

    def communes(self) -> pl.DataFrame:
        """Return the communes, shape (communes, 6)."""
        places = self._world.places
        names = ("name", "settlement", "households", "adults")
        columns = {name: [getattr(place, name) for place in places] for name in names}
        return frame_of(COMMUNES, {"commune": self._communes, "coverage": self._coverage, **columns})

    def markets(self) -> pl.DataFrame:
        """Return the markets, shape (markets, 7)."""
        markets = self._world.markets
        names = ("name", "hours", "showing_start", "using_start")
        columns: dict[str, Any] = {name: [getattr(market, name) for market in markets] for name in names}
        columns["stalls"] = [market.sources for market in markets]
        return frame_of(MARKETS, {"market": self._markets, "commune": self._market_communes, **columns})

    def cells(self, run: str) -> pl.DataFrame:
        """Return the cells of the shard, shape (cells, 6)."""
        records = cell_records(self._world, run)
        names = [column.name for column in CELLS.columns]
        return frame_of(CELLS, {name: [getattr(record, name) for record in records] for name in names})

    def interventions(self) -> pl.DataFrame:
        """Return the figures of the interventions, 9 columns."""
        rows = list(_intervention_rows(self._world.scenario))
        names = [column.name for column in INTERVENTIONS.columns]
        return frame_of(INTERVENTIONS, {name: [row[name] for row in rows] for name in names})


def _dates(day: Day, rows: int) -> pl.Series:
    return pl.repeat(day.date, rows, dtype=pl.Date, eager=True)


def _intervention_rows(scenario: Scenario) -> Iterator[dict[str, str | None]]:
    for row in scenario.intervention:
        common = {
            "intervention": row.id,
            "kind": row.kind,
            "place": " ".join(row.place) or None,
            "start": _moment(row, "start"),
            "end": _moment(row, "end"),
        }
        for name in type(row).model_fields:
            figure = getattr(row, name)
            if isinstance(figure, Sourced):
                text = json.dumps(figure.model_dump(mode="json")["value"], ensure_ascii=False)
                known = {"source": figure.source, "note": figure.note or None}
            elif name not in {"id", "kind", "place", "start", "end", "source"} and figure is not None:
                text = json.dumps(figure, ensure_ascii=False, default=str)
                known = {"source": row.source, "note": None}
            else:
                continue
            yield {**common, "parameter": name, "value": text, **known}


def _moment(row: object, name: str) -> str | None:
    moment = getattr(row, name, None)
    return None if moment is None else str(moment.isoformat())
