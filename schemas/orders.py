"""What travels on ``quetma.interventions``: orders to running scenarios, and what their producers made of them.

In: nothing. Out: one frozen model per kind of record, JSON on the wire, and the keys of the records.
A run is its scenario and the rows of its `InterventionApplied`: they alone say what was done, and from which day on.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from schemas.scenario.actions import AnyAction
from schemas.scenario.document import END_OF_STARTS
from schemas.scenario.figures import PlaceId
from schemas.scenario.interventions import Intervention
from schemas.types import Contract, EpochMs, Identifier, SchemaVersion

MOST_WORDS = 500
"""Length of the reason for a refusal, in characters."""


def _one_line(text: str) -> str:
    return " ".join(text.split())[:MOST_WORDS]


Shard = Annotated[str, Field(pattern=r"^[0-9]+/[0-9]+$")]
"""``I/N``: every N-th commune from the I-th."""
Speed = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""Simulated seconds per second."""
SimulatedDay = Annotated[
    dt.date,
    Field(ge=dt.date(2000, 1, 1), lt=END_OF_STARTS),
    # JSON Schema has no bounds for dates.
    WithJsonSchema({"type": "string", "format": "date", "pattern": r"^20[0-9]{2}-[0-9]{2}-[0-9]{2}$"}),
]
"""A local date."""


class InterventionOrder(Contract):
    """An intervention for a run: it begins on the first day that a producer can still change. Key: ``run|id``."""

    kind: Literal["intervention"] = "intervention"
    schema_version: SchemaVersion
    run: Identifier
    id: PlaceId
    """Name of the intervention within the run, such as a UUID. A producer takes the first order of a name."""
    ordered_at: EpochMs
    start: SimulatedDay | None = None
    """First day, simulated; as soon as possible if left out, or if the day has begun to be made."""
    intervention: AnyAction


class PaceOrder(Contract):
    """How fast a run is to go, from now on: one of both. Key: ``run|pace|speed`` or ``run|pace|paused``.

    It changes when records are sent, never what they are, and it holds until the next one, restarts included.
    """

    kind: Literal["pace"] = "pace"
    schema_version: SchemaVersion
    run: Identifier
    id: PlaceId
    ordered_at: EpochMs
    speed: Speed | Literal["max"] | None = None
    """Simulated seconds per second, or as fast as it goes; instead of a rate too."""
    paused: bool | None = None
    """Whether sending stands still."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.speed is None) == (self.paused is None):
            raise ValueError("give speed or paused")
        return self


class InterventionApplied(Contract):
    """What a producer made of an order, acknowledged before any payment that it may move. Key: ``run|id|shard``."""

    kind: Literal["applied"] = "applied"
    schema_version: SchemaVersion
    run: Identifier
    id: PlaceId
    shard: Shard
    applied_at: EpochMs
    from_day: dt.date | None = None
    """First simulated day made with it, local; none if it was refused."""
    intervention: Intervention | None = None
    """The row that the scenario has with it, dates included; none if it was refused."""
    refused: Annotated[str, AfterValidator(_one_line), Field(min_length=1)] | None = None
    """Why the producer cannot do it."""

    @model_validator(mode="after")
    def _done_or_refused(self) -> Self:
        given = [self.from_day is not None, self.intervention is not None, self.refused is None]
        if len(set(given)) > 1:
            raise ValueError("give from_day and intervention, or refused")
        if self.intervention is not None and self.intervention.id != self.id:
            raise ValueError(f"id {self.id!r} is not that of the intervention, {self.intervention.id!r}")
        return self


class RunPosition(Contract):
    """Up to which day a producer may have sent anything: no intervention is put in up to there after a restart.

    Key: ``run|begun|shard``. It is acknowledged before the first record of the day.
    """

    kind: Literal["begun"] = "begun"
    schema_version: SchemaVersion
    run: Identifier
    shard: Shard
    day: dt.date
    """Simulated, local."""


def key_of(record: InterventionOrder | PaceOrder | InterventionApplied | RunPosition) -> str:
    """Return the key of a record."""
    match record:
        case InterventionOrder():
            return f"{record.run}|{record.id}"
        case PaceOrder():
            return f"{record.run}|pace|{'speed' if record.paused is None else 'paused'}"
        case InterventionApplied():
            return f"{record.run}|{record.id}|{record.shard}"
        case RunPosition():
            return f"{record.run}|begun|{record.shard}"
