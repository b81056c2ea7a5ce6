"""What is paid for: the parameters of each sector.

In: figures. Out: one model per sector, and `CashlessChoice`, which all share.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from schemas.events import METHODS, Method
from schemas.scenario.figures import (
    Count,
    Days,
    Factor,
    Logit,
    OpenShare,
    Part,
    PerDay,
    Positive,
    PositiveCount,
    Share,
    Sigma,
    Source,
    Sourced,
    Vnd,
    Weight,
    WholeNumber,
)

LAST_CYCLE_DAY = 28
"""Billing and paying days are 1 to 28, so that every month has them."""
CycleDay = Annotated[WholeNumber, Field(ge=1, le=LAST_CYCLE_DAY, json_schema_extra={"unit": "day of the month"})]
WeekdayFactors = Annotated[tuple[Factor, ...], Field(min_length=7, max_length=7)]
"""Factors of Monday to Sunday."""


class CashlessChoice(Part):
    """Whether and how a payment is made cashless, once payer and payee both can."""

    preference: Sourced[Logit]
    """a: log odds of paying 50 000 VND cashless, when payer and payee can."""
    amount_slope: Sourced[Annotated[Logit, Field(ge=-2, le=2)]]
    """b: logits per factor e of the amount; above 0, big amounts go cashless first."""
    payers: Sourced[PositiveCount]
    """Adults who could pay, of whom one active is enough: 1 for a purchase, more for a household's bill."""
    mix: Sourced[dict[Method, Weight]]
    """Weights of the cashless methods."""
    failure_rate: Sourced[Share]
    """Share of cashless attempts that fail."""

    @model_validator(mode="after")
    def _cashless_only(self) -> Self:
        if "cash" in self.mix.value or not any(self.mix.value.values()):
            allowed = ", ".join(METHODS[1:])
            raise ValueError(f"mix {dict(self.mix.value)} needs weights of cashless methods only: {allowed}")
        return self


class MarketStalls(Part):
    """What the stalls of all markets have in common."""

    payments_per_stall_day: Sourced[PerDay]
    """Mean payments of a stall on an average day."""
    zipf_exponent: Sourced[Annotated[Positive, Field(ge=0, le=3)]]
    """Popularity of the r-th stall ~ r ** -exponent."""
    day_shape: Sourced[Positive]
    """Shape of the gamma effect of a market's day, mean 1: variance of its factor is 1 / shape."""
    weekday: Sourced[WeekdayFactors]
    """Factors of Monday to Sunday."""
    amount_median_vnd: Sourced[Vnd]
    """Median of the log-normal amounts."""
    amount_sigma: Sourced[Sigma]
    """Spread of the amounts."""
    amount_min_vnd: Sourced[Vnd]
    """Smallest amount; rounding is to 500 VND below 20 000, else to 1 000."""
    amount_max_vnd: Sourced[Vnd]
    """Largest amount."""
    cashless: CashlessChoice

    @model_validator(mode="after")
    def _amounts_rise(self) -> Self:
        low, median, high = (one.value for one in (self.amount_min_vnd, self.amount_median_vnd, self.amount_max_vnd))
        if not low <= median <= high:
            raise ValueError(f"amount_min_vnd {low}, amount_median_vnd {median}, amount_max_vnd {high} must rise")
        return self


class TariffStep(Part):
    """One step of a progressive tariff."""

    up_to: Positive | None = None
    """Upper bound of the step in units (kWh, m³) a month; none for the last one."""
    vnd_per_unit: Vnd
    """Price of a unit in the step, before tax."""
    source: Source


class BusinessCustomers(Part):
    """Customers that are no households: few, with big bills at one price."""

    customers_per_household: Sourced[Share]
    """Business customers for each household."""
    usage_median: Sourced[Positive]
    """Median use a month, in the utility's unit."""
    usage_sigma: Sourced[Sigma]
    """Spread of the use."""
    vnd_per_unit: Sourced[Vnd]
    """Price of a unit, before tax."""
    cashless_share: Sourced[Share]
    """Share of their bills that is paid cashless, whatever the amount."""


class Bills(Part):
    """A utility that bills each customer once a month."""

    tariff: Annotated[tuple[TariffStep, ...], Field(min_length=1)]
    """Steps in rising order."""
    vat: Sourced[Share]
    """Value-added tax on the whole bill."""
    usage_median: Sourced[Positive]
    """Median use of a household a month: kWh, m³; whole units."""
    usage_sigma: Sourced[Sigma]
    """Spread of the use."""
    customers_per_household: Sourced[Share]
    """Share of households that are customers."""
    business: BusinessCustomers | None = None
    """Other customers, if any."""
    pay_days_mean: Sourced[Days]
    """Mean days from issue to payment, exponential, before the cut at `pay_days_max`."""
    pay_days_max: Sourced[CycleDay]
    """Most days from issue to payment."""
    hours: str
    """Name of an hour profile."""
    cashless: CashlessChoice

    @model_validator(mode="after")
    def _steps_rise(self) -> Self:
        bounds = [step.up_to for step in self.tariff]
        closed = [bound for bound in bounds[:-1] if bound is not None]
        if len(closed) != len(bounds) - 1 or bounds[-1] is not None or closed != sorted(set(closed)):
            raise ValueError(f"tariff bounds up_to {bounds} must rise, and only the last step has none")
        return self


