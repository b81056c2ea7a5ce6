"""The tables of a simulation on disk: what each column holds, its type, unit and meaning.

In: nothing. Out: `TABLES`, from which frames take their types and the Data Package its fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from schemas.events import FAILURE_REASONS, METHODS, SECTORS, STATUSES, TRUTH_LABELS
from schemas.scenario.places import SETTLEMENTS

ColumnType = Literal["string", "integer", "number", "boolean", "date", "count"]
"""As in Table Schema; a ``count`` is an integer, or a number where the scenario is deterministic: an expectation."""
Parts = Literal["day", "month", "once"]
TIME_UNIT = "ms since 1970-01-01 UTC"


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str
    type: ColumnType
    meaning: str
    unit: str = ""
    values: tuple[str, ...] = ()
    """All that it may hold, if that is a short list fixed by the contracts."""
    repeats: bool = False
    """Text of which few different ones stand in many rows: kept as a number and a list of texts."""
    optional: bool = False
    """Whether it may be empty."""


@dataclass(frozen=True)
class Table:
    """A table."""

    name: str
    meaning: str
    parts: Parts
    """Whether there is a file for each simulated day, for each month, or one."""
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    record: bool = False
    """Whether a row is a record of a topic: as JSON lines it is written as it goes over the wire."""


def _text(name: str, meaning: str, *, optional: bool = False) -> Column:
    return Column(name, "string", meaning, optional=optional)


def _id(name: str, meaning: str, *, optional: bool = False) -> Column:
    return Column(name, "string", meaning, repeats=True, optional=optional)


def _one_of(name: str, values: tuple[str, ...], meaning: str, *, optional: bool = False) -> Column:
    return Column(name, "string", meaning, values=values, optional=optional)


def _share(name: str, meaning: str) -> Column:
    return Column(name, "number", meaning, "share")


def _count(name: str, meaning: str, unit: str) -> Column:
    return Column(name, "count", meaning, unit)


_SECTOR = _one_of("sector", SECTORS, "Sector.")
_COMMUNE = _id("commune", "Id of the commune.")
_CELL = _id("cell", "The unit of aggregation: a market, or a commune's sector.")
_DAY = Column("day", "date", "Local date.")
_SOURCE = _id("source", "Id of the till: a stall, a biller's branch in a commune.")
_AT = Column("occurred_at", "integer", "When the payment was made.", TIME_UNIT)

WIRE_COLUMNS = (
    Column("schema_version", "integer", "Version of the contract."),
    _text("run", "The run of the simulator that made it."),
)
"""What records carry besides, in JSON lines."""

PAYMENTS = Table(
    "payments",
    "Payments, failed ones and reversals included, in order of time.",
    "day",
    ("payment_id",),
    (
        _text("payment_id", "Id; the same run gives the same ids."),
        _SOURCE,
        _CELL,
        _COMMUNE,
        _SECTOR,
        _id("beneficiary", "The account that a scanned static code named.", optional=True),
        Column("sequence", "integer", "Number of the payment at its source: 1, 2, 3, …"),
        _one_of("method", METHODS, "How it was paid; all but cash are cashless."),
        _one_of("status", STATUSES, "What became of it; a reversal is a row of its own."),
        Column("amount_vnd", "integer", "Amount.", "VND"),
        _AT,
        _text("bill_number", "The bill that it pays.", optional=True),
        _one_of("failure_reason", FAILURE_REASONS, "Why a failed one failed.", optional=True),
        Column("attempt", "integer", "Number of the attempt from the second on.", optional=True),
        _text("refers_to", "The attempt before, or the payment that this one reverses.", optional=True),
    ),
    record=True,
)
TRUTH = Table(
    "truth",
    "What is true of payments, and their rows do not say; faults of the way to Kafka included.",
    "day",
    ("payment_id", "label"),
    (
        _text("payment_id", "The payment."),
        _SOURCE,
        _COMMUNE,
        _SECTOR,
        _one_of("label", TRUTH_LABELS, "What is true of it."),
        _AT,
    ),
    record=True,
)
LEDGER = Table(
    "ledger",
    "Sums of the payments by day, cell and method.",
    "month",
    ("day", "cell", "method"),
    (
        _DAY,
        _CELL,
        _COMMUNE,
        _SECTOR,
        _one_of("method", METHODS, "Method."),
        Column("settled", "integer", "Settled payments, later reversed or not.", "payments"),
        Column("failed", "integer", "Failed payments.", "payments"),
        Column("reversed", "integer", "Reversals.", "payments"),
        Column("amount_vnd", "integer", "Sum over the settled ones.", "VND"),
        Column("reversed_vnd", "integer", "Sum over the reversals.", "VND"),
    ),
)
ADOPTION_COMMUNES = Table(
    "adoption-communes",
    "Adoption by people in every commune of the province, at the beginning of each day.",
    "month",
    ("day", "commune"),
    (
        _DAY,
        _COMMUNE,
        _count("adults", "Adults.", "people"),
        _count("eligible", "Adults with account and smartphone, the active included.", "people"),
        _count("active", "Adults who pay cashless.", "people"),
        _share("active_share", "Active over adults."),
        _count("households_reached", "Households that digital teams have visited so far.", "households"),
        _share("account_share", "Pensions and allowances paid into accounts."),
        _share("dossiers_online", "Dossiers handed in online."),
        _share("status_index", "Weighted mean of the shares that make a commune's status."),
        Column("green", "boolean", "Whether the index has reached the threshold."),
    ),
)
ADOPTION_MARKETS = Table(
    "adoption-markets",
    "Adoption by stalls in every market of the province, at the beginning of each day.",
    "month",
    ("day", "market"),
    (
        _DAY,
        _id("market", "Id of the market."),
        _COMMUNE,
        _count("stalls", "Stalls.", "stalls"),
        _count("showing", "Stalls that show a QR, those that use it included.", "stalls"),
        _count("using", "Stalls that take payments by it.", "stalls"),
        _share("using_share", "Using over stalls."),
    ),
)
COMMUNES = Table(
    "communes",
    "The communes of the province.",
    "once",
    ("commune",),
    (
        _COMMUNE,
        _text("name", "Name."),
        _one_of("settlement", SETTLEMENTS, "Kind of settlement."),
        Column("households", "integer", "Households.", "households"),
        Column("adults", "integer", "Adults.", "people"),
        _share("coverage", "Area with mobile coverage."),
    ),
)
MARKETS = Table(
    "markets",
    "The markets of the province.",
    "once",
    ("market",),
    (
        _id("market", "Id of the market, and of its cell."),
        _text("name", "Name."),
        _COMMUNE,
        Column("stalls", "integer", "Stalls.", "stalls"),
        _text("hours", "Name of its hour profile."),
        _share("showing_start", "Stalls that show a QR at the start."),
        _share("using_start", "Stalls that use it at the start."),
    ),
)
CELLS = Table(
    "cells",
    "The cells whose payments are here: those of the shard.",
    "once",
    ("cell",),
    (
        _CELL,
        _one_of("kind", ("market", "commune_sector"), "Kind."),
        _text("name", "Name."),
        _COMMUNE,
        _SECTOR,
        Column("sources", "integer", "Tills.", "tills"),
    ),
)
INTERVENTIONS = Table(
    "interventions",
    "The interventions of the scenario, a row for each of their figures.",
    "once",
    ("intervention", "parameter"),
    (
        _text("intervention", "Id of the intervention."),
        _text("kind", "Kind of intervention."),
        _text("place", "Communes and markets that it reaches, by spaces; empty: all.", optional=True),
        _text("start", "First day, or begin in local time.", optional=True),
        _text("end", "Day behind the last, or end in local time.", optional=True),
        _text("parameter", "Name of the figure."),
        _text("value", "The figure, as JSON."),
        _text("source", 'Where it comes from, or "assumed".'),
        _text("note", "More about it.", optional=True),
    ),
)
TABLES = (
    PAYMENTS,
    TRUTH,
    LEDGER,
    ADOPTION_COMMUNES,
    ADOPTION_MARKETS,
    COMMUNES,
    MARKETS,
    CELLS,
    INTERVENTIONS,
)
