"""How people and stalls adopt cashless payment, and how a commune's state is summed up.

In: figures. Out: `Adoption` (hazards and initial state) and `StatusIndex`. The equations are in docs/model.md.
"""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from schemas.scenario.figures import Count, Logit, OpenShare, Part, PerYear, Share, Sigma, Sourced

_ROUNDING = 1e-9


class PeopleAdoption(Part):
    """People: not eligible → eligible (account and smartphone) → active (pays cashless)."""

    eligible_start: Sourced[OpenShare]
    """Share of adults with an account and a smartphone at the start."""
    eligible_ceiling: Sourced[Share]
    """Share of adults that can become eligible."""
    eligible_growth: Sourced[PerYear]
    """Hazard with which those below the ceiling become eligible."""
    active_start: Sourced[OpenShare]
    """Share of adults who pay cashless at the start."""
    innovation: Sourced[PerYear]
    """p: hazard of becoming active by oneself."""
    imitation: Sourced[PerYear]
    """q: hazard added when all adults of the commune are active."""
    market_pull: Sourced[PerYear]
    """φ: hazard added when all stalls of the commune use a QR."""
    lapse: Sourced[PerYear]
    """δ: hazard with which the active fall back to cash."""

    @model_validator(mode="after")
    def _shares_are_nested(self) -> Self:
        active, eligible, ceiling = (
            one.value for one in (self.active_start, self.eligible_start, self.eligible_ceiling)
        )
        if not active <= eligible <= ceiling:
            raise ValueError(f"active_start {active}, eligible_start {eligible}, eligible_ceiling {ceiling} must rise")
        return self


class StallAdoption(Part):
    """Stalls: no QR → show a QR → use it (take payments by it)."""

    showing_start: Sourced[OpenShare]
    """Share of stalls that show a QR at the start, those that use it included; median over markets."""
    using_start: Sourced[OpenShare]
    """Share of stalls that use it at the start; median over markets."""
    innovation: Sourced[PerYear]
    """p: hazard of putting up a QR by oneself."""
    imitation: Sourced[PerYear]
    """q: hazard added when all stalls of the market use one."""
    customer_pull: Sourced[PerYear]
    """φ: hazard added when all adults of the commune are active."""
    activation: Sourced[PerYear]
    """α: hazard with which a stall that shows a QR begins to use it."""
    lapse: Sourced[PerYear]
    """δ: hazard with which a stall stops using it; the QR stays up."""

    @model_validator(mode="after")
    def _shares_are_nested(self) -> Self:
        if not self.using_start.value <= self.showing_start.value:
            raise ValueError(f"using_start {self.using_start.value} is above showing_start {self.showing_start.value}")
        return self


class Adoption(Part):
    """The adoption model."""

    deterministic: bool = False
    """Expectation instead of chance: every draw is replaced by its mean."""
    homogeneous: bool = False
    """One segment of people and communes all alike, instead of the table of segments and `commune_spread`."""
    commune_spread: Sourced[Sigma]
    """Spread of the communes around the province: of the logarithm of their pace (u, mean 1), and of the log odds of
    the shares of people and dossiers that they start with."""
    people: PeopleAdoption
    stalls: StallAdoption


class StatusIndex(Part):
    """The index of a commune: a weighted mean of five shares, and the threshold of "green"."""

    accounts: Sourced[Share]
    """Weight of the share of adults with account and smartphone."""
    active: Sourced[Share]
    """Weight of the share of adults who pay cashless."""
    stalls: Sourced[Share]
    """Weight of the share of stalls that show a QR."""
    dossiers: Sourced[Share]
    """Weight of the share of dossiers handed in online."""
    coverage: Sourced[Share]
    """Weight of the mobile coverage."""
    threshold: Sourced[Share]
    """From this index on a commune is green."""
    coverage_median: Sourced[OpenShare]
    """Mobile coverage (4G or better) of the median commune, as a share of its area."""
    coverage_spread: Sourced[Logit]
    """Standard deviation of coverage over communes, in logits."""
    reported_green: Sourced[Count] | None = None
    """Communes reported as green at the start, if known; nothing in the simulation uses it, pictures show it."""

    @model_validator(mode="after")
    def _weights_sum_to_one(self) -> Self:
        weights = {name: getattr(self, name).value for name in ("accounts", "active", "stalls", "dossiers", "coverage")}
        if abs(sum(weights.values()) - 1) > _ROUNDING:
            raise ValueError(f"weights {weights} must sum to 1")
        return self
