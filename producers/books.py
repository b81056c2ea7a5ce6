"""The books of a production: what was handed over, what the broker has, what of it is written into the ledger.

In: days that are opened, blocks that are found or acknowledged. Out: records for ``quetma.ledger``, and sums.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from producers.announcements import Keyed, keyed
from producers.blocks import PaymentBlock
from producers.checkpoints import Beginning
from producers.ledger import Ledger
from producers.outbox import Opening
from producers.plan import Plan
from producers.progress import FAULTS, Progress
from producers.publisher import Publisher
from producers.simulation.columns import IntArray
from producers.simulation.transmission import MALFORMED
from schemas.events import encode
from schemas.metrics import Metrics
from schemas.topics import PAYMENTS


class Books:
    """Counts one production from its beginning on."""

    def __init__(self, plan: Plan, metrics: Metrics, beginning: Beginning) -> None:
        """Begin behind a checkpoint."""
        self._metrics = metrics
        self._ledger = Ledger(plan.world, plan.run)
        checkpoint = beginning.checkpoint
        self._progress = Progress(checkpoint)
        self._ledger.count_faults(**{name: getattr(checkpoint, name) for name in FAULTS})
        self.behind = sum(checkpoint.payments)
        """Payments that were there before."""
        self.produced = 0
        """Payments handed to the client by this production."""
        self.acked = 0
        """Payments of these that the broker acknowledged."""
        self.caught_up = False
        """Whether all is found that was there: a process before has told more of the days that are open."""

    def open(self, opening: Opening) -> Callable[[IntArray], None]:
        """Take note of a day that begins; return what counts its records that go before the payments."""
        self._progress.open(opening.day, opening.records, opening.payments)

        def count(rows: IntArray) -> None:
            self._progress.acknowledged(opening.day, len(rows))

        return count

    def find(self, block: PaymentBlock) -> None:
        """Count what the broker has from a process before."""
        self._count(block, np.arange(len(block)))
        self.behind += int(block.is_payment.sum())

    def hand_over(self, block: PaymentBlock, low: int, high: int) -> None:
        """Count what is handed to the client."""
        payments = int(block.is_payment[low:high].sum())
        self._metrics.counter("quetma_produced_payments").inc(payments)
        self.produced += payments

    def counting(self, publisher: Publisher, block: PaymentBlock) -> Callable[[IntArray], None]:
        """Return what counts rows of a block that are acknowledged."""

        def count(rows: IntArray) -> None:
            self._count(block, rows)
            partition = int(block.records.partition[rows[0]])
            self._progress.behind(block.day, partition, publisher.end_offsets[PAYMENTS, partition])
            payments = int(block.is_payment[rows].sum())
            self.acked += payments
            self._metrics.counter("quetma_acked_payments").inc(payments)

        return count

    def _count(self, block: PaymentBlock, rows: IntArray) -> None:
        """Enter rows of a block that the broker has into the ledger."""
        self._ledger.count(block, rows[block.is_payment[rows]])
        faults = np.bincount(block.fault[rows], minlength=MALFORMED + 1)
        self._ledger.count_faults(**{name: int(faults[kind]) for name, kind in FAULTS.items()})
        self._progress.acknowledged(block.day, len(rows))
        self._progress.faulty(block.day, faults)

    def entries(self) -> list[Keyed]:
        """Return what changed, and the checkpoint behind the days that are complete; nothing before all is found."""
        if not self.caught_up:
            return []
        entries = list(self._ledger.changed_entries())
        if (faults := self._ledger.changed_faults()) is not None:
            entries.append((f"{faults.run}|faults|{faults.shard}", encode(faults)))
        if closed := self._progress.closed():
            entries.append(keyed(self._progress.checkpoint))
        for day in closed:
            self._ledger.forget(day)
        return entries
