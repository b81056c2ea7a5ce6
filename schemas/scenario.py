"""The scenario file: a province, its markets and bills, and for every figure where it comes from.

In: TOML. Out: a frozen `Scenario`, or one error that lists everything wrong with the file.
"""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.errors import BadInputError
from schemas.events import METHODS, Method
from schemas.types import MAX_PAYMENT_VND

HOURS = 24
FIRST_START, END_OF_STARTS = dt.date(2001, 1, 1), dt.date(2099, 1, 1)
"""Begins that leave the months around them within the event times allowed (`schemas.types.EpochMs`)."""
T = TypeVar("T")

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""TOML knows ``inf``, ``nan``, ``true`` and ``"12"``: none of them is a figure."""
WholeNumber = Annotated[int, Field(strict=True)]
Share = Annotated[Number, Field(ge=0, le=1)]
OpenShare = Annotated[Number, Field(gt=0, lt=1)]
Positive = Annotated[Number, Field(gt=0)]
Weight = Annotated[Number, Field(ge=0)]
Whole = Annotated[WholeNumber, Field(ge=0)]
WholePositive = Annotated[WholeNumber, Field(ge=1)]
Vnd = Annotated[WholeNumber, Field(gt=0, le=MAX_PAYMENT_VND)]
PlaceId = Annotated[str, Field(pattern=r"^[a-z0-9]+(?:-[a-z0-9]+)*$", max_length=40)]
"""Such as ``an-giang``; no ``/``, which begins the name of a place's part: a stall, a sector."""
HourProfile = Annotated[tuple[Weight, ...], Field(min_length=HOURS, max_length=HOURS)]
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
    stalls_sigma: Sourced[Annotated[Number, Field(ge=0, le=2)]]
    hours: Sourced[dict[str, Positive]]
    """Names of hour profiles and how often each is drawn."""
    cashless_share: Sourced[OpenShare]
    """Median over markets at the start."""
    cashless_spread: Sourced[Annotated[Number, Field(ge=0, le=3)]]
    """Standard deviation over markets, in logits."""


class CashlessChoice(_Part):
    """How the choice of method depends on time and amount."""

    drift_per_year: Sourced[Annotated[Number, Field(ge=-10, le=10)]]
    """How the share moves, in logits a year."""
    amount_slope: Sourced[Annotated[Number, Field(ge=-2, le=2)]]
    """Logits per factor e of the amount: above 0, big amounts go cashless first."""
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


class MarketStalls(_Part):
    """What the stalls of all markets have in common."""

    payments_per_stall_day: Sourced[Positive]
    zipf_exponent: Sourced[Annotated[Number, Field(ge=0, le=3)]]
    """Popularity of the r-th stall ~ r ** -exponent."""
    day_shape: Sourced[Positive]
    """Shape of the gamma effect of a market's day, mean 1: variance of its factor is 1 / shape."""
    weekday: Sourced[Annotated[tuple[Positive, ...], Field(min_length=7, max_length=7)]]
    """Factors of Monday to Sunday."""
    amount_median_vnd: Sourced[Vnd]
    amount_sigma: Sourced[Annotated[Number, Field(ge=0, le=3)]]
    amount_min_vnd: Sourced[Vnd]
    amount_max_vnd: Sourced[Vnd]
    cashless: CashlessChoice

    @model_validator(mode="after")
    def _amounts_rise(self) -> Self:
        low, median, high = (one.value for one in (self.amount_min_vnd, self.amount_median_vnd, self.amount_max_vnd))
        if not low <= median <= high:
            raise ValueError(f"amount_min_vnd {low}, amount_median_vnd {median}, amount_max_vnd {high} must rise")
        return self


class TariffStep(_Part):
    """One step of a progressive tariff."""

    up_to: Positive | None = None
    """Upper bound of the step in units (kWh, m³) a month; none for the last one."""
    vnd_per_unit: Vnd
    source: str = Field(min_length=3)


class Bills(_Part):
    """A utility that bills each household once a month."""

    tariff: Annotated[tuple[TariffStep, ...], Field(min_length=1)]
    vat: Sourced[Share]
    usage_median: Sourced[Positive]
    """Units a month: kWh, m³."""
    usage_sigma: Sourced[Annotated[Number, Field(ge=0, le=2)]]
    customers_per_household: Sourced[Share]
    pay_days_mean: Sourced[Positive]
    """Mean days from issue to payment, before the cut at `pay_days_max`."""
    pay_days_max: Sourced[Annotated[WholeNumber, Field(ge=1, le=28)]]
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
    start: Annotated[dt.date, Field(ge=FIRST_START, lt=END_OF_STARTS)]
    seed: Annotated[WholeNumber, Field(ge=0, lt=2**63)]
    scale: Sourced[Annotated[Number, Field(gt=0, le=1)]]
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
    yield from _bad_ids(scenario)
    if len(communes) > scenario.province.communes.value:
        yield f"{len(communes)} communes are named, province.communes is {scenario.province.communes.value}"
    for market in scenario.market:
        if market.commune not in communes:
            yield f"market {market.id}: commune {market.commune!r} is not among {', '.join(communes)}"
    used = [(f"market {market.id}", market.hours) for market in scenario.market]
    used += [(f"markets.hours {name}", name) for name in scenario.markets.hours.value]
    used += [("electricity", scenario.electricity.hours), ("water", scenario.water.hours)]
    for place, name in used:
        if name not in scenario.hours:
            yield f"{place}: hour profile {name!r} is not among {profiles}"
    for name, profile in scenario.hours.items():
        if not any(profile.value):
            yield f"hours.{name}: all weights are 0"


def _bad_ids(scenario: Scenario) -> Iterator[str]:
    communes, markets = ([part.id for part in parts] for parts in (scenario.commune, scenario.market))
    yield from _repeated("commune.id", communes)
    yield from _repeated("market.id", markets)
    yield from (f"market {one}: a commune has the same id" for one in markets if one in communes)
    province = scenario.province.id
    for one in (*communes, *markets):
        if re.fullmatch(rf"{province}-[cm][0-9]+", one):
            yield f"{one}: ids such as {province}-c001 and {province}-m001 are kept for places made up by rule"


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
        wrong = [_explain(dict(item)) for item in error.errors() if not _follows(dict(item), error)]
        lines = "".join(f"\n  {place}: {line}" for line in wrong)
        found = f"{len(wrong)} error{'s' if len(wrong) > 1 else ''}{lines}"
        raise BadInputError("scenario", found, "see docs/scenarios.md for what each key takes") from None


def _follows(item: dict[str, Any], error: ValidationError) -> bool:
    """Tell whether a list is called too short only because items of it are wrong, which is said already."""
    place = item["loc"]
    inner = (other["loc"] for other in error.errors() if len(other["loc"]) > len(place))
    return item["type"] == "too_short" and any(loc[: len(place)] == place for loc in inner)


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
