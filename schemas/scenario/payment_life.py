"""What becomes of a payment, and what the way to Kafka does to its record.

In: figures. Out: `PaymentLife` and `StreamFaults`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from schemas.events import FailureReason
from schemas.scenario.figures import Part, PositiveCount, PositiveSeconds, Share, Sourced, Weight


class PaymentLife(Part):
    """Failures, retries, reversals. A purchase whose attempts all fail is paid in cash: demand is kept."""

    reasons: Sourced[Annotated[dict[FailureReason, Weight], Field(min_length=1)]]
    """Weights of the reasons for which an attempt fails."""
    retry_share: Sourced[Share]
    """Share of failed attempts after which the payer tries again; the rest pay in cash."""
    retry_after_seconds: Sourced[PositiveSeconds]
    """Mean time until the next attempt, exponential."""
    max_attempts: Sourced[Annotated[PositiveCount, Field(le=5)]]
    """Most cashless attempts of one purchase."""
    reversal_rate: Sourced[Share]
    """Share of settled cashless payments that are reversed on the same day."""
    reversal_after_seconds: Sourced[PositiveSeconds]
    """Mean time until the reversal, exponential, cut at the end of the day."""


class StreamFaults(Part):
    """Faults that a stream must bear. They are labelled in the truth, never in the record."""

    duplicate_rate: Sourced[Share]
    """Share of records that are sent twice."""
    duplicate_after_seconds: Sourced[PositiveSeconds]
    """Mean event time until the second sending, exponential."""
    out_of_order_rate: Sourced[Share]
    """Share of records that are sent a little late, behind younger ones."""
    out_of_order_seconds: Sourced[PositiveSeconds]
    """Mean delay of those, exponential."""
    late_rate: Sourced[Share]
    """Share of records that are sent very late."""
    late_seconds: Sourced[PositiveSeconds]
    """Least delay of those; on top comes as much again on average, exponential. No record is sent after its day: those
    near its end wait for less."""
    malformed_rate: Sourced[Share]
    """Share of records before which a spoiled copy is sent."""
