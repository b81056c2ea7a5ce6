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
    """Return where labels of values stand, in their order: as near as they can, `LINE_PX` apart if that fits.

    Args:
        values: of the lines' ends, 0 to `top`.
        top: the axis runs from 0 to here.
        height_px: of the axis.
    """
    per_unit, line = height_px / top, min(LINE_PX, height_px / max(len(values), 1))

    def middle_of(members: Sequence[int]) -> float:
        half = len(members) * line / 2
        wanted = sum(values[member] for member in members) * per_unit / len(members)
        return max(min(wanted, height_px - half), half)

    groups: list[list[int]] = []
    for one in sorted(range(len(values)), key=lambda one: values[one]):
        members = [one]
        while groups and middle_of(members) - middle_of(groups[-1]) < (len(members) + len(groups[-1])) * line / 2:
            members = groups.pop() + members
        groups.append(members)
    places = [0.0] * len(values)
    for members in groups:
        for rank, one in enumerate(members):
            places[one] = round((middle_of(members) + (rank - (len(members) - 1) / 2) * line) / per_unit, 4)
    return places
