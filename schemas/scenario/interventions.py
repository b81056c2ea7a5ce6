"""What changes behaviour: each intervention a typed table row with place, time and strength.

In: figures. Out: one model per kind, and `Intervention`, any of them by its ``kind``.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.scenario.figures import (
    Count,
    Days,
    Factor,
    Logit,
    Part,
    PerDay,
    PerYear,
    PlaceId,
    PositiveSeconds,
    Share,
    Source,
    Sourced,
    WholeNumber,
)


def _absent(value: object) -> bool:
    return value is None


Undated = Field(exclude_if=_absent)
"""A date that most rows have not: left out where there is none, so that such rows are written, and hashed, without."""
LunarDay = Annotated[WholeNumber, Field(ge=1, le=30, json_schema_extra={"unit": "day of the lunar month"})]


class _Row(Part):
    id: PlaceId
    """Name of the row; a scenario that extends this one overrides it by it."""
    place: tuple[PlaceId, ...] = ()
    """Communes and markets it reaches; the whole province if none is named."""
    source: Source
    """Where it is reported."""


class _Lasting(_Row):
    start: dt.date
    """First day."""
    end: dt.date
    """Day behind the last."""

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.start >= self.end:
            raise ValueError(f"end {self.end} must be after start {self.start}")
        return self


class DigitalTeam(_Lasting):
    """Community digital technology teams, going from door to door."""

    kind: Literal["digital_team"]
    members: Sourced[Count]
    """Members in the whole place, spread over its communes by households."""
    visits_per_member_day: Sourced[PerDay]
    """Households that a member visits on a day; no household is visited twice."""
    effect: Sourced[Share]
    """Share of the eligible adults reached, not active before, who are active within six months by the visit alone."""
    delay_days: Sourced[Days]
    """Mean time until those become active, exponential."""


class StallStands(_Lasting):
    """QR stands for stalls: a "market 4.0" campaign."""

    kind: Literal["stall_stands"]
    make_share: Sourced[Annotated[Share, Field(lt=1)]]
    """Share of the stalls without a QR that have made one by the end, by the campaign alone."""
    use_share: Sourced[Share]
    """Share of those that then use it."""
    delay_days: Sourced[Days]
    """Mean time until those use it, exponential."""


class Promotion(_Lasting):
    """Vouchers, waived fees, advertising."""

    kind: Literal["promotion"]
    people: Sourced[PerYear]
    """Hazard added to people becoming active."""
    stalls: Sourced[PerYear]
    """Hazard added to stalls putting up a QR."""


class PensionsToAccounts(_Lasting):
    """Pensions and allowances move from the counter into accounts."""

    kind: Literal["pensions_to_accounts"]
    share: Sourced[Annotated[Share, Field(lt=1)]]
    """Share of those paid in cash at its start who are paid into an account by its end; as many of the oldest
    age group that were not eligible become so."""


class CashShock(_Lasting):
    """A temporary shortage of cash."""

    kind: Literal["cash_shock"]
    choice: Sourced[Logit]
    """Logits added to the choice of cashless payment."""
    hazard: Sourced[Factor]
    """Factor on the hazards of becoming active and of putting up a QR."""


class ScamWarning(_Lasting):
    """Warnings against scams: people hesitate, and look at what they scan."""

    kind: Literal["scam_warning"]
    hazard: Sourced[Annotated[Factor, Field(le=1)]]
    """Factor on the hazard of becoming active."""
    fraud: Sourced[Annotated[Factor, Field(le=1)]]
    """Factor on the share of payments that go to a swapped code."""


class FraudWave(_Lasting):
    """Codes swapped at stalls: who scans one pays a stranger. Labelled as truth."""

    kind: Literal["fraud_wave"]
    stalls: Sourced[Share]
    """Share of the stalls with a QR whose code is swapped."""


class Outage(_Row):
    """No cashless payment in a place and time. Demand is kept."""

    kind: Literal["outage"]
    scope: Literal["network", "switch"]
    """What is down: the place's network, or the interbank switch."""
    start: dt.datetime
    """Begin, local time."""
    end: dt.datetime
    """End, local time."""
    then: Literal["cash", "retry"]
    """What payers do: pay in cash at once, or try again after the end (in cash if that is another day)."""
    retry_after_seconds: Sourced[PositiveSeconds]
    """Mean time from the end to the retry, exponential."""

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.start.tzinfo or self.end.tzinfo:
            raise ValueError("start and end are local times, without an offset")
        if self.start >= self.end:
            raise ValueError(f"end {self.end} must be after start {self.start}")
        return self


class Tet(_Row):
    """The lunar new year, each year: more is bought before it, little in its first days."""

    kind: Literal["tet"]
    on: Annotated[dt.date | None, Undated] = None
    """Its first day, once; by the lunar calendar, each year, if left out."""
    factor: Sourced[Factor]
    """Factor on purchases in the days before it."""
    days_before: Sourced[Annotated[Count, Field(ge=1, le=60, json_schema_extra={"unit": "days"})]]
    """How many days."""
    holiday_factor: Sourced[Factor]
    """Factor on purchases in its first days."""
    holiday_days: Sourced[Annotated[Count, Field(le=15, json_schema_extra={"unit": "days"})]]
    """How many days."""


class LunarMarketDays(_Row):
    """Market days by the lunar month, such as 2, 7, 12, …"""

    kind: Literal["lunar_market_days"]
    start: Annotated[dt.date | None, Undated] = None
    """First day; always if left out."""
    end: Annotated[dt.date | None, Undated] = None
    """Day behind the last; for ever if left out."""
    days: Sourced[tuple[LunarDay, ...]]
    """Days of the lunar month."""
    factor: Sourced[Factor]
    """Factor on purchases on those days."""

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.start and self.end and self.start >= self.end:
            raise ValueError(f"end {self.end} must be after start {self.start}")
        return self


Intervention = Annotated[
    DigitalTeam
    | StallStands
    | Promotion
    | PensionsToAccounts
    | CashShock
    | ScamWarning
    | FraudWave
    | Outage
    | Tet
    | LunarMarketDays,
    Field(discriminator="kind"),
]
