"""What `quetma load` is told of the rate: a profile by name or file, how records are spaced, for how long.

In: options. Out: arrivals, and what was asked for in words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from producers.load.arrivals import RateArrivals, Spacing
from producers.load.profiles import BUILT_IN, Profile, built_in, load_profile
from schemas.errors import BadInputError

DEFAULT_RATE = 1000.0


@dataclass(frozen=True)
class AskedRate:
    """A profile, and how records are spaced in it."""

    profile: Profile
    name: str
    spacing: Spacing
    seed: int

    @property
    def highest(self) -> float:
        """The highest rate, records a second."""
        return max(max(phase.begin, phase.end) for phase in self.profile.phases)

    def arrivals(self) -> RateArrivals:
        """Return when records are due."""
        return RateArrivals(self.profile, self.spacing, self.seed)

    def in_words(self) -> str:
        """Return it for people."""
        spaced = "evenly spaced" if self.spacing == "even" else f"Poisson arrivals of seed {self.seed}"
        seconds = self.profile.seconds
        much = f"{round(self.profile.records):,} records in {seconds:,.10g} s" if seconds < math.inf else "without end"
        return f"{self.name} up to {self.highest:,.10g}/s, {much}, {spaced}"


def asked_rate(profile: str, *, rate: float | None, seconds: float | None, spacing: str, seed: int) -> AskedRate:
    """Return what the options ask for.

    Args:
        profile: name of a built-in one, or a .toml file.
        rate: the highest of a built-in one, records a second.
        seconds: its length.
        spacing: ``even`` or ``poisson``.
        seed: of Poisson arrivals.

    Raises:
        BadInputError: if one of them is wrong, or does not go with another.
    """
    if spacing not in get_args(Spacing):
        raise BadInputError("arguments", f"--arrivals {spacing}", f"give {' or '.join(get_args(Spacing))}")
    spaced: Spacing = "even" if spacing == "even" else "poisson"
    if profile in BUILT_IN:
        return AskedRate(built_in(profile, DEFAULT_RATE if rate is None else rate, seconds), profile, spaced, seed)
    if not profile.endswith(".toml"):
        fix = f"give one of {', '.join(BUILT_IN)}, or a .toml file"
        raise BadInputError("arguments", f"--profile {profile}", fix)
    if rate is not None:
        raise BadInputError("arguments", f"--rate {rate:g} with {profile}", "the file says the rates: leave it out")
    # The file says how long, too; --for may only end it before.
    return AskedRate(load_profile(Path(profile)), profile, spaced, seed)
