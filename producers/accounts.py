"""Accounts that tills are paid into. They begin with SIM: no bank has them.

In: a world. Out: the account of each till, and the one that a swapped code names instead.
"""

from __future__ import annotations

from producers.simulation.world import World
from schemas.qr import ACCOUNT_PREFIX


def account_of(world: World, source: int) -> str:
    """Return the account that a till's codes name."""
    return f"{ACCOUNT_PREFIX}{int(world.commune_of_source[source]) + 1:03d}{int(world.till_of_source[source]):08d}"


def stranger_of(world: World, source: int) -> str:
    """Return the account that a code swapped at a till names."""
    return f"{ACCOUNT_PREFIX}X{int(world.till_of_source[source]):08d}"
