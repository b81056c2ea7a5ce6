"""Figures of a scenario: numbers with their unit and range, each beside its source.

In: nothing. Out: number types whose unit docs/parameters.md prints, and `Sourced`, a value and where it comes from.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from schemas.types import MAX_PAYMENT_VND

T = TypeVar("T")
HOURS = 24


def _unit(unit: str, **limits: Any) -> Any:
    """Return the limits of a number, and its unit for people."""
    return Field(json_schema_extra={"unit": unit}, **limits)


Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""TOML knows ``inf``, ``nan``, ``true`` and ``"12"``: none of them is a figure."""
WholeNumber = Annotated[int, Field(strict=True)]
Share = Annotated[Number, _unit("share", ge=0, le=1)]
OpenShare = Annotated[Number, _unit("share", gt=0, lt=1)]
Positive = Annotated[Number, _unit("", gt=0)]
Weight = Annotated[Number, _unit("weight", ge=0)]
Factor = Annotated[Number, _unit("factor", ge=0, le=100)]
Logit = Annotated[Number, _unit("logit", ge=-10, le=10)]
Sigma = Annotated[Number, _unit("σ of the logarithm", ge=0, le=3)]
PerYear = Annotated[Number, _unit("1/year", ge=0, le=100)]
PerDay = Annotated[Number, _unit("1/day", gt=0)]
Seconds = Annotated[Number, _unit("s", ge=0)]
PositiveSeconds = Annotated[Number, _unit("s", gt=0)]
Days = Annotated[Number, _unit("days", gt=0)]
Count = Annotated[WholeNumber, _unit("count", ge=0)]
PositiveCount = Annotated[WholeNumber, _unit("count", ge=1)]
Vnd = Annotated[WholeNumber, _unit("VND", gt=0, le=MAX_PAYMENT_VND)]
PlaceId = Annotated[str, Field(pattern=r"^[a-z0-9]+(?:-[a-z0-9]+)*$", max_length=40)]
"""Such as ``an-giang``; no ``/``, which begins the name of a place's part: a stall, a sector."""
Source = Annotated[str, Field(min_length=3)]
"""A report or series of docs/sources.md, or the word "assumed"."""
HourProfile = Annotated[tuple[Weight, ...], Field(min_length=HOURS, max_length=HOURS)]
"""Relative weights of the hours 0 to 23, local time."""


class Part(BaseModel):
    """A table of a scenario; docs/parameters.md takes the docstrings of its fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Sourced(BaseModel, Generic[T]):
    """A figure and where it comes from: a source, or the word "assumed"."""

    model_config = ConfigDict(frozen=True, extra="forbid")  # no docstrings to look for: there are many of these

    value: T
    source: Source
    note: str = ""
