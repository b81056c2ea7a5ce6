"""The places of a province: what sources name, and the rules for the rest.

In: figures. Out: `Province`, `Commune`, `Market`, `GeneratedMarkets`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.scenario.figures import (
    Count,
    OpenShare,
    Part,
    PerDay,
    PlaceId,
    Positive,
    PositiveCount,
    Share,
    Sigma,
    Source,
    Sourced,
)

Settlement = Literal["urban", "rural"]
SETTLEMENTS: tuple[Settlement, ...] = ("urban", "rural")


class Province(Part):
    """The place as a whole."""

    id: PlaceId
    """Slug."""
    name: str = Field(min_length=1)
    """Name with its marks."""
    communes: Sourced[PositiveCount]
    """Number of communes and wards; those not named are made up, ids ``…-c007``."""
    households: Sourced[PositiveCount]
    """Households, spread over the communes log-normally."""
    adults_per_household: Sourced[Positive]
    """Adults of a household, on average."""
    urban_share: Sourced[Share]
    """Share of the made-up communes that are wards (urban)."""
    commune_sigma: Sourced[Sigma]
    """Spread of the communes' sizes."""


class Commune(Part):
    """A commune or ward that a source names; the rest are made up by rule and marked so."""

    id: PlaceId
    """Slug."""
    name: str = Field(min_length=1)
    """Name with its marks."""
    settlement: Settlement = "rural"
    """``urban`` for a ward."""
    eligible_start: Sourced[OpenShare] | None = None
    """Share of adults with account and smartphone at the start, if it is known here."""
    active_start: Sourced[OpenShare] | None = None
    """Share of adults who pay cashless at the start, if it is known here."""
    dossiers_online_start: Sourced[OpenShare] | None = None
    """Share of dossiers handed in online at the start, if it is known here."""
    source: Source
    """Where the place is named."""


class Market(Part):
    """A market that a source names."""

    id: PlaceId
    """Slug."""
    name: str = Field(min_length=1)
    """Name with its marks."""
    commune: PlaceId
    """The commune it lies in."""
    stalls: Sourced[PositiveCount]
    """Stalls."""
    payments_per_stall_day: Sourced[PerDay] | None = None
    """Mean payments of a stall on an average day; else that of all stalls."""
    hours: str
    """Name of an hour profile."""
    showing_start: Sourced[OpenShare] | None = None
    """Share of stalls that show a QR at the start, if it is known here."""
    using_start: Sourced[OpenShare] | None = None
    """Share of stalls that use it at the start, if it is known here."""
    source: Source
    """Where the market is named."""


class GeneratedMarkets(Part):
    """The rule for the markets that no source names. Communes without a market get one first."""

    count: Sourced[Count]
    """Markets made up by rule, ids ``…-m012``."""
    stalls_median: Sourced[Positive]
    """Median number of stalls, log-normal."""
    stalls_sigma: Sourced[Sigma]
    """Spread of the number of stalls."""
    hours: Sourced[dict[str, Positive]]
    """Names of hour profiles and how often each is drawn."""
    adoption_spread: Sourced[Sigma]
    """Spread over markets of the odds with which their stalls show and use a QR at the start."""
