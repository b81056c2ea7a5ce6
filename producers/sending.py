"""Sending blocks of payments when they are due.

In: blocks, a pace and what orders want of it, the lag of the stream. Out: rows handed to the publisher.
"""

from __future__ import annotations

import asyncio
import time

from producers.blocks import PaymentBlock
from producers.books import Books
from producers.lag import StreamLag
from producers.live_pace import LivePace
from producers.orders import Orders
from producers.publisher import Publisher
from schemas.metrics import Metrics
from schemas.settings import ProducerSettings

LAG_CHECK_SECONDS = 0.2


class PacedSending:
    """Sends the blocks of one production. The clock starts with the first one."""

    def __init__(
        self,
        pace: LivePace,
        orders: Orders,
        settings: ProducerSettings,
        metrics: Metrics,
        *,
        seconds: float | None,
        stop: asyncio.Event,
    ) -> None:
        """Prepare.

        Args:
            pace: when.
            orders: what is wanted of the pace meanwhile.
            settings: of how to send.
            metrics: of this process.
            seconds: for how long; without end if None.
            stop: ends it before.
        """
        self._pace, self._orders, self._settings, self._metrics = pace, orders, settings, metrics
        self._seconds, self._stop = seconds, stop
        self._begun: float | None = None
        self._lag_checked = 0.0
        self.held = 0.0
        """Seconds that the stream held production back."""

    @property
    def begun(self) -> bool:
        """Whether the clock runs."""
        return self._begun is not None

    def begin(self) -> None:
        """Start the clock."""
        self._begun = time.monotonic()
        self._tell_speed()

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be sent."""
        limit = self._seconds
        late = self._begun is not None and limit is not None and time.monotonic() - self._begun >= limit
        return self._stop.is_set() or late

    async def send(self, publisher: Publisher, books: Books, block: PaymentBlock, lag: StreamLag | None) -> None:
        """Send a block, each row when it is due, or as much of it as there is time for."""
        assert self._begun is not None
        sent = 0
        while sent < len(block) and not self.ended:
            await self._hold_back(publisher, lag)
            elapsed = time.monotonic() - self._begun - self.held
            self._steer(block, sent, elapsed)
            due = self._pace.due(block, elapsed)
            if due > sent:
                await publisher.send(block.records, sent, due, books.counting(publisher, block), probes=True)
                books.hand_over(block, sent, due)
                sent = due
                self._metrics.gauge("quetma_produced_time_seconds").set(block.sent_at[sent - 1] / 1000)
            if sent < len(block):
                behind = self._pace.lag_seconds(block, sent, elapsed)
                self._metrics.gauge("quetma_pacing_lag_seconds").set(behind)
                await asyncio.sleep(self._settings.tick_seconds)
        if sent == len(block):
            self._pace.passed(block)

    def _steer(self, block: PaymentBlock, sent: int, elapsed: float) -> None:
        self._pace.steer(self._orders.wanted, block, sent, elapsed)
        self._tell_speed()

    def _tell_speed(self) -> None:
        self._metrics.gauge("quetma_speed").set(self._pace.speed)

    async def _hold_back(self, publisher: Publisher, lag: StreamLag | None) -> None:
        now = time.monotonic()
        if lag is None or now - self._lag_checked < LAG_CHECK_SECONDS:
            return
        limit = self._settings.max_lag
        assert limit is not None
        await lag.wait_below(limit, publisher.end_offsets, self._stop)
        self._lag_checked = time.monotonic()
        waited = self._lag_checked - now
        self.held += waited
        self._metrics.counter("quetma_held_back_seconds").inc(waited)
