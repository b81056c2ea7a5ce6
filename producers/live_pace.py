"""A pace that is told, while it runs, to go faster or slower, to stand still and to go on.

In: a pace to begin with, what is wanted of it, seconds since the start. Out: a number of rows.
Simulated time neither jumps nor floods: a new speed begins at the time that it is, or with the first record that is
still to be sent; the time of standing still does not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from producers.blocks import PaymentBlock
from producers.pacing import NoPace, Pace, SpeedPace


@dataclass(frozen=True)
class WantedPace:
    """What orders say of the pace."""

    speed: float | Literal["max"] | None = None
    """Simulated seconds per second; None: as the producer was started."""
    paused: bool = False


class LivePace:
    """A pace that can be steered. Implements `producers.pacing.Pace`."""

    def __init__(self, pace: Pace) -> None:
        """Begin with a pace."""
        self._pace = pace
        self._wanted = WantedPace()
        self._paused_at: float | None = None
        self._stood = 0.0
        """Seconds that it stood still, the present pause left out."""

    @property
    def speed(self) -> float:
        """As `Pace` has it; 0 while it stands still."""
        return self._pace.speed if self._paused_at is None else 0.0

    def steer(self, wanted: WantedPace, block: PaymentBlock, sent: int, elapsed_seconds: float) -> None:
        """Do what is wanted from now on.

        Args:
            wanted: all of it, changed or not.
            block: the one that is being sent.
            sent: its first row that is not sent yet.
            elapsed_seconds: since the start.
        """
        if wanted == self._wanted:
            return
        if wanted.speed not in (None, self._wanted.speed):
            self._pace = self._with_speed(wanted.speed, int(block.sent_at[sent]), self._running(elapsed_seconds))
        if wanted.paused and self._paused_at is None:
            self._paused_at = elapsed_seconds
        elif not wanted.paused and self._paused_at is not None:
            self._stood += elapsed_seconds - self._paused_at
            self._paused_at = None
        self._wanted = wanted

    def due(self, block: PaymentBlock, elapsed_seconds: float) -> int:
        """None while it stands still."""
        return 0 if self._paused_at is not None else self._pace.due(block, self._running(elapsed_seconds))

    def passed(self, block: PaymentBlock) -> None:
        """Pass it on."""
        self._pace.passed(block)

    def resume(self, at: int) -> None:
        """Pass it on."""
        self._pace.resume(at)

    def lag_seconds(self, block: PaymentBlock, sent: int, elapsed_seconds: float) -> float:
        """What the row had to wait while it did not stand still."""
        return self._pace.lag_seconds(block, sent, self._running(elapsed_seconds))

    def _running(self, elapsed_seconds: float) -> float:
        """Return for how long it did not stand still."""
        return (elapsed_seconds if self._paused_at is None else self._paused_at) - self._stood

    def _with_speed(self, speed: float | Literal["max"] | None, next_at: int, running: float) -> Pace:
        if speed is None or speed == "max":
            return NoPace()
        now = min(self._pace.now(running), next_at) if isinstance(self._pace, SpeedPace) else next_at
        return SpeedPace(speed, now, running)
