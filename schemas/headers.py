"""What records carry beside key and value: one model for each kind of header set.

In: nothing. Out: models whose fields are the headers, their values as text (UTF-8 on the wire).
The contract tests hold what is on the topics to them; the hot paths write the bytes themselves.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import Field

from schemas.events import DeadLetterReason
from schemas.types import Contract, Identifier

CLOUD_EVENT_TYPE: Final = "vn.quetma.payment.v1"
"""The CloudEvents type of a payment; a new version of the contract gets a new one."""

Digits = Annotated[str, Field(pattern=r"^[0-9]+$")]


class PaymentHeaders(Contract):
    """Headers of a payment: most have none."""

    sent_at: Digits | None = None
    """When it was sent, UTC epoch milliseconds; on one record in `QUETMA_PRODUCER__PROBE_EVERY`, to measure latency."""


class CloudEventHeaders(PaymentHeaders):
    """Headers of a payment where `QUETMA_PRODUCER__HEADERS` is on: CloudEvents 1.0, binary content mode."""

    ce_specversion: Literal["1.0"]
    ce_type: Annotated[str, Field(pattern=f"^{re.escape(CLOUD_EVENT_TYPE)}$")]
    ce_source: Annotated[str, Field(pattern=r"^/quetma/[^/]+/.+$")]
    """`/quetma/`, the run, and the source of the payment."""
    ce_id: Identifier
    """The payment's `payment_id`."""
    ce_time: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+\+00:00$")]
    """The payment's `occurred_at`, RFC 3339, UTC."""
    content_type: Literal["application/json"] = Field(alias="content-type")


class DeadLetterHeaders(Contract):
    """Headers of a record that was set aside."""

    reason: DeadLetterReason
    detail: str
    """What exactly was wrong, in words."""
    key: str
    """The record's own key, cut off at 512 KiB."""
    bytes_: Digits = Field(alias="bytes")
    """Length of the record's value, of which 512 KiB at most are kept."""


class AdoptionHeaders(Contract):
    """Headers of an adoption record: the last one of a flush may have some."""

    probes: Annotated[str, Field(pattern=r"^[0-9]+(,[0-9]+)*$")] | None = None
    """The `sent_at` of the payments that the flush counts, to measure the way from payment to metric."""
