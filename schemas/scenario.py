"""The scenario file: a province, its markets and bills, and for every figure where it comes from.

In: TOML. Out: a frozen `Scenario`, or one error that lists everything wrong with the file.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.errors import BadInputError
from schemas.events import METHODS, Method
from schemas.types import MAX_PAYMENT_VND, SLUG_PATTERN

HOURS = 24
T = TypeVar("T")

Share = Annotated[float, Field(ge=0, le=1)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Whole = Annotated[int, Field(ge=0)]
WholePositive = Annotated[int, Field(ge=1)]
Vnd = Annotated[int, Field(gt=0, le=MAX_PAYMENT_VND)]
PlaceId = Annotated[str, Field(pattern=SLUG_PATTERN, max_length=40)]
HourProfile = Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=HOURS, max_length=HOURS)]
"""Relative weights of the hours 0 to 23, local time."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sourced(_Part, Generic[T]):
    """A figure and where it comes from: a source, or the word "assumed"."""

    value: T
    source: str = Field(min_length=3)
    note: str = ""


class Province(_Part):
    """The place as a whole."""

    id: PlaceId
    name: str = Field(min_length=1)
    communes: Sourced[WholePositive]
    households: Sourced[WholePositive]


class Commune(_Part):
    """A commune or ward that a source names; the rest are made up by rule and marked so."""

    id: PlaceId
    name: str = Field(min_length=1)
    source: str = Field(min_length=3)


class Market(_Part):
    """A market that a source names."""

    id: PlaceId
    name: str = Field(min_length=1)
    commune: PlaceId
    stalls: Sourced[WholePositive]
    payments_per_stall_day: Sourced[Positive] | None = None
    hours: str
    cashless_share: Sourced[OpenShare]
    source: str = Field(min_length=3)


class GeneratedMarkets(_Part):
    """The rule for the markets that no source names."""

    count: Sourced[Whole]
    stalls_median: Sourced[Positive]
    stalls_sigma: Sourced[Annotated[float, Field(ge=0, le=2)]]
    hours: Sourced[dict[str, Positive]]
    """Names of hour profiles and how often each is drawn."""
    cashless_share: Sourced[OpenShare]
    """Median over markets at the start."""
    cashless_spread: Sourced[Annotated[float, Field(ge=0, le=3)]]
    """Standard deviation over markets, in logits."""


class CashlessChoice(_Part):
    """How the choice of method depends on time and amount."""

    drift_per_year: Sourced[Annotated[float, Field(ge=-10, le=10)]]
    """How the share moves, in logits a year."""
    amount_slope: Sourced[Annotated[float, Field(ge=-2, le=2)]]
    """Logits per factor e of the amount: above 0, big amounts go cashless first."""
    mix: Sourced[dict[Method, Annotated[float, Field(ge=0)]]]
    """Weights of the cashless methods."""
    failure_rate: Sourced[Share]
    """Share of cashless attempts that fail."""

    @model_validator(mode="after")
    def _cashless_only(self) -> Self:
        if "cash" in self.mix.value or not any(self.mix.value.values()):
            allowed = ", ".join(METHODS[1:])
            raise ValueError(f"mix {dict(self.mix.value)} needs weights of cashless methods only: {allowed}")
        return self


class MarketStalls(_Part):
    """What the stalls of all markets have in common."""

    payments_per_stall_day: Sourced[Positive]
    zipf_exponent: Sourced[Annotated[float, Field(ge=0, le=3)]]
    """Popularity of the r-th stall ~ r ** -exponent."""
    day_shape: Sourced[Positive]
    """Shape of the gamma effect of a market's day, mean 1: variance of its factor is 1 / shape."""
    weekday: Sourced[Annotated[tuple[Positive, ...], Field(min_length=7, max_length=7)]]
    """Factors of Monday to Sunday."""
    amount_median_vnd: Sourced[Vnd]
    amount_sigma: Sourced[Annotated[float, Field(ge=0, le=3)]]
    amount_min_vnd: Sourced[Vnd]
    amount_max_vnd: Sourced[Vnd]
    cashless: CashlessChoice


class TariffStep(_Part):
    """One step of a progressive tariff."""

    up_to: Annotated[float, Field(gt=0)] | None = None
    """Upper bound of the step in units (kWh, m³) a month; none for the last one."""
    vnd_per_unit: Vnd
    source: str = Field(min_length=3)


