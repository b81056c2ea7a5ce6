"""The plan of faults: what goes wrong when, drawn from a seed. Pure.

In: a seed, the kinds that apply, how many and in which time. Out: `Fault`s in order of time, the same for the same
seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

WORKERS = (3, 2, 1)
"""How many workers are wanted after the first, second and third change of their number, and so on in a circle."""


class Kind(StrEnum):
    """What can go wrong."""

    KILL_WORKER = "kill-worker"
    STOP_WORKER = "stop-worker"
    PAUSE_WORKER = "pause-worker"
    SCALE_WORKERS = "scale-workers"
    KILL_PRODUCER = "kill-producer"
    STOP_PRODUCER = "stop-producer"
    PAUSE_PRODUCER = "pause-producer"
    KILL_EXPORTER = "kill-exporter"
    STOP_EXPORTER = "stop-exporter"
    CUT_ALL = "cut-all"
    CUT_ONE = "cut-one"
    SLOW = "slow"
    STALL = "stall"
    RESTART_BROKER = "restart-broker"
    KILL_BROKER = "kill-broker"


OF_LINKS = frozenset({Kind.CUT_ALL, Kind.CUT_ONE, Kind.SLOW, Kind.STALL})
"""Kinds that need a proxy between the clients and the broker."""
OF_BROKER = frozenset({Kind.RESTART_BROKER, Kind.KILL_BROKER})
"""Kinds that need a broker of ours whose data outlive it."""
_PAUSES = frozenset({Kind.PAUSE_WORKER, Kind.PAUSE_PRODUCER})
_DOWN_SECONDS, _LINK_SECONDS, _PAUSE_MORE_SECONDS = (0.0, 4.0), (1.0, 5.0), (1.0, 3.0)


@dataclass(frozen=True, order=True)
class Fault:
    """One thing that goes wrong."""

    at: float
    """Seconds after the first payment was acknowledged."""
    kind: Kind
    target: int
    """Which of the things of a kind, modulo how many there are; for `SCALE_WORKERS`, how many there shall be."""
    seconds: float
    """How long it lasts: a process or the broker is away, paused, or the way to it is bad."""


def plan(seed: int, kinds: Iterable[Kind], *, count: int, seconds: float, session_seconds: float) -> tuple[Fault, ...]:
    """Draw faults.

    Every kind comes once before any comes again. Times are uniform, so that some faults meet and others are alone.

    Args:
        seed: of all draws.
        kinds: those that apply.
        count: how many.
        seconds: the time in which they begin.
        session_seconds: silence that ends a worker's membership; a pause is longer.

    Raises:
        ValueError: if no kind applies.
    """
    draws = random.Random(seed)  # noqa: S311  # a plan that can be repeated, no secret
    times = sorted(draws.uniform(0.0, seconds) for _ in range(count))
    dealt = _deal(draws, sorted(set(kinds)), count)
    changes = 0
    faults = []
    for at, kind in zip(times, dealt, strict=True):
        target, duration = draws.randrange(2**16), _duration(draws, kind, session_seconds)
        if kind is Kind.SCALE_WORKERS:
            target, changes = WORKERS[changes % len(WORKERS)], changes + 1
        faults.append(Fault(round(at, 3), kind, target, duration))
    return tuple(faults)


def _deal(draws: random.Random, kinds: list[Kind], count: int) -> list[Kind]:
    """Return kinds from shuffled decks, one deck after the other."""
    if not kinds:
        raise ValueError("no kind of fault applies")
    dealt: list[Kind] = []
    while len(dealt) < count:
        dealt += draws.sample(kinds, len(kinds))
    return dealt[:count]


def _duration(draws: random.Random, kind: Kind, session_seconds: float) -> float:
    if kind in {Kind.CUT_ALL, Kind.CUT_ONE, Kind.SCALE_WORKERS}:
        return 0.0
    if kind in _PAUSES:
        return round(session_seconds + draws.uniform(*_PAUSE_MORE_SECONDS), 3)
    return round(draws.uniform(*(_LINK_SECONDS if kind in OF_LINKS else _DOWN_SECONDS)), 3)
