"""Labels at the ends of lines, moved apart until none covers another.

In: labels with their values. Out: where each stands, in the units of the axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LINE_PX = 15.0
"""Height of a label with the air around it."""


@dataclass(frozen=True)
class Label:
    """Words beside the end of a line."""

    text: str
    value: float
    colour: str
    bold: bool = False


def spread(values: Sequence[float], *, top: float, height_px: float) -> list[float]:
    """Return where labels of values stand, in their order: as near as they can, at least `LINE_PX` apart.

    Args:
        values: of the lines' ends, 0 to `top`.
        top: the axis runs from 0 to here.
        height_px: of the axis.
    """
    per_unit = height_px / top
    order = sorted(range(len(values)), key=lambda one: values[one])
    groups: list[tuple[float, list[int]]] = []
    for one in order:
        members, middle = [one], values[one] * per_unit
        while groups and groups[-1][0] + _half(groups[-1][1]) > middle - _half(members):
            members = groups.pop()[1] + members
            middle = sum(values[member] for member in members) * per_unit / len(members)
        groups.append((_within(middle, _half(members), height_px), members))
    places = [0.0] * len(values)
    for middle, members in groups:
        for rank, one in enumerate(members):
            places[one] = round((middle + (rank - (len(members) - 1) / 2) * LINE_PX) / per_unit, 4)
    return places


def _half(members: Sequence[int]) -> float:
    return len(members) * LINE_PX / 2


def _within(middle: float, half: float, height: float) -> float:
    """Keep a group within the axis, as far as it fits there."""
    return max(min(middle, height - half), half)