class Bills(_Part):
    """A utility that bills each household once a month."""

    tariff: Annotated[tuple[TariffStep, ...], Field(min_length=1)]
    vat: Sourced[Share]
    usage_median: Sourced[Positive]
    """Units a month: kWh, m³."""
    usage_sigma: Sourced[Annotated[float, Field(ge=0, le=2)]]
    customers_per_household: Sourced[Share]
    pay_days_mean: Sourced[Positive]
    """Mean days from issue to payment, before the cut at `pay_days_max`."""
    pay_days_max: Sourced[Annotated[int, Field(ge=1, le=28)]]
    hours: str
    cashless_share: Sourced[OpenShare]
    cashless: CashlessChoice

    @model_validator(mode="after")
    def _steps_rise(self) -> Self:
        bounds = [step.up_to for step in self.tariff]
        closed = [bound for bound in bounds[:-1] if bound is not None]
        if len(closed) != len(bounds) - 1 or bounds[-1] is not None or closed != sorted(set(closed)):
            raise ValueError(f"tariff bounds up_to {bounds} must rise, and only the last step has none")
        return self


class Scenario(_Part):
    """A province and how it pays."""

    name: PlaceId
    title: str = Field(min_length=1)
    start: dt.date
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    scale: Sourced[Annotated[float, Field(gt=0, le=1)]]
    """Share of the population's payments that is simulated."""
    province: Province
    commune: tuple[Commune, ...] = ()
    market: tuple[Market, ...] = ()
    markets: GeneratedMarkets
    market_stall: MarketStalls
    electricity: Bills
    water: Bills
    hours: dict[str, Sourced[HourProfile]]

    @model_validator(mode="after")
    def _refers_to_what_is_there(self) -> Self:
        problems = list(_dangling(self))
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _dangling(scenario: Scenario) -> Iterator[str]:
    communes = [commune.id for commune in scenario.commune]
    profiles = ", ".join(scenario.hours)
    yield from _repeated("commune.id", communes)
    yield from _repeated("market.id", [market.id for market in scenario.market])
    if len(communes) > scenario.province.communes.value:
        yield f"{len(communes)} communes are named, province.communes is {scenario.province.communes.value}"
    for market in scenario.market:
        if market.commune not in communes:
            yield f"market {market.id}: commune {market.commune!r} is not among {', '.join(communes)}"
        if market.id in communes:
            yield f"market {market.id}: a commune has the same id"
    used = {f"market {market.id}": market.hours for market in scenario.market}
    used |= {f"markets.hours {name}": name for name in scenario.markets.hours.value}
    used |= {"electricity": scenario.electricity.hours, "water": scenario.water.hours}
    for place, name in used.items():
        if name not in scenario.hours:
            yield f"{place}: hour profile {name!r} is not among {profiles}"
    for name, profile in scenario.hours.items():
        if not any(profile.value):
            yield f"hours.{name}: all weights are 0"


def _repeated(key: str, ids: list[str]) -> Iterator[str]:
    yield from (f"{key} {one!r} stands {ids.count(one)} times" for one in dict.fromkeys(ids) if ids.count(one) > 1)


def parse_scenario(text: str, place: str) -> Scenario:
    """Parse and check a scenario.

    Args:
        text: TOML.
        place: the file's name, for errors.

    Raises:
        BadInputError: with every error at once: file, key, value, what is allowed.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInputError("scenario", f"{place}: not TOML: {error}", "see docs/scenarios.md") from None
    try:
        return Scenario.model_validate(document)
    except ValidationError as error:
        lines = "".join(f"\n  {place}: {_explain(dict(item))}" for item in error.errors())
        found = f"{error.error_count()} error{'s' if error.error_count() > 1 else ''}{lines}\n"
        raise BadInputError("scenario", found, "see docs/scenarios.md for what each key takes") from None


def _explain(item: dict[str, Any]) -> str:
    key = ".".join(str(part) for part in item["loc"]) or "the file"
    if item["type"] == "missing":
        return f"{key}: missing, required"
    if item["type"] == "extra_forbidden":
        return f"{key} = {item['input']!r}: no such key"
    if item["type"] == "value_error":
        return f"{key}: {item['ctx']['error']}"
    return f"{key} = {item['input']!r}: {item['msg'].lower()}"


def read_scenario(path: Path) -> Scenario:
    """Read a scenario file; errors as in :func:`parse_scenario`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError("scenario", f"{path}: {error}", "give a readable UTF-8 file") from None
    return parse_scenario(text, str(path))
