"""What a simulated world is about: kinds of partition, what may be violated, what is counted.

In: nothing. Out: the words that broker, workers and world share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.lineage import Recovered

NUMBER = 3
"""Of the one partition."""


class Violation(AssertionError):  # noqa: N818  # what is found is no error of the simulator
    """An invariant does not hold."""


class Kind(Protocol):
    """What payments and states are: a cheap stand-in, or the real ones. Both know the truth about their log."""

    offsets: list[int]
    """Of the payments log, which may have gaps."""

    def open(self, epoch: int, recovered: Recovered) -> Any:
        """Open a partition; it has `flushing`, the next_offset of its last flush."""

    def registry(self, how: int) -> Any:
        """A worker's copy of the registry, perhaps incomplete, with a method `refresh`."""

    def records(self, begin: int, end: int) -> Sequence[Any]:
        """Records by position."""

    def next_offset_of(self, own: Any) -> int: ...

    def check_cell(self, cell: str, value: Any) -> None:
        """Check that a cell's state is what the records up to its applied offset come to."""

    def lacks(self, cell: str, value: Any, next_offset: int) -> bool:
        """Whether a cell's state (None: there is none) lacks a payment before an offset."""

    @property
    def cells(self) -> Sequence[str]: ...

    def check_told(self, emission: Any, next_offset: int) -> tuple[Any, tuple[int, ...]]:
        """Check that an emission is true at an offset; return its key and how far it is."""

    def check_dead_letter(self, letter: Any) -> int:
        """Check that a record was rightly set aside; return its offset."""

    def check_partition(self, partition: Any) -> None:
        """Check an opened partition's state."""

    def check_end(self, lineage: dict[str, Any], own: Any) -> None:
        """Check that a state is that of the whole log."""

    def told_at_end(self) -> dict[Any, tuple[int, ...]]:
        """All that readers must have seen in the end."""

    def stays_open(self, key: Any) -> bool:
        """Whether a window never leaves the state, so that it is told again."""

    def dead_letters(self) -> set[int]: ...


@dataclass
class Totals:
    """What has happened, to show that the schedules are not tame."""

    schedules: int = 0
    steps: int = 0
    claims: int = 0
    take_overs: int = 0
    """Openings from a state that another had written."""
    rivals: int = 0
    """Openings while another worker had the partition open."""
    crashes: int = 0
    late_writes: int = 0
    stale_writes: int = 0
    """Late ones under an epoch that was older than the newest complete one."""
    lost_writes: int = 0
    looks: int = 0
    seeks: int = 0
    refreshes: int = 0
    compactions: int = 0
    hand_overs: int = 0
    commits: int = 0
    settlings: int = 0
    stale_newest: int = 0
    """Schedules after which the newest adoption record of some key was not its greatest: see docs/architecture.md."""

    def add(self, other: Totals) -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)