class Tuition(Part):
    """School fees, billed at the start of each of two terms, one bill a pupil."""

    pupils_per_household: Sourced[Annotated[Positive, Field(le=5)]]
    """Pupils who pay fees, for each household."""
    fee_median_vnd: Sourced[Vnd]
    """Median fee of a term, to 1 000 VND."""
    fee_sigma: Sourced[Sigma]
    """Spread of the fees."""
    pay_days_mean: Sourced[Days]
    """Mean days from issue to payment, exponential, before the cut at `pay_days_max`."""
    pay_days_max: Sourced[Annotated[WholeNumber, Field(ge=1, le=90, json_schema_extra={"unit": "days"})]]
    """Most days from issue to payment."""
    hours: str
    """Name of an hour profile."""
    cashless: CashlessChoice


class Hospital(Part):
    """Health centres: what patients pay themselves, an insured one only the co-payment."""

    visits_per_1000_adults_day: Sourced[PerDay]
    """Paid visits for each 1 000 adults on an average day."""
    weekday: Sourced[WeekdayFactors]
    """Factors of Monday to Sunday."""
    insured_share: Sourced[Share]
    """Share of visits with an insurance card."""
    copayment_share: Sourced[OpenShare]
    """Share of the cost that an insured patient pays."""
    cost_median_vnd: Sourced[Vnd]
    """Median cost of a visit, to 1 000 VND."""
    cost_sigma: Sourced[Sigma]
    """Spread of the cost."""
    hours: str
    """Name of an hour profile."""
    cashless: CashlessChoice


class Fee(Part):
    """What one kind of dossier costs."""

    amount_vnd: Vnd
    """Fee."""
    weight: Weight
    """How often it is asked."""
    source: Source


class PublicService(Part):
    """One-stop shops: fees of dossiers, handed in at the counter or online."""

    dossiers_per_1000_adults_day: Sourced[PerDay]
    """Dossiers for each 1 000 adults on a working day; none on other days, but online ones."""
    online_start: Sourced[OpenShare]
    """Share handed in online at the start; their fees are paid online, cashless."""
    online_growth: Sourced[Logit]
    """How that share grows, in logits a year."""
    paid_share: Sourced[Share]
    """Share of dossiers with a fee."""
    fees: Annotated[tuple[Fee, ...], Field(min_length=1)]
    """Fees and how often each is asked."""
    hours: str
    """Name of an hour profile, of the counters."""
    online_hours: str
    """Name of an hour profile, of what is handed in online."""
    cashless: CashlessChoice


class Income(Part):
    """Pensions and allowances, paid out once a month: into accounts, or in cash at a counter."""

    pensioners_per_household: Sourced[Annotated[Positive, Field(le=2)]]
    """Pensioners for each household."""
    pension_median_vnd: Sourced[Vnd]
    """Median pension a month, to 1 000 VND."""
    pension_sigma: Sourced[Sigma]
    """Spread of the pensions."""
    allowances_per_household: Sourced[Annotated[Positive, Field(le=2)]]
    """People with a social allowance, for each household."""
    allowance_vnd: Sourced[Vnd]
    """Social allowance a month, the same for all."""
    account_share_start: Sourced[OpenShare]
    """Share paid into accounts at the start; programmes move it."""
    first_day: Sourced[CycleDay]
    """Day of the month on which paying out begins."""
    last_day: Sourced[CycleDay]
    """Day on which it ends; each commune has its day between the two."""
    hours: str
    """Name of an hour profile."""
    failure_rate: Sourced[Share]
    """Share of transfers into accounts that fail."""

    @model_validator(mode="after")
    def _days_rise(self) -> Self:
        if self.first_day.value > self.last_day.value:
            raise ValueError(f"first_day {self.first_day.value} is after last_day {self.last_day.value}")
        return self


class Ecommerce(Part):
    """Online shops: orders paid ahead, or on delivery."""

    orders_per_1000_adults_day: Sourced[PerDay]
    """Orders for each 1 000 adults on an average day."""
    weekday: Sourced[WeekdayFactors]
    """Factors of Monday to Sunday."""
    amount_median_vnd: Sourced[Vnd]
    """Median amount of an order, to 1 000 VND."""
    amount_sigma: Sourced[Sigma]
    """Spread of the amounts."""
    prepaid_share: Sourced[Share]
    """Share of orders paid ahead, cashless, when all adults are active; it falls with the share who are."""
    delivery_days_max: Sourced[Annotated[Count, Field(ge=1, le=14, json_schema_extra={"unit": "days"})]]
    """An order paid on delivery arrives 1 to so many days later, each as likely."""
    hours: str
    """Name of an hour profile, of orders."""
    delivery_hours: str
    """Name of an hour profile, of deliveries."""
    cashless: CashlessChoice
    """How orders are paid on delivery."""
