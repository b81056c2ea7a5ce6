"""Value types that every contract shares, and the bridge from a pydantic model to a msgspec struct.

In: annotations written once, with limits that pydantic and msgspec both read.
Out: the same limits on the slow path (contracts, documentation) and on the hot path (decoding in streams).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

SLUG_PATTERN = r"^[a-z0-9]+(?:[-/][a-z0-9]+)*$"
MAX_PAYMENT_VND = 10_000_000_000
"""Largest amount one payment may have, in VND: ten billion; a typing error above, in retail and bills."""

MIN_TIME_MS, MAX_TIME_MS = 946_684_800_000, 4_102_444_800_000
"""Event times allowed, UTC epoch milliseconds: from 2000-01-01 up to 2100-01-01."""

Slug = Annotated[
    str,
    msgspec.Meta(pattern=SLUG_PATTERN, max_length=64),
    Field(pattern=SLUG_PATTERN, max_length=64),
]
"""ASCII identifier such as ``an-giang``; ``/`` separates a part from its whole (``cong-su/0042``)."""

Identifier = Annotated[str, msgspec.Meta(min_length=1, max_length=64), Field(min_length=1, max_length=64)]
"""An identifier on the hot path: its form is checked where it is looked up, so here only its length is."""

PaymentVnd = Annotated[int, msgspec.Meta(gt=0, le=MAX_PAYMENT_VND), Field(gt=0, le=MAX_PAYMENT_VND)]
"""The amount of one payment in whole VND."""

TotalVnd = Annotated[int, msgspec.Meta(ge=0), Field(ge=0)]
"""A sum of amounts in whole VND."""

Count = Annotated[int, msgspec.Meta(ge=0), Field(ge=0)]
"""A number of things."""

EpochMs = Annotated[int, msgspec.Meta(ge=MIN_TIME_MS, lt=MAX_TIME_MS), Field(ge=MIN_TIME_MS, lt=MAX_TIME_MS)]
"""A time as UTC epoch milliseconds."""

SequenceNumber = Annotated[int, msgspec.Meta(ge=1, lt=2**53), Field(ge=1, lt=2**53)]
"""Number of a payment at its source: 1, 2, 3, … without gaps."""

Attempt = Annotated[int, msgspec.Meta(ge=2, le=9), Field(ge=2, le=9)]
"""Number of a repeated attempt."""


def _whole(value: object) -> object:
    """Refuse what equals 1 in Python without being it: pydantic's Literal takes ``true`` and ``1.0``."""
    if type(value) is not int:
        raise ValueError("input should be the integer 1")
    return value


SchemaVersion = Annotated[Literal[1], BeforeValidator(_whole)]
"""Version of the contracts on the wire. Readers refuse any other."""


class Contract(BaseModel):
    """Base of everything on a topic: frozen, strict about types, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


def struct_of(model: type[BaseModel]) -> type[Any]:
    """Derive the msgspec struct that decodes the same JSON as a flat ``model``, for the hot path.

    It writes what ``schemas.events.encode`` writes as long as None is the only default.

    Only annotations are carried over; ``tests/unit/test_events.py`` holds both to the same verdicts.
    """
    hints = get_type_hints(model, include_extras=True)
    fields: list[Any] = []
    for name, info in model.model_fields.items():
        field = (name, hints[name])
        fields.append(field if info.is_required() else (*field, info.get_default(call_default_factory=True)))
    return msgspec.defstruct(
        model.__name__ + "Row", fields, forbid_unknown_fields=True, omit_defaults=True, gc=False, kw_only=True
    )
