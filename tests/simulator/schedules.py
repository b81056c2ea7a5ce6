"""Schedules: made from seeds, run, made small, written down and read back.

In: a seed, or a line of text. Out: what was violated, and the shortest schedule found that violates it too.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from streams.protocol import Owner
from tests.simulator.kinds import Totals
from tests.simulator.model import LOGS, ModelPartition, model
from tests.simulator.real import REAL_LOGS, real
from tests.simulator.world import SLOTS, Action, World

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_NAMES = ("go", "tick", "land", "crash", "late", "compact", "hand_over", "settle")
_WEIGHTS = ((10, 4, 6, 1, 1, 1, 0, 0), (14, 4, 6, 2, 3, 1, 1, 1), (6, 4, 4, 2, 1, 0, 0, 0), (10, 2, 3, 1, 1, 3, 4, 0))
_WHO = ((0,), (0, 0, 1), (0, 0, 0, 1, 1, 2))


def _pool(weights: Sequence[int], whos: Sequence[int]) -> list[Action]:
    chosen = [name for name, weight in zip(_NAMES, weights, strict=True) for _ in range(weight)]
    return [Action(name, who, how) for name in chosen for who in whos for how in range(8)]


_POOLS = [_pool(weights, whos) for weights in _WEIGHTS for whos in _WHO]
"""Each schedule draws from one of these. Evenly mixed, all would be alike, and what takes one worker for long rare."""
SHORTEST, LONGEST = 8, 48
assert max(map(max, _WHO)) < SLOTS


@dataclass(frozen=True)
class Schedule:
    """All that decides a run."""

    kind: str
    """``model`` or ``real``."""
    log: int
    ending: int
    actions: tuple[Action, ...]

    def __str__(self) -> str:
        return f"{self.kind} {self.log} {self.ending}: {', '.join(map(str, self.actions))}"


@dataclass(frozen=True)
class System:
    """What is simulated: the protocol as it is, or, to see that the simulator sees, one that is wrong somewhere."""

    owner_type: Callable[..., Owner[Any]] = Owner
    partition_type: type[ModelPartition] | None = None
    catches_up: bool = True
    """Whether the changelog is read on to its end after the claim."""


RIGHT = System()


def schedule_of(seed: int, kind: str = "model") -> Schedule:
    """Make a schedule from a seed."""
    rng = random.Random(seed)
    bits = rng.getrandbits(32)
    log = (bits >> 8) % (LOGS if kind == "model" else REAL_LOGS)
    length = SHORTEST + bits % (LONGEST - SHORTEST)
    return Schedule(kind, log, bits >> 30, tuple(rng.choices(_POOLS[(bits >> 16) % len(_POOLS)], k=length)))


def read(line: str) -> Schedule:
    """Read a schedule back."""
    head, _, steps = line.partition(":")
    kind, log, ending = head.split()
    actions = [step.split() for step in steps.split(",") if step.strip()]
    return Schedule(kind, int(log), int(ending), tuple(Action(name, int(who), int(how)) for name, who, how in actions))


def run(schedule: Schedule, totals: Totals | None = None, system: System = RIGHT) -> None:
    """Run a schedule.

    Raises:
        Violation: if an invariant does not hold.
    """
    kind = model(schedule.log, system.partition_type) if schedule.kind == "model" else real(schedule.log)
    world = World(kind, totals or Totals(), system.owner_type, catches_up=system.catches_up)
    world.run(schedule.actions, schedule.ending)


def failure(schedule: Schedule, system: System = RIGHT) -> str:
    """Run a schedule; return what was wrong, or nothing. Code that breaks is as wrong as a broken invariant."""
    try:
        run(schedule, system=system)
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {error}"
    return ""


def minimised(schedule: Schedule, system: System = RIGHT) -> Schedule:
    """Return a schedule that fails too, from which no action can be left out."""
    actions = list(schedule.actions)
    size = len(actions)
    while size:
        begin = 0
        while begin < len(actions):
            fewer = actions[:begin] + actions[begin + size :]
            if failure(replace(schedule, actions=tuple(fewer)), system):
                actions = fewer
            else:
                begin += size
        size //= 2
    for position, action in enumerate(actions):
        for plainer in (Action(action.name), action._replace(how=0)):
            changed = [*actions[:position], plainer, *actions[position + 1 :]]
            if failure(replace(schedule, actions=tuple(changed)), system):
                actions = changed
                break
    return replace(schedule, actions=tuple(actions))


def first_failure(seeds: Sequence[int], system: System = RIGHT, kind: str = "model") -> Schedule | None:
    """Return the first schedule of some seeds that fails."""
    return next((one for one in (schedule_of(seed, kind) for seed in seeds) if failure(one, system)), None)
