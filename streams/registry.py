"""The worker's copy of ``quetma.cells``: which cells each run has announced.

In: the topic, read from its beginning and then as far as it goes. Out: look-ups.
A producer announces its cells, acknowledged, before their first payment; so a cell that is unknown after a refresh
was never announced.
"""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer, TopicPartition
from pydantic import ValidationError

from schemas.events import Cell
from schemas.topics import CELLS
from streams.offsets import end_offsets, stopped

_PLACE = TopicPartition(CELLS, 0)


class CellRegistry:
    """Implements `streams.fold.Registry`."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._servers = bootstrap_servers
        self._cells: dict[tuple[str, str], Cell] = {}
        self._next_offset = 0

    def get(self, run: str, cell: str) -> Cell | None:
        """Return what a run announced of a cell."""
        return self._cells.get((run, cell))

    async def refresh(self) -> None:
        """Read what has been announced since the last time."""
        end = (await end_offsets(self._servers, [_PLACE]))[_PLACE]
        if end <= self._next_offset:
            return
        consumer = AIOKafkaConsumer(bootstrap_servers=self._servers.split(","), auto_offset_reset="earliest")
        await consumer.start()
        try:
            consumer.assign([_PLACE])
            consumer.seek(_PLACE, self._next_offset)
            while self._next_offset < end:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    for record in records:
                        self._learn(record.value)
                self._next_offset = await consumer.position(_PLACE)
        finally:
            await stopped(consumer)

    def _learn(self, value: bytes | None) -> None:
        try:
            cell = Cell.model_validate_json(value or b"")
        except ValidationError:
            return  # not ours: a payment that names it will be set aside
        self._cells[cell.run, cell.cell] = cell
