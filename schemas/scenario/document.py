"""The scenario: a province, how it adopts and how it pays, and for every figure where it comes from.

In: the values of a TOML document. Out: a frozen `Scenario` whose parts fit together.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Self

from pydantic import Field, model_validator

from schemas.events import Sector
from schemas.scenario.adoption import Adoption, StatusIndex
from schemas.scenario.checks import problems
from schemas.scenario.figures import HourProfile, Part, PlaceId, Share, Sourced, WholeNumber
from schemas.scenario.interventions import Intervention
from schemas.scenario.payment_life import PaymentLife, StreamFaults
from schemas.scenario.places import Commune, GeneratedMarkets, Market, Province
from schemas.scenario.sectors import Bills, Ecommerce, Hospital, Income, MarketStalls, PublicService, Tuition

FIRST_START, END_OF_STARTS = dt.date(2001, 1, 1), dt.date(2099, 1, 1)
"""Begins that leave the months around them within the event times allowed (`schemas.types.EpochMs`)."""
BILL_SECTORS: tuple[Sector, ...] = ("electricity", "water")


class Scenario(Part):
    """A province and how it pays."""

    name: PlaceId
    """Name of the scenario."""
    title: str = Field(min_length=1)
    """Name for people."""
    start: Annotated[dt.date, Field(ge=FIRST_START, lt=END_OF_STARTS)]
    """First simulated day, local."""
    seed: Annotated[WholeNumber, Field(ge=0, lt=2**63)]
    """Seed of all randomness; ``--seed`` overrides it."""
    scale: Sourced[Annotated[Share, Field(gt=0)]]
    """Share of the population's payments that is simulated; adoption always covers everybody."""
    province: Province
    commune: tuple[Commune, ...] = ()
    market: tuple[Market, ...] = ()
    markets: GeneratedMarkets
    adoption: Adoption
    status: StatusIndex
    market_stall: MarketStalls
    electricity: Bills
    water: Bills
    tuition: Tuition
    hospital: Hospital
    public_service: PublicService
    income: Income
    ecommerce: Ecommerce
    payment_life: PaymentLife
    stream_faults: StreamFaults
    intervention: tuple[Intervention, ...] = ()
    hours: dict[str, Sourced[HourProfile]]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        wrong = list(problems(self))
        if wrong:
            raise ValueError("\n".join(wrong))
        return self
