"""Records on their way to one partition: those that wait, and the one batch that is under way.

In: pieces of records, as they come due. Out: sealed batches to a client, one after the other; outcomes.
What comes due while a batch is under way waits, and goes as one batch: the slower the broker, the larger the batches.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from aiokafka.errors import KafkaError

from producers.batch_client import Place
from producers.batches import SealedBatch
from producers.load.clock import Clock
from producers.load.parts import UNANSWERED, Outcomes, Seconds
from producers.load.raw_format import FEW, RawColumns, joined


class Client(Protocol):
    """What sends batches."""

    async def delivered(self, place: Place, batch: SealedBatch) -> int:
        """Send a batch until it is acknowledged; return its offset."""


@dataclass(frozen=True)
class Piece:
    """Records of one partition that came due together."""

    due: Seconds
    size: int
    """About how many bytes they take."""
    columns: Callable[[], RawColumns]
    """Makes them; any thread may call it."""


class Held:
    """How many records wait for an acknowledgement, and the bound to it."""

    def __init__(self, records: int, size: int) -> None:
        self._most_records, self._most_size = records, size
        self.records = self.size = 0
        self._changed = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether no more may come."""
        return self.records >= self._most_records or self.size >= self._most_size

    def add(self, piece: Piece) -> None:
        """Take note of records that wait."""
        self.records += len(piece.due)
        self.size += piece.size

    def remove(self, pieces: Sequence[Piece]) -> None:
        """Take note of records that do not any more."""
        self.records -= sum(len(piece.due) for piece in pieces)
        self.size -= sum(piece.size for piece in pieces)
        self._changed.set()

    def changed(self) -> Awaitable[object]:
        """Return what waits until some records do not wait any more, from this call on."""
        self._changed.clear()
        return self._changed.wait()


class Departures:
    """When batches leave that are not full: those of all lanes together, so that one request carries them.

    A request costs the tool as much as some dozens of records.
    """

    def __init__(self, linger_seconds: float) -> None:
        """Args: how long the first record waits for others."""
        self._linger = linger_seconds
        self._leaving: list[Callable[[], None]] = []

    def expect(self, leave: Callable[[], None]) -> None:
        """Call something at the next departure."""
        if not self._linger:
            leave()
            return
        if not self._leaving:
            asyncio.get_running_loop().call_later(self._linger, self._depart)
        self._leaving.append(leave)

    def _depart(self) -> None:
        leaving, self._leaving = self._leaving, []
        for leave in leaving:
            leave()


@dataclass(frozen=True)
class Parts:
    """What lanes share."""

    client: Client
    outcomes: Outcomes
    held: Held
    clock: Clock
    sealer: Executor
    """Threads that seal large batches."""
    departures: Departures


class Lane:
    """What goes to one partition. `run` sends it."""

    def __init__(self, place: Place, parts: Parts, limit: int) -> None:
        """Prepare.

        Args:
            place: the topic and the partition.
            parts: what it shares with other lanes.
            limit: bytes of a batch at most, uncompressed; a piece that is larger goes alone.
        """
        self._place, self._limit, self._departures = place, limit, parts.departures
        self._client, self._outcomes = parts.client, parts.outcomes
        self._held, self._clock, self._sealer = parts.held, parts.clock, parts.sealer
        self._waiting: deque[Piece] = deque()
        self._size = 0
        self._expected = False
        self._wake = asyncio.Event()
        self._taken: list[list[Piece]] = []
        """Of batches that are being sealed or are under way."""

    def put(self, piece: Piece) -> None:
        """Let records wait for their turn."""
        self._held.add(piece)
        self._waiting.append(piece)
        self._size += piece.size
        if self._size >= self._limit:
            self._wake.set()
        elif not self._expected:
            self._expected = True
            self._departures.expect(self._leave)

    async def run(self) -> None:
        """Send what comes, without end."""
        ahead: asyncio.Future[SealedBatch] | None = None
        while True:
            if ahead is None:
                await self._wake.wait()
                pieces = self._take()
                few = sum(len(piece.due) for piece in pieces) <= FEW  # less work than it is to give it away
                batch = _seal(pieces) if few else await self._sealed(pieces)
            else:
                batch = await ahead
            # A batch that is full gains nothing by waiting: it is made while the one before is under way.
            ahead = self._sealed(self._take()) if self._size >= self._limit else None
            await self._deliver(batch)

    def give_up(self) -> None:
        """Tell that what is not answered has failed."""
        for pieces in (*self._taken, list(self._waiting)):
            if pieces:
                self._outcomes.failed(_due(pieces), self._clock.now(), UNANSWERED)
                self._held.remove(pieces)
        self._taken.clear()
        self._waiting.clear()

    def _leave(self) -> None:
        self._expected = False
        if self._waiting:
            self._wake.set()

    def _sealed(self, pieces: list[Piece]) -> asyncio.Future[SealedBatch]:
        return asyncio.get_running_loop().run_in_executor(self._sealer, _seal, pieces)

    def _take(self) -> list[Piece]:
        """Return the pieces that make the next batch."""
        pieces, size = [self._waiting.popleft()], 0
        size = pieces[0].size
        while self._waiting and size + self._waiting[0].size <= self._limit:
            pieces.append(self._waiting.popleft())
            size += pieces[-1].size
        self._size -= size
        if not self._waiting:
            self._wake.clear()
        self._taken.append(pieces)
        return pieces

    async def _deliver(self, batch: SealedBatch) -> None:
        due = _due(self._taken[0])
        try:
            await self._client.delivered(self._place, batch)
        except KafkaError as error:
            self._outcomes.failed(due, self._clock.now(), type(error).__name__)
        else:
            self._outcomes.answered(due, self._clock.now())
        self._held.remove(self._taken.pop(0))


def _seal(pieces: list[Piece]) -> SealedBatch:
    return joined(piece.columns() for piece in pieces).sealed()


def _due(pieces: list[Piece]) -> Seconds:
    return pieces[0].due if len(pieces) == 1 else np.concatenate([piece.due for piece in pieces])
